"""Iterative pruning with rewinding: the method itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lottery.core import Mask, Schedule, scored_level
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
) -> Iterator[Level]:
    """Train, prune what is superfluous, rewind the rest, and again.

    The procedure of Frankle & Carbin (arXiv:1803.03635, section 2), with rewinding as in
    arXiv:1903.01611. Level 0 is the dense network; level n + 1 is level n pruned once more. A
    diverged training is the last: there are no weights to prune by.

    Args:
        dense: the ticket of level 0: everything kept, at initialization.
        train: trains a ticket to its end.
        prune: (number of the level to make, mask so far, trained weights that decide) -> mask.
        rewind: (mask, the dense training) -> the ticket with its weights put back.
        levels: how many times to prune, 0 or more; there are levels + 1 trainings.
        schedule: whose trained weights decide, see `lottery.core.schedule`.

    Yields:
        Every level, as soon as it is trained.

    Raises:
        MaskError: a mask empties a layer; that level is not trained.
    """
    first = last = train(dense)
    yield Level(0, dense, first)
    ticket = dense
    for number in range(1, levels + 1):
        if last.status == "diverged":
            return
        deciding = first if scored_level(schedule, number) == 0 else last
        # A mask that moved in training: what is pruned is what the training ended with.
        mask = last.mask if deciding is last and last.mask is not None else ticket.mask
        ticket = rewind(prune(number, mask, deciding.final), first)
        ticket.check()
        last = train(ticket)
        yield Level(number, ticket, last)
