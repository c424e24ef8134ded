"""Colours, each for light and for dark pages.

Kinds of trainings have the colours of `lottery.analysis.controls`; for ordered values (levels,
shares) lightness is ordered, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lottery.analysis.controls import CONTROLS


@dataclass(frozen=True)
class Tone:
    """One colour as ``#rrggbb``, on a light and on a dark page."""

    light: str
    dark: str


TONES: Final = {kind: Tone(control.light, control.dark) for kind, control in CONTROLS.items()}
"""Kind -> its colour; what belongs to no kind (axes, notes) takes that of ``dense``."""

METHODS: Final = (
    (TONES["main"], "circle"),
    (TONES["reinit"], "square"),
    (TONES["random-mask"], "diamond"),
    (TONES["continued"], "triangle-up"),
    (Tone("#5b3fb8", "#a99bff"), "triangle-down"),
    (Tone("#8a6500", "#e6c34a"), "cross"),
    (Tone("#7a3b1d", "#d6a184"), "x"),
    (Tone("#00707f", "#5fd3e0"), "star"),
)
"""Colour and symbol of each run in a comparison; no two of the first eight share either."""

SHARES: Final = (("#f2f4f7", "#b9d7ee", "#0068ac"), ("#1b2028", "#1f4b6b", "#7cc4f0"))
"""From nothing kept to everything, on a light and on a dark page."""


def method(place: int) -> tuple[Tone, str]:
    """Colour and symbol of a run by its place; from the ninth on, other pairs of the same ones."""
    turn, at = divmod(place, len(METHODS))
    return METHODS[at][0], METHODS[(at + turn) % len(METHODS)][1]


def share_tone(share: float) -> Tone:
    """The colour of a share in [0, 1]."""
    return Tone(*(blend(anchors, share) for anchors in SHARES))


def shaded(tone: Tone, position: float) -> Tone:
    """A kind's colour at another level: paler than its own below 0, stronger above, in [-1, 1]."""
    far = ("#ffffff", "#161a21") if position < 0 else ("#000000", "#ffffff")
    share = abs(position) * 0.6
    return Tone(*(blend((c, f), share) for c, f in zip((tone.light, tone.dark), far, strict=True)))


def blend(anchors: tuple[str, ...], position: float) -> str:
    """The colour at a position in [0, 1] along anchors.

    >>> blend(("#000000", "#ffffff"), 0.5)
    '#808080'
    """
    scaled = min(max(position, 0.0), 1.0) * (len(anchors) - 1)
    left = min(int(scaled), len(anchors) - 2)
    share = scaled - left
    low, high = channels(anchors[left]), channels(anchors[left + 1])
    mixed = (round(a + share * (b - a)) for a, b in zip(low, high, strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)


def channels(colour: str) -> tuple[int, ...]:
    """Red, green and blue, each from 0 to 255."""
    return tuple(bytes.fromhex(colour[1:]))
