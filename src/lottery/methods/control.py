"""The record of a control, and what a control's ticket is made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from lottery.core import Units
from lottery.methods.base import Method, MethodContext, ReplicateInputs
from lottery.tasks.protocol import TrainingVariant
from lottery.tickets import PruneConfig, Ticket
from lottery.training import MaskLearning, MaskMethod, State


@dataclass(frozen=True, kw_only=True)
class Branch:
    """How a kind of training is named and drawn: a control, the tickets, or the dense networks."""

    kind: str
    """The kind of control, as in a branch before the number; else ``main`` or ``dense``."""
    label: str
    column: str
    """Head of a narrow column, at most 8 characters a line."""
    sentence: str
    """The beginning of a sentence about its results."""
    note: str
    """What it is, in a phrase that follows the label."""
    light: str
    """Colour on a light page, ``#rrggbb``."""
    dark: str
    """Colour on a dark page, ``#rrggbb``."""
    symbol: str
    """Marker symbol, by its name in Plotly."""
    dash: str
    """Line dash, by its name in Plotly."""


def source_replicate(number: int) -> int:
    """The replicate whose masks the controls with moved masks use: the one before; for 0 it is 1.

    >>> source_replicate(0), source_replicate(1), source_replicate(4)
    (1, 0, 3)
    """
    return number - 1 if number else 1


@dataclass(frozen=True, kw_only=True)
class ControlContext:
    """What a control's ticket is made from.

    Args:
        level: the level of the ticket and of the control.
        ticket: the ticket of this level.
        inputs: the states and tickets of its replicate.
        source: those of the replicate whose masks are moved here, see `source_replicate`.
        context: the experiment.
        generator: at the start of the control's own random stream.
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
        """The units of weights that are removed together; None for single weights."""
        return self.context.task.units(self.context.prune)


@dataclass(frozen=True, kw_only=True)
class Control(Branch):
    """One kind of control."""

    make: Callable[[ControlContext], Ticket]
    """Makes the control's ticket: the ticket with one thing broken."""
    needs_trained: bool = False
    """Whether it starts from the trained weights that decided its ticket's mask."""
    draws_weights: bool = False
    """Whether its weights, or their magnitudes, are drawn anew."""
    moves_mask: Literal["", "as it is", "aligned"] = ""
    """Whether its mask is that of another replicate's ticket: ``as it is``, or ``aligned`` by means
    of both trained dense networks; empty if it is not."""
    starts_over: bool = False
    """Whether it trains from iteration 0, like the dense network, wherever its ticket starts."""
    same_multiplications: bool = False
    """Whether it trains until it has made as many multiplications as the dense training."""
    mask_method: MaskMethod | None = None
    """How its mask is trained, if that is trained instead of the weights."""
    default: int | bool = 0
    """How many there are if a config does not say; a bool for a control that can be there once."""
    details: str = ""
    """More on it for the documentation of its setting, in sentences after the note."""
    refusal: Callable[[Method, PruneConfig], str] = lambda *_: ""
    """Why it has no meaning for tickets of this method and pruning; empty if it has."""

    @property
    def setting(self) -> str:
        """The key of its number in a config."""
        return self.kind.replace("-", "_")

    @property
    def meaning(self) -> str:
        """What it is, in sentences, for the documentation of its setting."""
        return " ".join(filter(None, (f"{self.note[0].upper()}{self.note[1:]}.", self.details)))

    def variant(self, ticket: TrainingVariant, branch: str, level: int) -> TrainingVariant:
        """How it is trained: like its ticket, unless its record says otherwise.

        Args:
            ticket: how the ticket of its level is trained.
            branch: the control's branch, such as ``edge-popup-1``.
            level: the level.
        """
        mask_learning = self.mask_method and MaskLearning(
            method=self.mask_method, stream=(branch, level)
        )
        if mask_learning is None and not self.starts_over:
            return ticket
        return TrainingVariant(
            same_multiplications=self.same_multiplications,
            updates=TrainingVariant().updates if mask_learning else ticket.updates,
            gradual=None if mask_learning else ticket.gradual,
            mask_learning=mask_learning,
        )

    def decides(self, context: MethodContext) -> Any:
        """The settings that decide it, besides its level's ticket and its random stream.

        Plain JSON; part of the identity of its jobs.
        """
        if self.mask_method:
            return context.masks.of(self.mask_method).weights
        if self.moves_mask == "aligned":
            return {"examples": context.prune.examples, "batch_size": context.prune.batch_size}
        return None
