"""The figures against density, as plain Plotly dictionaries."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from lottery.analysis.types import Estimate, Group, LevelVerdict, Verdict
from lottery.report import words
from lottery.report.palette import DASHES, SYMBOLS
from lottery.report.series import (
    Figure,
    Point,
    Series,
    density_axis,
    extent,
    near_dense,
    number,
    percent,
    traces,
)
from lottery.store.jobs import MAIN


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """What is drawn against density."""

    title: str
    of: Callable[[Group], Estimate | None]
    scale: float
    """From the verdict's unit to the axis's."""
    form: Callable[[float], str]
    limit: Callable[[Verdict], float]
    """How far beyond the dense mean still matches, in the verdict's unit, with its sign."""
    limit_name: Callable[[Verdict], str]


ACCURACY = Quantity(
    title="Test accuracy at early stop (%)",
    of=lambda group: group.accuracy_at_early_stop,
    scale=100,
    form=lambda value: words.percent(value) + "%",
    limit=lambda verdict: -verdict.margin,
    limit_name=lambda verdict: f"Dense \N{MINUS SIGN} {words.counted_points(verdict.margin)}",
)
EARLY_STOP = Quantity(
    title="Early-stop iteration",
    of=lambda group: group.early_stop_iteration,
    scale=1,
    form=lambda value: words.count(value),
    limit=lambda verdict: verdict.evaluation_interval,
    limit_name=lambda verdict: f"Dense + {verdict.evaluation_interval:,} iterations",
)


def against_density(verdict: Verdict, quantity: Quantity) -> Figure | None:
    """Mean, interval and every replicate of each kind of branch; None where nothing ended."""
    kinds = [k for k in words.KINDS if any(_at(level, k, quantity) for level in verdict.levels)]
    drawn = [trace for kind in kinds for trace in _kind(verdict, kind, quantity)]
    if not drawn:
        return None
    drawn = _references(verdict, quantity) + drawn
    shown = _extent(verdict, quantity)
    layout = {
        "title": {"text": quantity.title},
        "xaxis": density_axis(level.density for level in verdict.levels),
        "yaxis": {"range": shown, "tickformat": ",~g" if quantity.scale == 1 else "~g"},
        **_winning_line(verdict),
    }
    figure: Figure = {"data": drawn, "layout": layout}
    near = _near_dense(verdict, quantity, shown)
    if near:
        figure["ranges"] = {"all": shown, "near": near}
    return figure


def _kind(verdict: Verdict, kind: str, quantity: Quantity) -> list[Figure]:
    """Line, band and points of one kind."""
    points = [
        Point(
            density=level.density,
            value=_at(level, kind, quantity),
            name=words.kind(kind, level.level),
            hover=_hover(level, kind, quantity),
        )
        for level in verdict.levels
    ]
    series = Series(
        name=words.KINDS[kind],
        group=kind,
        tone=kind,
        symbol=SYMBOLS[kind],
        dash=DASHES[kind],
        points=points,
    )
    return traces(series, quantity.scale, quantity.form)


def _references(verdict: Verdict, quantity: Quantity) -> list[Figure]:
    """The dense mean, and how far from it still matches."""
    dense = _dense(verdict, quantity)
    if dense is None:
        return []
    axis = density_axis(level.density for level in verdict.levels)
    x = [float(f"{10**edge:.6g}") for edge in axis["range"]]
    lines = (
        ("Dense, mean", dense.mean, "dash", 2),
        (quantity.limit_name(verdict), dense.mean + quantity.limit(verdict), "dot", 1.5),
    )
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "legendgroup": name,
            "x": x,
            "y": [number(value, quantity.scale)] * 2,
            "line": {"width": width, "dash": dash},
            "text": [f"{name}: {quantity.form(value)}"] * 2,
            "hovertemplate": "%{text}<extra></extra>",
            "meta": {"tone": "ink"},
        }
        for name, value, dash, width in lines
    ]


def _winning_line(verdict: Verdict) -> Figure:
    for level in verdict.levels:
        if level.level == verdict.smallest_winning_level:
            at = percent(level.density)
            right = level.density**2 < verdict.levels[-1].density
            line = {
                "type": "line",
                "x0": at,
                "x1": at,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "layer": "below",
                "line": {"width": 1, "dash": "solid"},
            }
            note = {
                "text": f"smallest winning ticket: {words.density(level.density)}",
                "x": math.log10(at),
                "y": 1,
                "yref": "paper",
                "yanchor": "bottom",
                "xanchor": "right" if right else "left",
                "showarrow": False,
            }
            return {"shapes": [line], "annotations": [note]}
    return {}


def _extent(verdict: Verdict, quantity: Quantity) -> list[float]:
    """A range that holds every replicate, and of wide intervals as much as stays readable."""
    estimates = [
        value
        for level in verdict.levels
        for kind in words.KINDS
        if (value := _at(level, kind, quantity))
    ]
    dense = _dense(verdict, quantity)
    limits = [dense.mean + quantity.limit(verdict)] if dense else []
    return extent(estimates, limits, quantity.scale)


def _near_dense(verdict: Verdict, quantity: Quantity, shown: list[float]) -> list[float] | None:
    """A closer range around the dense mean, where the whole one hides the small differences."""
    dense = _dense(verdict, quantity)
    if dense is None or quantity is not ACCURACY:
        return None
    tickets = [e.mean for level in verdict.levels if (e := _at(level, MAIN, quantity))]
    return near_dense(dense.mean, tickets, verdict.margin, shown)


def _dense(verdict: Verdict, quantity: Quantity) -> Estimate | None:
    return next((_at(lv, MAIN, quantity) for lv in verdict.levels if lv.level == 0), None)


def _at(level: LevelVerdict, kind: str, quantity: Quantity) -> Estimate | None:
    group = level.groups.get(kind)
    return quantity.of(group) if group else None


def _hover(level: LevelVerdict, kind: str, quantity: Quantity) -> str:
    value = _at(level, kind, quantity)
    if value is None:
        return ""
    return (
        f"<b>{words.kind(kind, level.level)}</b>, level {level.level}<br>"
        f"{words.density(level.density)} of weights<br>"
        f"{words.estimate(value, quantity.form)}<br>n = {len(value.values)}"
    )
