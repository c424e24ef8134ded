"""From values as they are stored to the values that a network sees."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

PerChannel = tuple[float, ...]
"""A number for each channel, or one for all."""


def normalized(
    inputs: Tensor,
    mean: PerChannel,
    deviation: PerChannel,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """``(x - mean) / deviation``; bytes are divided by 255 first, int64 token ids stay as they are.

    For bytes this is computed in float32 whatever ``dtype`` is, so that a network in double
    precision sees the same numbers as one in single precision, on every device; for floats in their
    own type. With mean 0 and deviation 1, floats of this dtype are returned without a copy.

    Args:
        inputs: ``[N, C, ...]``, uint8, floats or int64; not changed.
        mean: of each channel, or one for all; of bytes after the division by 255.
        deviation: likewise, above 0.
        dtype: of the result.

    >>> normalized(torch.tensor([[0, 51, 255]], dtype=torch.uint8), (0.2,), (0.4,)).tolist()
    [[-0.5, 0.0, 2.0]]
    """
    if inputs.dtype == torch.int64:
        return inputs
    as_bytes = inputs.dtype == torch.uint8
    if not as_bytes and not any(mean) and set(deviation) == {1.0}:
        return inputs.to(dtype)
    kind = torch.float32 if as_bytes else inputs.dtype
    full, means, deviations = _constants(mean, deviation, inputs.dim(), inputs.device, kind)
    # In place on one copy, one rounding after another: in this order since the first version.
    found = inputs.to(kind, copy=True)
    if as_bytes:
        found.div_(full)
    return found.sub_(means).div_(deviations).to(dtype)


def value_table(mean: PerChannel, deviation: PerChannel, dtype: torch.dtype) -> Tensor:
    """What `normalized` makes of every byte: ``[channels, 256]``, or one row for all channels."""
    every = torch.arange(256, dtype=torch.uint8).expand(len(mean), 256)
    return normalized(every.unsqueeze(0), mean, deviation, dtype)[0]


@lru_cache(maxsize=64)
def _constants(
    mean: PerChannel,
    deviation: PerChannel,
    dimensions: int,
    device: torch.device,
    kind: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor]:
    """255, mean and deviation on the device, of a shape that goes with ``[N, C, ...]``.

    Tensors rather than Python's numbers: CUDA divides by the latter by multiplying with their
    inverse, which rounds in another way than the CPU. Kept, since making them on a GPU takes longer
    than using them.
    """
    shape = (-1, *[1] * max(0, dimensions - 2))
    with torch.inference_mode(False):
        return (
            torch.tensor(255.0, dtype=kind, device=device),
            torch.tensor(mean, dtype=kind, device=device).view(shape),
            torch.tensor(deviation, dtype=kind, device=device).view(shape),
        )
