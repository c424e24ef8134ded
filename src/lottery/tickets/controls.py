"""Controls: a ticket with one thing broken on purpose.

Each function changes what it says and nothing else. A control trains with the same data order,
length and settings as the ticket it is made from, so the difference between the two is the effect
of what was broken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from lottery.core import Mask
from lottery.tickets.ticket import Ticket
from lottery.training import State


def reinit(ticket: Ticket, initialize: Callable[[], nn.Module]) -> Ticket:
    """The same mask with a new random initialization (arXiv:1803.03635, section 2).

    Args:
        ticket: whose mask is kept.
        initialize: makes a network with freshly drawn weights; all of its state is taken.
    """
    state = {name: value.detach().clone() for name, value in initialize().state_dict().items()}
    return replace(ticket, weights=state)


def random_mask(ticket: Ticket, generator: torch.Generator) -> Ticket:
    """A random mask with the same number of weights in every layer, and the true rewind weights.

    Every mask with these counts is equally likely. A weight that the new mask enables starts from
    its own rewind value, not from zero.

    Args:
        ticket: whose counts and rewind weights are kept.
        generator: a CPU generator; layers draw from it in sorted order of their names.
    """

    def shuffled(kept: Tensor) -> Tensor:
        order = torch.randperm(kept.numel(), generator=generator)
        return kept.flatten()[order].view(kept.shape)

    return replace(ticket, mask=Mask({name: shuffled(ticket.mask[name]) for name in ticket.mask}))


def continued(ticket: Ticket, trained: State) -> Ticket:
    """The same mask, going on from the trained weights it was made from instead of rewinding.

    Args:
        ticket: whose mask is kept.
        trained: the state at the end of the training that decided the mask.
    """
    return replace(ticket, weights=trained)
