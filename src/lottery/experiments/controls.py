"""A control's ticket, made from the ticket of its level."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from lottery.store import JobKey
from lottery.tickets import (
    Ticket,
    continued,
    random_mask,
    random_signs,
    reinit,
    scratch,
    shuffled_global,
    signs_constant,
    signs_random_magnitudes,
)
from lottery.training import State


def make_control(
    key: JobKey,
    ticket: Ticket,
    *,
    generator: torch.Generator,
    initialize: Callable[[], nn.Module],
    initial: Callable[[], State],
    trained: Callable[[], State],
) -> Ticket:
    """Break the one thing that the control's kind says.

    Args:
        key: the control's job.
        ticket: that of its level.
        generator: the control's own stream.
        initialize: makes a network with weights drawn from the same stream.
        initial: reads the state at initialization.
        trained: reads the trained state that decided the ticket's mask.
    """
    match key.kind:
        case "reinit":
            return reinit(ticket, initialize)
        case "random-mask":
            return random_mask(ticket, generator)
        case "continued":
            return continued(ticket, trained())
        case "shuffled-global":
            return shuffled_global(ticket, generator)
        case "signs-random-magnitudes":
            return signs_random_magnitudes(ticket, initialize)
        case "signs-constant":
            return signs_constant(ticket, initial())
        case "random-signs":
            return random_signs(ticket, generator)
        case "scratch-epochs" | "scratch-flops":
            return scratch(ticket, initialize)
    raise ValueError(f"expected a kind of control, got {key.kind}")
