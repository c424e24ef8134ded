"""Engines by name, one file an engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import torch

from lottery.errors import UsageError, unknown_name
from lottery.training.engines.torch_engine import TorchEngine
from lottery.training.interface import Engine

DeviceName = Literal["auto", "cpu", "cuda", "mps"]

ENGINES: Final[dict[str, Callable[[torch.device], Engine]]] = {"torch": TorchEngine}
"""Name in a config -> what makes the engine for a device."""

# Fastest first; `auto` takes the first one.
_PREFERENCE: Final = ("torch",)


def resolve_device(name: str) -> torch.device:
    """The device to train on; ``auto`` is CUDA, else MPS, else the CPU.

    Raises:
        UsageError: no such device, or this machine or this build of torch does not have it.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(device for device, there in available.items() if there))
    if name not in available:
        raise UsageError(unknown_name("device", name, ["auto", *available]))
    if not available[name]:
        there = ", ".join(device for device, present in available.items() if present)
        raise UsageError(f"device '{name}' is not available here; available: {there}")
    return torch.device(name)


def make_engine(name: str, device: torch.device) -> Engine:
    """An engine by name; ``auto`` is the fastest there is.

    Raises:
        UsageError: no such engine.
    """
    if name == "auto":
        name = _PREFERENCE[0]
    if name not in ENGINES:
        raise UsageError(unknown_name("engine", name, ["auto", *ENGINES]))
    return ENGINES[name](device)
