"""Pruned weights held at values other than zero.

Such a weight takes part in every forward pass. While the optimizer steps it is set to zero, as
other pruned weights are: weight decay would otherwise give it a gradient, and momentum a past.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lottery.core import Mask

Held = Sequence[tuple[Tensor, Tensor]]
"""For each layer: where weights are kept (bool), and what they are held at elsewhere."""


def held_values(mask: Mask, values: Mapping[str, Tensor] | None, weights: Sequence[Tensor]) -> Held:
    """What pruned weights are held at, in the order of the mask; empty if at zero.

    Args:
        mask: what is kept.
        values: of the job; None for zero.
        weights: those of the mask, in its order; the values go to their device and type.

    Raises:
        MaskError: the values do not have the mask's names and shapes.
    """
    if values is None:
        return ()
    mask.check(values)
    return [
        (mask[name].to(weight.device), values[name].to(weight.device, weight.dtype))
        for name, weight in zip(mask, weights, strict=True)
    ]


def hold(weights: Sequence[Tensor], held: Held) -> None:
    """Set what is pruned, in place, to the very values it is held at; what is kept stays.

    Args:
        weights: of each layer, in the order of ``held``.
        held: from `held_values`; when empty, nothing is done.
    """
    if not held:
        return
    with torch.no_grad():
        for weight, (kept, value) in zip(weights, held, strict=True):
            weight.copy_(torch.where(kept, weight, value))
