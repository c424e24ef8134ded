"""How to read each figure, in a few plain sentences."""

from __future__ import annotations

from lottery.analysis.types import Verdict
from lottery.report import words
from lottery.report.curves import MOST_POINTS
from lottery.report.series import Figure
from lottery.store.jobs import MAIN


def accuracy(verdict: Verdict, figure: Figure) -> str:
    """Caption of the first figure against density, which says what is drawn."""
    kinds = [k for k in words.KINDS if any(t.get("legendgroup") == k for t in figure["data"])]
    notes = "; ".join(
        f"{words.KINDS[k].lower()}: {words.kind_note(k, verdict.rewind)}" for k in kinds
    )
    bands = [
        y for trace in figure["data"] if trace.get("fill") for y in trace["y"] if y is not None
    ]
    low, high = figure["layout"]["yaxis"]["range"]
    if not bands:
        interval = "there are no bands, as an interval needs two replicates"
    else:
        interval = f"bands are {100 * verdict.confidence:.3g}% t-intervals of the mean"
        if not all(low <= y <= high for y in bands):
            interval += ", cut off where they leave the figure"
    return (
        f"Lines are means, {interval}, each faint mark is one replicate ({_n(verdict)}). "
        f"{notes[:1].upper()}{notes[1:]}. "
        "Click or tap a name below the figure to hide or show it. With a mouse, drag to zoom and "
        "double-click to return."
    )


def early_stop(verdict: Verdict) -> str:
    """Caption of the second figure against density."""
    return (
        f"Lines, bands, marks and names as above ({_n(verdict)}). Lower is sooner: the "
        "iteration where validation loss is lowest, found after training has run to its end."
    )


def curves(figure: Figure) -> str:
    """Caption of the learning curves."""
    thinned = f" Of each curve, {MOST_POINTS} evaluations are drawn." if figure["thinned"] else ""
    return (
        "Colour tells the level, the kind of line tells tickets from controls. Thick lines are "
        "means, thin ones single trainings; marks show the mean iteration of early stopping, where "
        "validation loss is lowest, and the value reached there. The axis leaves out the first "
        f"steep rise; double-click to see all of it.{thinned}"
    )


def layers(verdict: Verdict, figure: Figure) -> str:
    """Caption of the density per layer."""
    legend = "" if figure["layout"]["showlegend"] else " Hover over a line for its layer's name."
    return (
        f"Mean over replicates ({_n(verdict)}), on a logarithmic axis: a straight line loses "
        "the same share at every level. Colours run from the first layer (indigo) to the last "
        f"(gold). A layer with nothing left is not drawn.{legend}"
    )


PIXELS = (
    "Each square is one input pixel. The further its colour is from the background, the more of "
    "the weights that read it are kept; mean over channels and replicates. Each picture has its "
    "own scale, from none to the share named below it."
)


def _n(verdict: Verdict) -> str:
    """How many replicates are averaged: one number, or the range over levels; never broken."""
    ns = [group.n for level in verdict.levels if (group := level.groups.get(MAIN)) and group.n]
    if not ns:
        ns = [0]
    low, high = min(ns), max(ns)
    number = str(low) if low == high else f"{low} to {high}"
    return f"n = {number}".replace(" ", "\N{NO-BREAK SPACE}")
