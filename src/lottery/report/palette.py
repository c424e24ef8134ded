"""Colours, each in a version for light and one for dark pages.

Kinds of branches have fixed colours, after Okabe and Ito's set that colour-blind readers can tell
apart; what is ordered (levels, layers) takes steps on a scale whose lightness is ordered too.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tone:
    """One colour as ``#rrggbb``, on a light and on a dark page."""

    light: str
    dark: str


INK = Tone("#4b5362", "#b9c1cf")

TONES = {
    "ink": INK,
    "main": Tone("#0068ac", "#56b4e9"),
    "reinit": Tone("#cc5200", "#ff9450"),
    "random-mask": Tone("#00805e", "#35c9a0"),
    "continued": Tone("#a3457f", "#e79acb"),
    "shuffled-global": Tone("#0f7b8a", "#5fd0df"),
    "signs-random-magnitudes": Tone("#7a5c00", "#e3c34d"),
    "signs-constant": Tone("#6b4fc0", "#b6a2ff"),
    "random-signs": Tone("#b3263a", "#ff8f9c"),
    "scratch-epochs": Tone("#5b6e00", "#b9d24a"),
    "scratch-flops": Tone("#7d4a2b", "#dba888"),
    "edge-popup": Tone("#3f5aa8", "#9fb4ff"),
    "supermask": Tone("#8a2f6b", "#f0a0d0"),
}
SYMBOLS = {
    "main": "circle",
    "reinit": "square",
    "random-mask": "diamond",
    "continued": "triangle-up",
    "shuffled-global": "diamond-open",
    "signs-random-magnitudes": "cross",
    "signs-constant": "x",
    "random-signs": "triangle-down",
    "scratch-epochs": "pentagon",
    "scratch-flops": "star",
    "edge-popup": "hexagon",
    "supermask": "hexagon-open",
}
DASHES = {
    "main": "solid",
    "reinit": "dash",
    "random-mask": "dot",
    "continued": "dashdot",
    "shuffled-global": "dot",
    "signs-random-magnitudes": "dash",
    "signs-constant": "dash",
    "random-signs": "dash",
    "scratch-epochs": "dashdot",
    "scratch-flops": "dashdot",
    "edge-popup": "dot",
    "supermask": "dot",
}

METHODS = (
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

_LIGHT_SCALE = ("#3b3fb6", "#8a2aa5", "#c8386f", "#d96a1c", "#b58900")
_DARK_SCALE = ("#8b93ff", "#c98bff", "#ff86ae", "#ffa766", "#ffe07a")


def method(place: int) -> tuple[Tone, str]:
    """Colour and symbol of a run by its place; from the ninth on, other pairs of the same ones."""
    turn, at = divmod(place, len(METHODS))
    return METHODS[at][0], METHODS[(at + turn) % len(METHODS)][1]


def steps(number: int) -> list[Tone]:
    """Ordered colours, from indigo to gold."""
    at = [i / max(number - 1, 1) for i in range(number)]
    return [Tone(blend(_LIGHT_SCALE, x), blend(_DARK_SCALE, x)) for x in at]


def blend(anchors: tuple[str, ...], position: float) -> str:
    """The colour at a position in [0, 1] along anchors.

    >>> blend(("#000000", "#ffffff"), 0.5)
    '#808080'
    """
    scaled = position * (len(anchors) - 1)
    left = min(int(scaled), len(anchors) - 2)
    share = scaled - left
    low, high = _channels(anchors[left]), _channels(anchors[left + 1])
    mixed = (round(a + share * (b - a)) for a, b in zip(low, high, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _channels(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue
