"""One pruning by a config: score, allocate, select, in as many rounds as it says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from lottery.core import (
    Group,
    Mask,
    Probe,
    Reduce,
    ScoreContext,
    Scores,
    Units,
    allocate,
    find_channels,
    find_criterion,
    fixed_groups,
    kept_at_density,
    kept_linearly,
    lamp_scores,
    layer_fraction,
    make_units,
    planned_densities,
    prunable_weights,
    prune_in_rounds,
    select,
    unit_counts,
)
from lottery.errors import UsageError
from lottery.rng import Streams
from lottery.tickets.config import PruneConfig
from lottery.training import State


def prune_mask(
    config: PruneConfig,
    level: int,
    mask: Mask,
    *,
    trained: State,
    initial: State,
    streams: Streams,
    probe: Probe | None = None,
    levels: int | None = None,
    units: Units | None = None,
) -> Mask:
    """The mask of ``level``: ``mask`` pruned once more.

    Args:
        config: criterion, scope, schedule, fractions and rounds.
        level: the level to make, 1 or more; names the criterion's random stream.
        mask: that of the level before.
        trained: the trained weights that decide.
        initial: the weights at initialization.
        streams: the replicate's.
        probe: from `make_probe`, for a criterion that looks at the network.
        levels: how many there are in all; for the linear schedule alone.
        units: from `network_units`.

    Returns:
        A subset of ``mask`` with exactly the count that the config says. It may leave a layer
        empty: see `Ticket.check`.

    Raises:
        UsageError: there is no such criterion, it needs a probe and has none, more is to go than it
            lets go, or the schedule says no density for the level or one that cannot be reached.
        MaskError: scores are not what selection, or the scope, can use.
    """
    criterion = find_criterion(config.criterion)
    reduce: Reduce = "mean" if criterion.per_unit else config.reduce
    context = ScoreContext(
        weights={name: trained[name] for name in mask},
        initial={name: initial[name] for name in mask},
        mask=mask,
        generator=streams.generator("criterion", level),
        probe=probe,
    )
    groups = _groups(config, level, mask, levels, units)

    def score(current: Mask) -> Scores:
        scores = criterion.score(replace(context, mask=current))
        return lamp_scores(scores, current) if config.scope == "lamp" else scores

    def choose(scores: Scores, before: Mask, going: Sequence[Group], /) -> Mask:
        after = select(scores, before, going, units, reduce=reduce)
        _check_what_must_stay(config.criterion, scores, before, after)
        return after

    return prune_in_rounds(
        score,
        mask,
        groups,
        rounds=config.rounds,
        schedule=config.round_schedule,
        regrow=config.regrow,
        choose=choose,
        survivors=unit_counts(mask, units),
    )


def _groups(
    config: PruneConfig, level: int, mask: Mask, levels: int | None, units: Units | None
) -> tuple[Group, ...]:
    """Where units compete at this level, and how many go."""
    if units is not None and units.keep is not None:
        return tuple(g for g in fixed_groups(mask, units) if not _exempt(g.layers[0], config))
    # What a layer can be compared by: its weights, or how many units it has.
    shapes: dict[str, tuple[int, ...]] = (
        {name: tuple(mask[name].shape) for name in mask}
        if units is None
        else {name: (len(numbers),) for name, numbers in units.homes.items()}
    )
    total = sum(math.prod(shape) for shape in shapes.values())
    return allocate(
        unit_counts(mask, units),
        scope=config.scope,
        fraction=config.fraction,
        fractions=config.fractions,
        keep=kept_at_level(config, level, total, levels),
        shapes=shapes,
    )


def _exempt(name: str, config: PruneConfig) -> bool:
    return layer_fraction(name, config.fraction, config.fractions) == 0


def network_units(
    config: PruneConfig, model: nn.Module, input_shape: Sequence[int]
) -> Units | None:
    """What the config removes as one of this network; None for single weights.

    Args:
        config: the granularity.
        model: the network; its weights do not matter.
        input_shape: of one example.

    Raises:
        UsageError: the network has no such units, or what is coupled in it cannot be traced.
        MissingPackageError: coupled channels need the package torch-pruning.
    """
    channels = None
    if config.granularity == "channel":
        channels = find_channels(model, torch.zeros(2, *input_shape)).channels
    shapes = {name: tuple(weight.shape) for name, weight in prunable_weights(model).items()}
    return make_units(config.granularity, shapes, channels=channels)


def kept_at_level(
    config: PruneConfig, level: int, total: int, levels: int | None = None
) -> int | None:
    """How many weights the schedule keeps at ``level``, 1 or more; None where it says a fraction.

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

    Where larger units than weights go, it is the share of units that are left: how many weights
    these are depends on which.

    Args:
        config: scope, schedule and fractions.
        dense: the mask of level 0.
        levels: how many times the network is pruned.
        units: from `network_units`.

    Raises:
        UsageError: a density cannot be reached, because exempt layers alone keep more.
    """
    if units is not None and units.keep is not None:
        removed = sum(group.remove for group in _groups(config, 1, dense, levels, units))
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


def _check_what_must_stay(criterion: str, scores: Scores, before: Mask, after: Mask) -> None:
    """Check that nothing with a score of infinity was pruned: which of it, would mean nothing."""
    wrong = [
        name
        for name in before
        if bool(torch.isposinf(scores[name].cpu()[before[name] & ~after[name]]).any())
    ]
    if wrong:
        raise UsageError(
            f"prune: criterion '{criterion}' cannot say what of {', '.join(wrong)} is superfluous "
            "(its scores there are infinite), but some must go; give such layers a fraction of 0 "
            "in prune.fractions, or choose another criterion"
        )
