"""Iterative pruning with rewinding as one plain loop, which runs are compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lottery.core import Mask, Schedule, scored_level
from lottery.errors import MaskError
from lottery.tickets.ticket import Ticket
from lottery.training import State, TrainingResult


@dataclass(frozen=True)
class Level:
    """One level of the method: the ticket, and what training it gave."""

    number: int
    ticket: Ticket
    trained: TrainingResult


def find_tickets(
    *,
    dense: Ticket,
    train: Callable[[Ticket], TrainingResult],
    prune: Callable[[int, Mask, State], Mask],
    rewind: Callable[[Mask, TrainingResult], Ticket],
    levels: int,
    schedule: Schedule = "geometric",
    passes: Callable[[Mask], bool] | None = None,
) -> Iterator[Level]:
    """Train, prune what is superfluous, rewind the rest, and again.

    The procedure of Frankle & Carbin (arXiv:1803.03635, section 2), with rewinding as in
    arXiv:1903.01611. Level 0 is the dense network; level n + 1 is level n pruned once more,
    or with the one-shot schedule the dense network pruned further. What is to be pruned by the
    weights of a training that diverged is not made, and nothing after it.

    Args:
        dense: the ticket of level 0: everything kept, at initialization.
        train: trains a ticket to its end.
        prune: (number of the level to make, mask that is pruned, trained weights that decide) ->
            mask.
        rewind: (mask, the dense training) -> the ticket with its weights put back.
        levels: how many times to prune, 0 or more; there are levels + 1 trainings.
        schedule: which level is pruned, see `lottery.core.scored_level`.
        passes: whether a signal can pass a mask, such as by `lottery.core.signal_passes`; None:
            where no layer is empty, which is strict for networks with residual connections.

    Yields:
        Every level, as soon as it is trained.

    Raises:
        MaskError: no signal can pass a mask; that level is not trained.
    """
    first = last = Level(0, dense, train(dense))
    yield first
    for number in range(1, levels + 1):
        before = first if scored_level(schedule, number) == 0 else last
        if before.trained.status == "diverged":
            return
        # A mask that moved in training: what is pruned is what the training ended with.
        mask = before.ticket.mask if before.trained.mask is None else before.trained.mask
        ticket = rewind(prune(number, mask, before.trained.final), first.trained)
        if passes is None:
            ticket.check()
        elif not passes(ticket.mask):
            raise MaskError(f"no signal can pass the mask of level {number}; prune less")
        last = Level(number, ticket, train(ticket))
        yield last
