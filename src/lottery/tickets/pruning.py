"""One pruning by a config: score, allocate, select."""

from __future__ import annotations

from collections.abc import Mapping

from lottery.core import (
    CRITERIA,
    Mask,
    ScoreContext,
    allocate,
    kept_at_density,
    kept_linearly,
    lamp_scores,
    planned_densities,
    select,
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
    levels: int | None = None,
) -> Mask:
    """The mask of ``level``: ``mask`` pruned once more.

    Args:
        config: criterion, scope, schedule and fractions.
        level: the level to make, 1 or more; names the criterion's random stream.
        mask: that of the level before.
        trained: the trained weights that decide.
        initial: the weights at initialization.
        streams: the replicate's.
        levels: how many there are in all; for the linear schedule alone.

    Returns:
        A subset of ``mask`` with exactly the count that the config says. It may leave a layer
        empty: see `Ticket.check`.

    Raises:
        UsageError: the schedule says no density for the level, or one that cannot be reached.
        MaskError: scores are not what selection, or the scope, can use.
    """
    context = ScoreContext(
        weights={name: trained[name] for name in mask},
        initial={name: initial[name] for name in mask},
        mask=mask,
        generator=streams.generator("criterion", level),
    )
    groups = allocate(
        {name: kept for name, (kept, _) in mask.layers.items()},
        scope=config.scope,
        fraction=config.fraction,
        fractions=config.fractions,
        keep=kept_at_level(config, level, mask.total, levels),
        shapes={name: mask[name].shape for name in mask},
    )
    scores = CRITERIA[config.criterion](context)
    if config.scope == "lamp":
        scores = lamp_scores(scores, mask)
    return select(scores, mask, groups)


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


def level_densities(config: PruneConfig, totals: Mapping[str, int], levels: int) -> list[float]:
    """The exact density of every level 0..levels, known before any training.

    Args:
        config: scope, schedule and fractions.
        totals: parameter name -> number of weights.
        levels: how many times the network is pruned.

    Raises:
        UsageError: a density cannot be reached, because exempt layers alone keep more.
    """
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
