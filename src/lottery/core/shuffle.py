"""Shuffling a mask: which of the units that it was made of survive is drawn at random."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from lottery.core.mask import Mask
from lottery.core.units import Units, check_units, surviving_units
from lottery.errors import MaskError


def interchangeable_units(units: Units) -> list[Tensor]:
    """Groups of units that can replace each other without a change of any layer's count.

    Units of one group have the same home and as many weights in each labelling of each layer: all
    filters of a layer are one group, but smaller blocks at its edge are another; coupled channels
    are in one group if the same layers write and read them.

    Args:
        units: of any granularity but n:m.

    Returns:
        For each group the numbers of its units, int64, ascending; every unit is in one group.
    """
    kinds = torch.cat([torch.full((len(n),), i) for i, n in enumerate(units.homes.values())])
    for labelling in (one for name in sorted(units.labels) for one in units.labels[name]):
        sizes = labelling[labelling >= 0].bincount(minlength=units.count)
        there = sizes.nonzero().squeeze(1)
        both = kinds[there] * (int(sizes.max()) + 1) + sizes[there]
        kinds[there] = int(kinds.max()) + 1 + both.unique(return_inverse=True)[1]
    order = kinds.argsort(stable=True)
    counts = kinds[order].unique_consecutive(return_counts=True)[1]
    return [*order.split(counts.tolist())]


def shuffled_units(
    mask: Mask, units: Units, groups: Iterable[Tensor], generator: torch.Generator
) -> Mask:
    """A mask from which as many units of each group are removed, drawn at random.

    Args:
        mask: a mask from which whole units were removed, and nothing else.
        units: of this mask; of any granularity but n:m.
        groups: numbers of units that are shuffled among each other, each in one group at most;
            units in no group are left as they are.
        generator: a CPU generator; groups draw from it in turn.

    Raises:
        MaskError: the units do not fit the mask, or are n:m, or the mask has removed something
            other than whole units.
    """
    if units.keep is not None:
        raise MaskError(
            f"of every run {units.keep} weights stay, so that there is nothing to shuffle between "
            "runs; shuffle within them"
        )
    alive = surviving_units(mask, units)
    if _without(mask, units, alive) != mask:
        raise MaskError(
            "the mask has removed parts of units, so that whole ones cannot be shuffled; use the "
            "units that it was made of"
        )
    drawn = alive.clone()
    for numbers in groups:
        order = torch.randperm(len(numbers), generator=generator)
        drawn[numbers] = alive[numbers][order]
    return _without(mask, units, drawn)


def shuffled_within_units(mask: Mask, units: Units, generator: torch.Generator) -> Mask:
    """A mask that keeps as many weights of each unit, drawn at random: for n:m.

    Args:
        mask: what is kept now.
        units: of this mask, with one labelling a layer.
        generator: a CPU generator; layers draw from it in sorted order of their names.
    """
    check_units(units, mask)
    kept = dict(mask)
    for name in sorted(units.labels):
        (labelling,) = units.labels[name]
        runs = labelling.broadcast_to(kept[name].shape).flatten()
        shuffled = torch.randperm(len(runs), generator=generator)
        # Two orders by run, one of them shuffled within it: what lies at one goes to the other.
        places = shuffled[runs[shuffled].argsort(stable=True)]
        layer = torch.empty_like(kept[name]).flatten()
        layer[places] = kept[name].flatten()[runs.argsort(stable=True)]
        kept[name] = layer.view(kept[name].shape)
    return Mask(kept)


def _without(mask: Mask, units: Units, alive: Tensor) -> Mask:
    """All but the weights of units that are not alive, in layers with units; the rest as it is."""
    # One place more than there are units: a weight in no unit has the number -1 and stays.
    stays = torch.cat([alive, torch.ones(1, dtype=torch.bool)])
    kept = dict(mask)
    for name, labellings in units.labels.items():
        kept[name] = torch.ones_like(kept[name])
        for numbers in labellings:
            kept[name] &= stays[numbers]
    return Mask(kept)
