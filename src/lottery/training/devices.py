"""The device that trains: which there is, and that it gives the same numbers every time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lottery.errors import UsageError, unknown_name


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


@contextmanager
def deterministic_convolutions(device: torch.device) -> Iterator[None]:
    """Convolutions in the config's own precision and in one order of sums, while in the block.

    Left to itself, cuDNN takes whichever algorithm it likes, some of which add up in an order that
    changes from call to call, and computes float32 convolutions in TF32, of 10 bits. A CPU needs
    nothing. What is left on a GPU: attention's backward pass has no fixed order.

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
