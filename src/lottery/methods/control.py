"""What a control is, and what it is made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from lottery.core import Units
from lottery.methods.base import Method, MethodContext, ReplicateInputs
from lottery.tasks.protocol import TrainingVariant
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
class ControlContext:
    """What a control is made from.

    Args:
        level: of both.
        ticket: that of its level.
        inputs: what else there is of its replicate.
        source: what there is of its source, another replicate, see `source_replicate`.
        context: the experiment.
        generator: at the start of the control's own stream.
        initialize: makes a network with weights drawn from that stream.
        trained: reads the trained state that decided the ticket's mask.
    """

    level: int
    ticket: Ticket
    inputs: ReplicateInputs
    source: ReplicateInputs
    context: MethodContext
    generator: torch.Generator
    initialize: Callable[[], nn.Module]
    trained: Callable[[], State]

    @property
    def units(self) -> Units | None:
        """What is removed as one."""
        return self.context.task.units(self.context.prune)


@dataclass(frozen=True, kw_only=True)
class Control(Branch):
    """One kind of control."""

    make: Callable[[ControlContext], Ticket]
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
    learns: MaskMethod | None = None
    """How it learns its mask, if that is what is trained."""
    default: int | bool = 0
    """How many there are where a config says nothing; False of one that there can be once."""
    details: str = ""
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
        return " ".join(filter(None, (f"{self.note[0].upper()}{self.note[1:]}.", self.details)))

    def variant(self, ticket: TrainingVariant, branch: str, level: int) -> TrainingVariant:
        """How it is trained: as its ticket, unless its record says otherwise."""
        learns = self.learns and MaskLearning(method=self.learns, stream=(branch, level))
        if learns is None and not self.starts_over:
            return ticket
        return TrainingVariant(
            same_multiplications=self.same_multiplications,
            updates=TrainingVariant().updates if learns else ticket.updates,
            gradual=None if learns else ticket.gradual,
            learns=learns,
        )

    def decides(self, context: MethodContext) -> Any:
        """What decides its ticket besides that of its level and its stream: plain."""
        if self.learns:
            return context.masks.of(self.learns).weights
        if self.moves_mask == "aligned":
            return {"examples": context.prune.examples, "batch_size": context.prune.batch_size}
        return None
