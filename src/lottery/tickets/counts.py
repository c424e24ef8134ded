"""How many weights or units are pruned, and in which layers: known before any training."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lottery.core import (
    Group,
    Mask,
    Units,
    allocate,
    fixed_groups,
    kept_at_density,
    kept_linearly,
    layer_fraction,
    planned_densities,
    unit_counts,
)
from lottery.errors import UsageError
from lottery.tickets.config import PruneConfig


def level_groups(
    config: PruneConfig,
    level: int,
    mask: Mask,
    *,
    levels: int | None = None,
    units: Units | None = None,
) -> tuple[Group, ...]:
    """Where units compete, and how many are removed from the level before to make ``level``.

    Args:
        config: scope, schedule and fractions.
        level: 1 or more.
        mask: that of the level before.
        levels: how many levels there are; for the linear schedule alone.
        units: from `network_units`.

    Raises:
        UsageError: the schedule says no density for the level, or one that cannot be reached; or
            the mask covers nothing.
    """
    _check_something(mask)
    fixed = _fixed(config, mask, units)
    if fixed is not None:
        return fixed
    return _allocated(config, level, unit_counts(mask, units), _shapes(mask, units), levels)


def groups_from_dense(
    config: PruneConfig,
    level: int,
    dense: Mask,
    *,
    levels: int | None = None,
    units: Units | None = None,
) -> tuple[Group, ...]:
    """Where units compete, and how many are removed, from the dense network to a level's density.

    The counts are those of pruning level by level: the network, and with scopes within layers each
    layer, keeps as many as after `level_groups` for every level from 1 to ``level``.

    Args:
        config: scope, schedule and fractions.
        level: 1 or more.
        dense: the mask of level 0.
        levels: how many levels there are; for the linear schedule alone.
        units: from `network_units`.

    Raises:
        UsageError: the schedule says no density for the level, or one that cannot be reached; or
            the mask covers nothing.
    """
    _check_something(dense)
    fixed = _fixed(config, dense, units)
    if fixed is not None:
        return fixed
    shapes, whole = _shapes(dense, units), unit_counts(dense, units)
    kept, groups = dict(whole), tuple[Group, ...]()
    for number in range(1, level + 1):
        groups = _allocated(config, number, kept, shapes, levels)
        for group in groups:
            # Only a group's total matters, so its first layer can stand for the whole of it.
            left = sum(kept[name] for name in group.layers) - group.remove
            kept |= dict.fromkeys(group.layers, 0) | {group.layers[0]: left}
    return tuple(
        Group(group.layers, sum(whole[n] - kept[n] for n in group.layers)) for group in groups
    )


def _check_something(mask: Mask) -> None:
    if not mask.total:
        raise UsageError(
            "there is nothing to prune: the mask covers no weight; "
            "lottery.core.outside_mask(model) says why the network's matrices are not covered"
        )


def _allocated(
    config: PruneConfig,
    level: int,
    survivors: Mapping[str, int],
    shapes: Mapping[str, tuple[int, ...]],
    levels: int | None,
) -> tuple[Group, ...]:
    total = sum(math.prod(shape) for shape in shapes.values())
    return allocate(
        survivors,
        scope=config.scope,
        fraction=config.fraction,
        fractions=config.fractions,
        keep=kept_at_level(config, level, total, levels),
        shapes=shapes,
    )


def _shapes(mask: Mask, units: Units | None) -> dict[str, tuple[int, ...]]:
    """What a layer can be compared by: its weights, or how many units it has."""
    if units is None:
        return {name: tuple(mask[name].shape) for name in mask}
    return {name: (len(numbers),) for name, numbers in units.homes.items()}


def _fixed(config: PruneConfig, mask: Mask, units: Units | None) -> tuple[Group, ...] | None:
    """The groups of an n:m granularity, which leaves nothing to allocate; else None."""
    if units is None or units.keep is None:
        return None
    return tuple(
        group
        for group in fixed_groups(mask, units)
        if layer_fraction(group.layers[0], config.fraction, config.fractions) != 0
    )


def kept_at_level(
    config: PruneConfig, level: int, total: int, levels: int | None = None
) -> int | None:
    """How many weights the schedule keeps at ``level``; None if it is set by a fraction instead.

    Args:
        config: the schedule.
        level: 1 or more.
        total: prunable weights of the dense network.
        levels: how many levels there are; for the linear schedule alone.

    Raises:
        UsageError: the schedule says nothing of this level.
    """
    if config.schedule == "linear":
        if levels is None or not level <= levels:
            raise UsageError(
                f"the linear schedule needs the number of levels, {level} or more, got {levels}"
            )
        return kept_linearly(total, level, levels=levels, final_density=config.final_density)
    if not config.densities:
        return None
    if level > len(config.densities):
        raise UsageError(
            f"prune.densities lists {len(config.densities)} levels: nothing for level {level}"
        )
    return kept_at_density(total, config.densities[level - 1])


def level_densities(
    config: PruneConfig, dense: Mask, levels: int, units: Units | None = None
) -> list[float]:
    """The exact density of every level 0..levels, known before any training.

    With units larger than weights it is the share of units that are left: how many weights that is
    depends on which units are pruned.

    Args:
        config: scope, schedule and fractions.
        dense: the mask of level 0.
        levels: how many times the network is pruned.
        units: from `network_units`.

    Raises:
        UsageError: a density cannot be reached, because exempt layers alone keep more; or the mask
            covers nothing.
    """
    _check_something(dense)
    fixed = _fixed(config, dense, units)
    if fixed is not None:
        removed = sum(group.remove for group in fixed)
        return [1.0, *[1 - removed / dense.total] * levels]
    totals = unit_counts(dense, units)
    total = sum(totals.values())
    keep = [kept_at_level(config, level, total, levels) for level in range(1, levels + 1)]
    return planned_densities(
        totals,
        levels,
        scope=config.scope,
        fraction=config.fraction,
        fractions=config.fractions,
        keep=[k for k in keep if k is not None] if config.says_densities else None,
    )
