"""One pruning by a config: score, allocate, select, in as many rounds as it says."""

from __future__ import annotations

from collections.abc import Sequence
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
) -> Mask:
    """The mask of ``level``: ``mask`` pruned once more.

    Args:
        config: criterion, scope, fractions and rounds.
        level: the level to make, 1 or more; names the criterion's random stream.
        mask: that of the level before.
        trained: the trained weights that decide.
        initial: the weights at initialization.
        streams: the replicate's.
        probe: from `make_probe`, for a criterion that looks at the network.

    Returns:
        A subset of ``mask`` with exactly the count that the config says. It may leave a layer
        empty: see `Ticket.check`.

    Raises:
        UsageError: there is no such criterion, it needs a probe and has none, or more is to go than
            it lets go.
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
    )

    def choose(scores: Scores, before: Mask, going: Sequence[Group], /) -> Mask:
        after = select(scores, before, going)
        _check_what_must_stay(config.criterion, scores, before, after)
        return after

    return prune_in_rounds(
        lambda current: criterion(replace(context, mask=current)),
        mask,
        groups,
        rounds=config.rounds,
        schedule=config.round_schedule,
        regrow=config.regrow,
        choose=choose,
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
