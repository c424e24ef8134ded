"""Scores of surviving weights, and those of the units they lie in."""

from __future__ import annotations

import torch
from torch import Tensor

from lottery.core.criteria import Scores
from lottery.core.mask import Mask
from lottery.core.units import Reduce, Units, flat_survivors, memberships, surviving_units
from lottery.errors import MaskError


def score_units(
    scores: Scores,
    mask: Mask,
    units: Units,
    competing: Tensor | None = None,
    *,
    reduce: Reduce = "sum",
    per_unit: bool = False,
) -> tuple[Tensor, Tensor]:
    """Which units survive, and their scores.

    A unit's score is that of its surviving weights, added up in float64 layer by layer in the order
    of their indices; or their mean. Where scores belong to outputs (``per_unit``), a coupled
    channel's score is the mean over its outputs, each counted once however many weights it has; the
    layers that read the channel do not count. Outputs of score infinity (about which the criterion
    says nothing) are left out of the mean, unless all are infinite. A channel of whose outputs no
    weight is left has score 0.

    Args:
        scores: as for `lottery.core.select`; those of layers without competing units, and with
            ``per_unit`` those of layers that only read channels, are ignored.
        mask: what is kept now.
        units: of this mask; not n:m.
        competing: bool of shape [units]: the units to score; None: all.
        reduce: ``"sum"`` or ``"mean"``.
        per_unit: see `CriterionEntry`; it makes ``reduce`` a mean.

    Returns:
        For every unit whether it competes and survives, bool of shape [units], and its score in
        float64, also of shape [units]; 0 for the others.

    Raises:
        MaskError: a score is missing, of another shape, not floating point, or NaN where the
            weight survives; or a unit holds both infinities.
    """
    if competing is None:
        competing = torch.ones(units.count, dtype=torch.bool)
    if per_unit and units.outputs:
        alive = surviving_units(mask, units) & competing
        values = _means_of_outputs(scores, mask, units, competing)
    else:
        mean = per_unit or reduce == "mean"
        alive, values = _of_weights(scores, mask, units, competing, mean=mean)
    if bool(values.isnan().any()):
        raise MaskError(
            f"{int(values.isnan().sum())} units hold scores of both infinities, which have no "
            "sum; a criterion must give finite scores where units are larger than a weight"
        )
    return alive, values


def _of_weights(
    scores: Scores, mask: Mask, units: Units, competing: Tensor, *, mean: bool
) -> tuple[Tensor, Tensor]:
    total = torch.zeros(units.count, dtype=torch.float64)
    count = torch.zeros(units.count, dtype=torch.float64)
    for name in sorted(units.labels):
        kept = mask[name]
        survivors = flat_survivors(kept)
        values: Tensor | None = None
        for positions, numbers in memberships(units.labels[name], kept.shape, survivors):
            counted = competing[numbers]
            positions, numbers = positions[counted], numbers[counted]
            if not numbers.numel():
                continue
            if values is None:
                values = survivor_scores(name, scores, kept, survivors)
            total.index_add_(0, numbers, values[positions])
            count.index_add_(0, numbers, torch.ones(1, dtype=torch.float64).expand(len(numbers)))
    if mean:
        total /= count.clamp(min=1)
    return count > 0, total


def _means_of_outputs(scores: Scores, mask: Mask, units: Units, competing: Tensor) -> Tensor:
    """The mean of each unit's outputs; see `score_units`."""
    total = torch.zeros(units.count, dtype=torch.float64)
    known, unknown = torch.zeros_like(total), torch.zeros_like(total)
    for name in sorted(units.outputs):
        numbers = units.outputs[name]
        kept = mask[name].flatten(1)
        chosen = (numbers >= 0) & competing[numbers] & kept.any(1)
        if not bool(chosen.any()):
            continue
        survivors = flat_survivors(mask[name])
        values = survivor_scores(name, scores, mask[name], survivors)
        of_output = torch.zeros(len(numbers), dtype=torch.float64)
        of_output.index_add_(0, survivors // kept.shape[1], values)
        of_output /= kept.sum(1).clamp(min=1)
        scored = ~of_output.isposinf()
        total.index_add_(0, numbers[chosen & scored], of_output[chosen & scored])
        known += numbers[chosen & scored].bincount(minlength=units.count)
        unknown += numbers[chosen & ~scored].bincount(minlength=units.count)
    return torch.where((known == 0) & (unknown > 0), torch.inf, total / known.clamp(min=1))


def survivor_scores(name: str, scores: Scores, kept: Tensor, survivors: Tensor) -> Tensor:
    """The scores of a layer's survivors in float64, checked.

    Args:
        name: of the layer.
        scores: those of all layers.
        kept: the layer's part of the mask.
        survivors: the flat indices of what it keeps, int64 of shape [S].

    Returns:
        float64 of shape [S].

    Raises:
        MaskError: they are missing, of another shape, not floating point, or NaN.
    """
    if name not in scores:
        raise MaskError(f"the criterion gave no scores for '{name}'; it must score every layer")
    score = scores[name].detach()
    if score.shape != kept.shape:
        raise MaskError(
            f"scores of '{name}' have shape {tuple(score.shape)}, its weight {tuple(kept.shape)}"
        )
    if not score.is_floating_point():
        raise MaskError(f"scores of '{name}' are {score.dtype}; expected a floating-point tensor")
    # float64 holds every value of the smaller float types exactly, so mixed layers compare right.
    values = score.cpu().flatten()[survivors].double()
    if bool(values.isnan().any()):
        raise MaskError(
            f"{int(values.isnan().sum())} surviving scores of '{name}' are NaN; "
            "a criterion must give every surviving weight a number"
        )
    return values
