"""Pruned weights held at values other than zero, for engines that step with torch's optimizers.

Such a weight takes part in every forward pass. While the optimizer steps it is set to zero, as
other pruned weights are: weight decay would otherwise give it a gradient, and momentum a past.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from lottery.training.interface import TrainingJob

Held = Sequence[tuple[Tensor, Tensor]]
"""For each layer: where weights are kept (bool), and what they are held at elsewhere."""


def held_values(
    job: TrainingJob, names: Iterable[str], device: torch.device, dtype: torch.dtype
) -> Held:
    """What the job's pruned weights are held at, in the order of ``names``; empty if at zero.

    Raises:
        MaskError: the job's ``pruned`` does not have the mask's names and shapes.
    """
    if job.pruned is None:
        return ()
    job.mask.check(job.pruned)
    return [(job.mask[n].to(device), job.pruned[n].to(device, dtype)) for n in names]


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
