"""The controls: one record each, of what is broken on purpose, how that trains, and how it looks.

A control of a ticket shares data order and settings with it; the difference between the two is the
effect of what was broken. Its kind and number are the name of its random stream.

Colours come in a version for light and one for dark pages. Blue is the tickets' alone. The dense
network, the tickets and the three most used controls can be told apart by colour with every kind of
colour blindness; there are not fifteen colours of which that could be said, so that of any other
two kinds marks or dashes differ as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn

from lottery.core import Units, fan_ins, layer_fraction
from lottery.methods.base import Bound, Inputs
from lottery.tasks.protocol import How
from lottery.tickets import (
    Ticket,
    continued,
    random_mask,
    random_signs,
    reinit,
    reinit_with_signs,
    scratch,
    shuffled_global,
    signs_constant,
    signs_random_magnitudes,
    signs_scaled_constant,
    untrained,
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


@dataclass(frozen=True, kw_only=True)
class Breaking:
    """What a control is made from.

    Args:
        ticket: that of its level.
        inputs: what else there is of its replicate.
        bound: the experiment.
        generator: at the start of the control's own stream.
        initialize: makes a network with weights drawn from that stream.
        trained: reads the trained state that decided the ticket's mask.
    """

    ticket: Ticket
    inputs: Inputs
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
    starts_over: bool = False
    """Whether it trains from the beginning, in the dense network's way, wherever its ticket
    starts."""
    same_multiplications: bool = False
    """Whether it trains until it has made the dense training's multiplications."""
    learns: MaskMethod | None = None
    """How it learns its mask, if that is what is trained."""

    @property
    def setting(self) -> str:
        """The name of its number in a config."""
        return self.kind.replace("-", "_")

    def how(self, ticket: How, branch: str, level: int) -> How:
        """How it is trained: as its ticket, unless its record says otherwise."""
        learns = self.learns and MaskLearning(method=self.learns, stream=(branch, level))
        if learns is None and not self.starts_over:
            return ticket
        return How(
            same_multiplications=self.same_multiplications,
            updates=How().updates if learns else ticket.updates,
            gradual=None if learns else ticket.gradual,
            learns=learns,
        )

    def decides(self, bound: Bound) -> Any:
        """What decides its ticket besides that of its level and its stream: plain."""
        if self.learns:
            return bound.masks.of(self.learns).weights
        return None


def _shuffled(it: Breaking) -> Ticket:
    prune, units = it.bound.prune, it.units
    names = it.ticket.mask if units is None else units.homes
    exempt = [n for n in names if not layer_fraction(n, prune.fraction, prune.fractions)]
    return shuffled_global(it.ticket, it.generator, units, exempt)


def _edge_popup(it: Breaking) -> Ticket:
    whole = untrained(it.ticket, it.inputs.initial)
    if it.bound.masks.edge_popup.weights == "initial":
        return whole
    return signs_scaled_constant(whole, fan_ins(it.initialize()))


def _supermask(it: Breaking) -> Ticket:
    whole = untrained(it.ticket, it.inputs.initial)
    if it.bound.masks.supermask.weights == "initial":
        return whole
    return signs_constant(whole, whole.weights)


