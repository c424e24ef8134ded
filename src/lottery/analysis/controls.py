"""Names, colours and marks of each kind of training, for the terminal, pages and comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lottery.methods.control import Branch
from lottery.methods.controls import CONTROLS as _CONTROLS
from lottery.store.jobs import MAIN
from lottery.tickets import RewindMethod

DENSE: Final = "dense"
"""The main branch before anything is pruned, where a line or mark of its own is drawn for it."""


_TICKETS: Final[Mapping[RewindMethod, str]] = {
    "weights": "pruned, rewound to their own weights, trained again",
    "learning-rate": "pruned, and with their trained weights trained again",
    "fine-tune": "pruned, and trained on from their trained weights at the last learning rate",
    "drawn": "pruned while the dense network trains, and trained on from the weights of then",
}

_KINDS: Final = (
    Branch(
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
    Branch(
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
)

CONTROLS: Final[Mapping[str, Branch]] = {
    **{branch.kind: branch for branch in _KINDS},
    **_CONTROLS,
}
"""Kind -> its record; ``dense``, ``main`` and the controls, in the order they are shown."""


def control_of(kind: str, level: int) -> Branch:
    """The record of a kind at a level; of the main branch, level 0 is the dense network.

    >>> control_of("main", 0).label, control_of("main", 1).label
    ('Dense', 'Tickets')
    """
    return CONTROLS[DENSE if kind == MAIN and level == 0 else kind]


def ticket_note(rewind: RewindMethod) -> str:
    """What tickets are in a run with this kind of rewinding, in a phrase.

    >>> ticket_note("drawn")
    'pruned while the dense network trains, and trained on from the weights of then'
    """
    return _TICKETS[rewind]
