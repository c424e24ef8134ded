"""Selection: the one function that decides what survives."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import torch
from torch import Tensor

from lottery.core.allocate import Group
from lottery.core.criteria import Scores
from lottery.core.mask import Mask
from lottery.core.unit_scores import score_units, survivor_scores
from lottery.core.units import Reduce, Units, check_units, flat_survivors
from lottery.errors import MaskError


def select(
    scores: Scores,
    mask: Mask,
    groups: Iterable[Group],
    units: Units | None = None,
    *,
    reduce: Reduce = "sum",
    per_unit: bool = False,
) -> Mask:
    """Remove the lowest-scoring survivors of each group; what is pruned never comes back.

    The count is exact: a group with n survivors keeps ``n - group.remove``, whatever the scores.
    Among equal scores, the weight with the lower (layer name, flat index) survives.

    With ``units`` these are removed whole, and ``group.remove`` counts units. A unit survives while
    any of its weights does; its score is the sum of the scores of its surviving weights, in
    float64, layer by layer in the order of their indices. Among equals the lower number survives.
    With ``units.keep_best``, the best surviving unit of each axis of each layer is not removed.
    With ``units.keep`` (n:m) each unit keeps that many of its highest weights, and ``group.remove``
    must be the number of weights that this removes: see `lottery.core.fixed_groups`.

    Args:
        scores: parameter name -> float tensor of the parameter's shape; higher means keep.
            Infinities are scores like any other. Where ``mask`` is False they are ignored.
        mask: what is kept now.
        groups: from `lottery.core.allocate`; a layer in no group stays as it is. With ``units``
            the names are homes of units, and counts are those of `lottery.core.unit_counts`.
        units: from `lottery.core.make_units`; None: every weight is a unit of its own.
        reduce: ``"sum"`` or ``"mean"`` of the scores of a unit's surviving weights.
        per_unit: whether scores belong to outputs of layers, see `CriterionEntry`. Then ``reduce``
            is ignored: a unit's score is the mean, a coupled channel's the mean over its outputs,
            see `lottery.core.unit_scores.score_units`.

    Returns:
        A mask that is a subset of ``mask``.

    Raises:
        MaskError: a score is missing, of another shape, not floating point, or NaN where the
            weight survives; a unit holds both infinities; or a group removes more than there is to
            remove, or names a layer that the mask (or the units) does not have.
    """
    if units is None:
        return _select_weights(scores, mask, groups)
    if units.keep is None:
        return _select_units(scores, mask, tuple(groups), units, reduce, per_unit)
    return _select_within_units(scores, mask, groups, units, units.keep)


def _select_weights(scores: Scores, mask: Mask, groups: Iterable[Group]) -> Mask:
    kept = dict(mask)
    for group in groups:
        layers = _names(group, kept, "the mask's layers")
        survivors = {name: flat_survivors(kept[name]) for name in layers}
        values = torch.cat([survivor_scores(n, scores, kept[n], survivors[n]) for n in layers])
        if not 0 <= group.remove <= values.numel():
            raise MaskError(
                f"cannot remove {group.remove} weights from {', '.join(layers)}: "
                f"expected 0 to {values.numel()}, as many as survive"
            )
        gone = torch.zeros(values.numel(), dtype=torch.bool)
        gone[_lowest(values, group.remove)] = True
        for name, part in zip(
            layers, gone.split([survivors[n].numel() for n in layers]), strict=True
        ):
            kept[name].view(-1)[survivors[name][part]] = False
    return Mask(kept)


def _select_units(
    scores: Scores,
    mask: Mask,
    groups: tuple[Group, ...],
    units: Units,
    reduce: Reduce,
    per_unit: bool,
) -> Mask:
    check_units(units, mask)
    homes = [_names(group, units.homes, "the homes of its units") for group in groups]
    competing = torch.zeros(units.count, dtype=torch.bool)
    for name in (name for names in homes for name in names):
        competing[units.homes[name].start : units.homes[name].stop] = True
    alive, values = score_units(scores, mask, units, competing, reduce=reduce, per_unit=per_unit)
    removable = alive & ~_best_of_each_axis(values, alive, units) if units.keep_best else alive
    # One place more than there are units: a weight in no unit has the number -1 and stays.
    gone = torch.zeros(units.count + 1, dtype=torch.bool)
    for group, names in zip(groups, homes, strict=True):
        ranges = [units.homes[name] for name in names]
        numbers = torch.cat([torch.arange(r.start, r.stop) for r in ranges])
        numbers = numbers[removable[numbers] & ~gone[numbers]]
        if not 0 <= group.remove <= numbers.numel():
            raise MaskError(
                f"cannot remove {group.remove} units from {', '.join(names)}: expected 0 to "
                f"{numbers.numel()}, as many as survive"
                + (" beyond the best one of each layer" if units.keep_best else "")
            )
        gone[numbers[_lowest(values[numbers], group.remove)]] = True
    kept = dict(mask)
    for name, labellings in units.labels.items():
        for numbers in labellings:
            kept[name] &= ~gone[numbers]
    return Mask(kept)


def _select_within_units(
    scores: Scores, mask: Mask, groups: Iterable[Group], units: Units, keep: int
) -> Mask:
    check_units(units, mask)
    kept = dict(mask)
    for group in groups:
        removed = 0
        for name in _names(group, units.homes, "the layers with units"):
            survivors = flat_survivors(kept[name])
            values = survivor_scores(name, scores, kept[name], survivors)
            runs = units.labels[name][0].broadcast_to(kept[name].shape).flatten()[survivors]
            gone = survivors[_beyond_best(values, runs, keep)]
            kept[name].view(-1)[gone] = False
            removed += gone.numel()
        if removed != group.remove:
            raise MaskError(
                f"keeping {keep} weights of each unit removes {removed} from "
                f"{', '.join(group.layers)}, but the group says {group.remove}; "
                "make the groups with fixed_groups"
            )
    return Mask(kept)


def _lowest(values: Tensor, count: int) -> Tensor:
    """Positions of the lowest values; among equals the later ones."""
    # The sort is stable, so among equals the later (layer name, flat index) comes last, and
    # the last ones go.
    return values.argsort(descending=True, stable=True)[values.numel() - count :]


def _beyond_best(values: Tensor, runs: Tensor, keep: int) -> Tensor:
    """Positions of the values that are not among the ``keep`` highest of their run."""
    order = values.argsort(descending=True, stable=True)
    order = order[runs[order].argsort(stable=True)]
    sizes = runs.unique(return_counts=True)[1]
    starts = (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    return order[torch.arange(values.numel()) - starts >= keep]


def _best_of_each_axis(values: Tensor, alive: Tensor, units: Units) -> Tensor:
    """The best surviving unit of each labelling in which every place lies in a unit."""
    best = torch.zeros_like(alive)
    for numbers in (labelling for pair in units.labels.values() for labelling in pair):
        candidates = numbers.unique()
        if bool((candidates >= 0).all()):
            candidates = candidates[alive[candidates]]
            best[candidates[values[candidates].argsort(descending=True, stable=True)[:1]]] = True
    return best


def _names(group: Group, known: Collection[str], what: str) -> list[str]:
    """The names of a group in the order of ties."""
    unknown = [name for name in sorted(group.layers) if name not in known]
    if unknown or not group.layers:
        raise MaskError(
            f"a group names {', '.join(unknown) or 'no layer'}; {what} are {', '.join(known)}"
        )
    return sorted(group.layers)
