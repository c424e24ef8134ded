"""What a control is, and what it is made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from lottery.core import Units
from lottery.methods.base import Bound, Inputs, Method
from lottery.tasks.protocol import How
from lottery.tickets import (
    PruneConfig,
    Ticket,
)
from lottery.training import MaskLearning, MaskMethod, State


@dataclass(frozen=True, kw_only=True)
class Branch:
    """What a kind of training is called and looks like: a control, the tickets, dense networks."""

    kind: str
    """Of a control, the branch without its number; else ``main`` or ``dense``."""
    label: str
    column: str
    """Head of a narrow column, at most 8 characters a line."""
    sentence: str
    """How a sentence begins that says what became of it."""
    note: str
    """What it is, to follow its label."""
    light: str
    """Colour on a light page, ``#rrggbb``."""
    dark: str
    """Colour on a dark page, ``#rrggbb``."""
    symbol: str
    """Of its mark, as Plotly names them."""
    dash: str
    """Of its line, as Plotly names them."""


def source_replicate(number: int) -> int:
    """The replicate whose tickets' masks are moved to another: the one before it, however many.

    >>> source_replicate(0), source_replicate(1), source_replicate(4)
    (1, 0, 3)
    """
    return number - 1 if number else 1


@dataclass(frozen=True, kw_only=True)
class Breaking:
    """What a control is made from.

    Args:
        level: of both.
        ticket: that of its level.
        inputs: what else there is of its replicate.
        source: what there is of its source, another replicate, see `source_replicate`.
        bound: the experiment.
        generator: at the start of the control's own stream.
        initialize: makes a network with weights drawn from that stream.
        trained: reads the trained state that decided the ticket's mask.
    """

    level: int
    ticket: Ticket
    inputs: Inputs
    source: Inputs
    bound: Bound
    generator: torch.Generator
    initialize: Callable[[], nn.Module]
    trained: Callable[[], State]

    @property
    def units(self) -> Units | None:
        """What is removed as one."""
        return self.bound.task.units(self.bound.prune)


@dataclass(frozen=True, kw_only=True)
class Control(Branch):
    """One kind of control."""

    make: Callable[[Breaking], Ticket]
    """Breaks the one thing."""
    needs_trained: bool = False
    """Whether it starts from the trained weights that decided its ticket's mask."""
    moves_mask: Literal["", "as it is", "aligned"] = ""
    """Whether its mask is that of its source's ticket, another replicate's; if aligned, by both
    dense networks, trained."""
    starts_over: bool = False
    """Whether it trains from the beginning, in the dense network's way, wherever its ticket
    starts."""
    same_multiplications: bool = False
    """Whether it trains until it has made the dense training's multiplications."""
    mask_method: MaskMethod | None = None
    """How its mask is trained, in place of the weights; None: the weights are trained."""
    usual: int | bool = 0
    """How many there are where a config says nothing; False of one that there can be once."""
    more: str = ""
    """What there is to know for who asks for it, besides the note."""
    refusal: Callable[[Method, PruneConfig], str] = lambda *_: ""
    """Why there is none with such tickets; empty where there is."""

    @property
    def setting(self) -> str:
        """The name of its number in a config."""
        return self.kind.replace("-", "_")

    @property
    def meaning(self) -> str:
        """What it is, in sentences."""
        return " ".join(filter(None, (f"{self.note[0].upper()}{self.note[1:]}.", self.more)))

    def how(self, ticket: How, branch: str, level: int) -> How:
        """How it is trained: as its ticket, unless its record says otherwise."""
        mask_learning = self.mask_method and MaskLearning(
            method=self.mask_method, stream=(branch, level)
        )
        if mask_learning is None and not self.starts_over:
            return ticket
        return How(
            same_multiplications=self.same_multiplications,
            updates=How().updates if mask_learning else ticket.updates,
            gradual=None if mask_learning else ticket.gradual,
            mask_learning=mask_learning,
        )

    def decides(self, bound: Bound) -> Any:
        """What decides its ticket besides that of its level and its stream: plain."""
        if self.mask_method:
            return bound.masks.of(self.mask_method).weights
        if self.moves_mask == "aligned":
            return {"examples": bound.prune.examples, "batch_size": bound.prune.batch_size}
        return None