_CONTROLS: Final = (
    Control(
        kind="reinit",
        label="Reinitialized",
        column="Re-\ninit",
        sentence="With new random weights the same mask",
        note="the ticket's mask, but freshly drawn initial weights",
        light="#b83200",
        dark="#e58842",
        symbol="square",
        dash="dash",
        make=lambda it: reinit(it.ticket, it.initialize),
    ),
    Control(
        kind="random-mask",
        label="Random mask",
        column="Random\nmask",
        sentence="With as many weights in each layer, but others, drawn at random, the network",
        note="as many weights in each layer, but others, drawn at random, from their own values at "
        "the ticket's start",
        light="#479b54",
        dark="#008a3c",
        symbol="diamond",
        dash="dot",
        make=lambda it: random_mask(it.ticket, it.generator, it.units),
    ),
    Control(
        kind="continued",
        label="Not rewound",
        column="Conti-\nnued",
        sentence="Trained on from its trained weights the same mask",
        note="the ticket's mask, but training goes on from the trained weights",
        light="#cf74a9",
        dark="#d94f8a",
        symbol="triangle-up",
        dash="dashdot",
        make=lambda it: continued(it.ticket, it.trained()),
        needs_trained=True,
    ),
    Control(
        kind="shuffled-global",
        label="Shuffled globally",
        column="Shuffled\nglobally",
        sentence="With its mask shuffled over all layers that are pruned, the network",
        note="the ticket's mask shuffled over all layers that are pruned, weights from their own "
        "values at the ticket's start",
        light="#929123",
        dark="#c6c13c",
        symbol="star-diamond",
        dash="longdash",
        make=_shuffled,
    ),
    Control(
        kind="signs-random-magnitudes",
        label="Signs, random magnitudes",
        column="Signs,\nrandom",
        sentence="With its signs, but magnitudes drawn afresh, the same mask",
        note="the ticket's mask and signs, but magnitudes drawn afresh",
        light="#8a6f4a",
        dark="#a18210",
        symbol="cross",
        dash="dash",
        make=lambda it: signs_random_magnitudes(it.ticket, it.initialize),
    ),
    Control(
        kind="signs-constant",
        label="Signs, one magnitude",
        column="Signs,\nconstant",
        sentence="With its signs, but one magnitude in each layer, the same mask",
        note="the ticket's mask and signs, but one magnitude in each layer",
        light="#c60000",
        dark="#f0605a",
        symbol="x",
        dash="dot",
        make=lambda it: signs_constant(it.ticket, it.inputs.initial),
    ),
    Control(
        kind="random-signs",
        label="Random signs",
        column="Random\nsigns",
        sentence="With its magnitudes, but signs drawn at random, the same mask",
        note="the ticket's mask and magnitudes, but signs drawn at random",
        light="#b3527f",
        dark="#f10cb9",
        symbol="triangle-down",
        dash="dashdot",
        make=lambda it: random_signs(it.ticket, it.generator),
    ),
    Control(
        kind="trained-signs",
        label="Trained signs, reinitialized",
        column="Trained\nsigns",
        sentence="With new random weights, but the signs of the trained ones, the same mask",
        note="the ticket's mask and the signs of the trained weights that decided it, but freshly "
        "drawn initial weights",
        light="#5d6b00",
        dark="#c3d13c",
        symbol="hexagram",
        dash="dot",
        make=lambda it: reinit_with_signs(it.ticket, it.trained(), it.initialize),
        needs_trained=True,
    ),
    Control(
        kind="initial-signs",
        label="Initial signs, reinitialized",
        column="Initial\nsigns",
        sentence="With new random weights, but the signs of the first initialization, the same "
        "mask",
        note="the ticket's mask and the signs of its initial weights, but freshly drawn initial "
        "weights",
        light="#7a3b1d",
        dark="#d6a184",
        symbol="octagon",
        dash="longdash",
        make=lambda it: reinit_with_signs(it.ticket, it.inputs.initial, it.initialize),
    ),
    Control(
        kind="scratch-epochs",
        label="Scratch, same epochs",
        column="Scratch,\nepochs",
        sentence="Trained from fresh weights and the very beginning the same mask",
        note="the ticket's mask, trained from fresh weights and the very beginning",
        light="#6b3001",
        dark="#d5a980",
        symbol="pentagon",
        dash="longdash",
        make=lambda it: scratch(it.ticket, it.initialize),
        starts_over=True,
    ),
    Control(
        kind="scratch-flops",
        label="Scratch, same FLOPs",
        column="Scratch,\nFLOPs",
        sentence="Trained from fresh weights for as many multiplications as dense the same mask",
        note="the ticket's mask, trained from fresh weights for as many multiplications as the "
        "dense network, at most twice as long",
        light="#265d2e",
        dark="#92d880",
        symbol="star",
        dash="dash",
        make=lambda it: scratch(it.ticket, it.initialize),
        starts_over=True,
        same_multiplications=True,
    ),
    Control(
        kind="edge-popup",
        label="Mask learned, same counts",
        column="Edge-\npopup",
        sentence="With its mask learned and no weight trained, as many in each layer, the network",
        note="initial weights, never trained; the mask is learned, as many in each layer",
        light="#d67165",
        dark="#f15f9b",
        symbol="hexagon",
        dash="dot",
        make=_edge_popup,
        starts_over=True,
        learns="edge-popup",
    ),
    Control(
        kind="supermask",
        label="Mask learned, free density",
        column="Super-\nmask",
        sentence="With its mask learned and no weight trained, at a density of its own, the "
        "network",
        note="initial weights, never trained; the mask is learned, with a density of its own",
        light="#004743",
        dark="#19e8aa",
        symbol="hourglass",
        dash="dashdot",
        make=_supermask,
        starts_over=True,
        learns="supermask",
    ),
)

CONTROLS: Final[Mapping[str, Control]] = {control.kind: control for control in _CONTROLS}
"""Kind of control -> its record, in the order they run and are shown."""

CONTROL_KINDS: Final = tuple(CONTROLS)
"""The kinds of control; a control's branch is its kind and a number from 1."""
