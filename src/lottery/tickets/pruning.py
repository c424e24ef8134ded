"""One pruning by a config: score, allocate, select."""

from __future__ import annotations

from lottery.core import CRITERIA, Mask, ScoreContext, allocate, select
from lottery.rng import Streams
from lottery.tickets.config import PruneConfig
from lottery.training import State


def prune_mask(
    config: PruneConfig, level: int, mask: Mask, *, trained: State, initial: State, streams: Streams
) -> Mask:
    """The mask of ``level``: ``mask`` pruned once more.

    Args:
        config: criterion, scope and fractions.
        level: the level to make, 1 or more; names the criterion's random stream.
        mask: that of the level before.
        trained: the trained weights that decide.
        initial: the weights at initialization.
        streams: the replicate's.

    Returns:
        A subset of ``mask`` with exactly the count that the config says. It may leave a layer
        empty: see `Ticket.check`.
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
    )
    return select(CRITERIA[config.criterion](context), mask, groups)
