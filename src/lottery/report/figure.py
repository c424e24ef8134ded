"""Figures: one record each, with its place on the page, how it is drawn and how to read it."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lottery.report.palette import Tone

Plot = dict[str, Any]
"""``data`` and ``layout`` for Plotly, and what the page's script needs besides.

Traces, shapes and annotations carry no colours: ``meta.tone`` or ``name`` names one, which is
painted for light or dark. ``height`` is in pixels. ``choices`` are rows of buttons, each with the
``attribute`` of ``meta`` that it chooses by. ``tones`` are colours that only this plot names.
``columns`` name what the ``customdata`` of each mark holds, for a CSV file; without them ``names``
say what x and y are, and ``meta.csv`` what a trace is."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image, with its label and description."""

    data: str
    """A data URI of a PNG file."""
    label: str
    note: str
    description: str
    values: NDArray[np.floating[Any]]
    """Shares in [0, 1] (height, width), nan where there is nothing."""
    meta: Mapping[str, int] = field(default_factory=dict)
    """Attribute -> value, by which buttons choose it."""
    shown: bool = True
    """Whether it is shown when the page opens, and in files."""

    @property
    def peak(self) -> float:
        """The largest share, which has the strongest colour."""
        return float(np.nanmax(self.values)) if self.values.size else 0.0


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Pictures side by side, with the scale of their colours."""

    pictures: Sequence[Picture]
    scale: Picture
    choices: Sequence[Plot] = ()
    """As in a `Plot`: rows of buttons that choose pictures by their ``meta``."""
    left_out: int = 0
    """Levels of which there is no picture, for want of room."""

    @property
    def shown(self) -> list[Picture]:
        """The pictures that are shown when the page opens."""
        return [picture for picture in self.pictures if picture.shown]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of the page."""

    name: str
    """The name of its files, and its anchor on the page."""
    section: str
    """The heading that it stands under; figures with the same one are together. A template."""
    title: str
    """A template."""
    caption: str
    """How to read it: a template, in which ``v`` is the verdict, ``s`` a `ScoreFormat` of its score
    and ``plot`` what was drawn."""
    draw: Callable[[Any], Plot | Gallery | None]
    """From the `ReportData` of a run, or a `RunComparison`; None where there is nothing to draw."""


@dataclass(frozen=True, kw_only=True)
class DrawnFigure:
    """A figure with what was drawn for one run."""

    figure: Figure
    content: Plot | Gallery
    section: str
    title: str
    caption: str


def choices(content: Plot | Gallery) -> Sequence[Plot]:
    """The rows of buttons of a figure."""
    return content.choices if isinstance(content, Gallery) else content.get("choices", [])


def choice(
    attribute: str, label: str, options: Sequence[dict[str, Any]], *, single: bool = False
) -> Plot:
    """A row of buttons that choose traces by an attribute of their ``meta``.

    Args:
        attribute: a key of ``meta``; traces are hidden whose value of it is not pressed.
        label: what is chosen, for screen readers.
        options: for each button ``value``, ``label``, ``on`` and, if it has one, ``tone``.
        single: whether exactly one button is pressed.
    """
    return {"attribute": attribute, "label": label, "options": list(options), "single": single}


def tones_of(plots: Sequence[Plot]) -> dict[str, Tone]:
    """The colours that plots bring with them."""
    found: dict[str, Tone] = {}
    for plot in plots:
        found |= plot.get("tones", {})
    return found


def short(name: str, longest: int = 40) -> str:
    """A name with its middle left out where it is too long for a figure."""
    half = (longest - 1) // 2
    return name if len(name) <= longest else f"{name[:half]}…{name[-half:]}"


def figure_text(name: str) -> str:
    """A name made safe for Plotly, which reads a few tags and entities in every text.

    >>> figure_text("<b>fc</b>")
    '&lt;b&gt;fc&lt;/b&gt;'
    """
    return html.escape(short(name), quote=False)
