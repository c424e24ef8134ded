"""The device to train on: which is available, and how it gives the same numbers every time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lottery.errors import UsageError, unknown_name


def resolve_device(name: str) -> torch.device:
    """The device of this name: ``cpu``, ``cuda``, ``mps``; ``auto``: CUDA, else MPS, else the CPU.

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


@contextmanager
def deterministic_convolutions(device: torch.device) -> Iterator[None]:
    """Inside the ``with`` block, cuDNN's convolutions are deterministic and in full precision.

    By default cuDNN may choose algorithms that sum in an order that changes from call to call, and
    computes float32 convolutions in TF32, which has a mantissa of 10 bits. On a CPU nothing needs
    to be done. On a GPU one thing remains: the order of sums in attention's backward pass.

    Args:
        device: where the network is.
    """
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    ):
        yield
