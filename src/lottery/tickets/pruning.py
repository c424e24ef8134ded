"""One pruning by a config: score, allocate, select, in as many rounds as it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from lottery.core import (
    Group,
    Mask,
    Probe,
    ScoreContext,
    Scores,
    allocate,
    find_criterion,
    kept_at_density,
    kept_linearly,
    lamp_scores,
    planned_densities,
    prune_in_rounds,
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
    probe: Probe | None = None,
    levels: int | None = None,
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

    Returns:
        A subset of ``mask`` with exactly the count that the config says. It may leave a layer
        empty: see `Ticket.check`.

    Raises:
        UsageError: there is no such criterion, it needs a probe and has none, more is to go than it
            lets go, or the schedule says no density for the level or one that cannot be reached.
        MaskError: scores are not what selection, or the scope, can use.
    """
    criterion = find_criterion(config.criterion).score
    context = ScoreContext(
        weights={name: trained[name] for name in mask},
        initial={name: initial[name] for name in mask},
        mask=mask,
        generator=streams.generator("criterion", level),
        probe=probe,
    )
    groups = allocate(
        {name: kept for name, (kept, _) in mask.layers.items()},
        scope=config.scope,
        fraction=config.fraction,
        fractions=config.fractions,
        keep=kept_at_level(config, level, mask.total, levels),
        shapes={name: mask[name].shape for name in mask},
    )

    def score(current: Mask) -> Scores:
        scores = criterion(replace(context, mask=current))
        return lamp_scores(scores, current) if config.scope == "lamp" else scores

    def choose(scores: Scores, before: Mask, going: Sequence[Group], /) -> Mask:
        after = select(scores, before, going)
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
    )


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
