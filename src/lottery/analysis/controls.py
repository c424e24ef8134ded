"""What each kind of training is called and looks like, in one record.

Terminal, page and comparison all read it. Colours come in a version for light and one for dark
pages. Blue is the tickets' alone. The dense network, the tickets and the three most used controls
can be told apart by colour with every kind of colour blindness; there are not thirteen colours of
which that could be said, so that of any other two kinds marks or dashes differ as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lottery.store.jobs import MAIN
from lottery.tickets import RewindMethod

DENSE: Final = "dense"
"""The main branch before anything is pruned, where a line or mark of its own is drawn for it."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """A kind of training: a control, the tickets, or the dense networks."""

    kind: str
    """One of `lottery.store.jobs.CONTROL_KINDS`, ``main`` or ``dense``."""
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


_TICKETS: Final[Mapping[RewindMethod, str]] = {
    "weights": "pruned, rewound to their own weights, trained again",
    "learning-rate": "pruned, and with their trained weights trained again",
    "fine-tune": "pruned, and trained on from their trained weights at the last learning rate",
    "drawn": "pruned while the dense network trains, and trained on from the weights of then",
}

_KINDS: Final = (
    Control(
        kind=DENSE,
        label="Dense",
        column="Dense",
        sentence="Unpruned, the network",
        note="the whole network, nothing pruned",
        light="#4b5362",
        dark="#b9c1cf",
        symbol="circle",
        dash="solid",
    ),
    Control(
        kind=MAIN,
        label="Tickets",
        column="Tickets",
        sentence="With its own initial weights the mask",
        note=_TICKETS["weights"],
        light="#0068ac",
        dark="#56b4e9",
        symbol="circle",
        dash="solid",
    ),
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
    ),
)

CONTROLS: Final[Mapping[str, Control]] = {control.kind: control for control in _KINDS}
"""Kind -> its record; ``dense``, ``main`` and the controls, in the order they are shown."""


def control_of(kind: str, level: int) -> Control:
    """What a kind is at a level: the main branch begins with the dense network.

    >>> control_of("main", 0).label, control_of("main", 1).label
    ('Dense', 'Tickets')
    """
    return CONTROLS[DENSE if kind == MAIN and level == 0 else kind]


def ticket_note(rewind: RewindMethod) -> str:
    """What tickets are, in a run whose tickets go back to what ``rewind`` says.

    >>> ticket_note("drawn")
    'pruned while the dense network trains, and trained on from the weights of then'
    """
    return _TICKETS[rewind]
