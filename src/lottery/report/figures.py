"""The figures against density, as plain Plotly dictionaries.

Traces carry no colours: ``meta.tone`` names one, and the page's script paints it for light or dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lottery.analysis.types import Estimate, Group, LevelVerdict, Verdict
from lottery.report import words
from lottery.report.palette import DASHES, SYMBOLS
from lottery.store.jobs import MAIN

Figure = dict[str, Any]
"""``data`` and ``layout`` for Plotly, and what else the page's script needs."""


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
    traces = [trace for kind in kinds for trace in _kind(verdict, kind, quantity)]
    if not traces:
        return None
    traces = _references(verdict, quantity) + traces
    shown = _extent(verdict, quantity)
    layout = {
        "title": {"text": quantity.title},
        "xaxis": _density_axis(verdict),
        "yaxis": {"range": shown, "tickformat": ",~g" if quantity.scale == 1 else "~g"},
        **_winning_line(verdict),
    }
    figure: Figure = {"data": traces, "layout": layout}
    near = _near_dense(verdict, quantity, shown)
    if near:
        figure["ranges"] = {"all": shown, "near": near}
    return figure


def number(value: float | None, scale: float = 1) -> float | None:
    """A value for a figure: scaled, six digits, and nothing that JSON cannot hold."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value * scale:.6g}")


def _kind(verdict: Verdict, kind: str, quantity: Quantity) -> list[Figure]:
    """Line, band and points of one kind; one entry in the legend for all three."""
    found = [(level, value) for level in verdict.levels if (value := _at(level, kind, quantity))]
    name = words.KINDS[kind]
    common = {
        "type": "scatter",
        "name": name,
        "legendgroup": kind,
        "meta": {"tone": kind},
    }
    line = {
        "mode": "lines+markers",
        "x": [_x(level) for level in verdict.levels],
        "y": [_y(_at(level, kind, quantity), quantity) for level in verdict.levels],
        "line": {"width": 2.5, "dash": DASHES[kind]},
        "marker": {"size": 8, "symbol": SYMBOLS[kind]},
        "text": [_hover(level, kind, quantity) for level in verdict.levels],
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": True,
    }
    dots = [
        (level, replicate, value)
        for level, estimate in found
        for replicate, value in sorted(estimate.values.items())
    ]
    replicates = {
        "mode": "markers",
        "x": [_x(level) for level, _, _ in dots],
        "y": [number(value, quantity.scale) for _, _, value in dots],
        "marker": {"size": 6, "symbol": SYMBOLS[kind]},
        "opacity": 0.4,
        "text": [
            f"{words.kind(kind, level.level)}, replicate {replicate}<br>"
            f"{words.density(level.density)} of weights: {quantity.form(value)}"
            for level, replicate, value in dots
        ],
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": False,
    }
    traces = [common | replicates, common | line]
    x, y = _band(verdict, kind, quantity)
    if x:
        band = {
            "mode": "lines",
            "x": x,
            "y": y,
            "fill": "toself",
            "line": {"width": 1},
            "hoverinfo": "skip",
            "showlegend": False,
        }
        traces.insert(0, common | band)
    return traces


def _band(
    verdict: Verdict, kind: str, quantity: Quantity
) -> tuple[list[float | None], list[float | None]]:
    """Closed outlines around the intervals, one for each stretch of levels that have one."""
    stretches: list[list[tuple[float | None, float, float]]] = [[]]
    for level in verdict.levels:
        value = _at(level, kind, quantity)
        if value and value.low is not None and value.high is not None:
            stretches[-1].append(
                (_x(level), value.low * quantity.scale, value.high * quantity.scale)
            )
        else:
            stretches.append([])
    x: list[float | None] = []
    y: list[float | None] = []
    for stretch in filter(None, stretches):
        outline = [(at, low) for at, low, _ in stretch]
        outline += [(at, high) for at, _, high in reversed(stretch)] + outline[:1]
        if x:
            x.append(None)
            y.append(None)
        x += [at for at, _ in outline]
        y += [number(value) for _, value in outline]
    return x, y


def _references(verdict: Verdict, quantity: Quantity) -> list[Figure]:
    """The dense mean, and how far from it still matches."""
    dense = _dense(verdict, quantity)
    if dense is None:
        return []
    x = [float(f"{10**edge:.6g}") for edge in _density_axis(verdict)["range"]]
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


def _density_axis(verdict: Verdict) -> Figure:
    """A log axis that runs from dense to sparse, with the densities that there are as ticks."""
    at = [_x(level) for level in verdict.levels]
    first, last = math.log10(at[0]), math.log10(at[-1])
    edge = 0.03 * (first - last) or 0.1
    return {
        "title": {"text": "Weights left (%) → sparser"},
        "type": "log",
        "range": [first + edge, last - edge],
        "tickvals": at,
        "ticktext": [words.density(value / 100).removesuffix("%") for value in at],
    }


def _winning_line(verdict: Verdict) -> Figure:
    for level in verdict.levels:
        if level.level == verdict.smallest_winning_level:
            at = _x(level)
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
    values = [v for estimate in estimates for v in (estimate.mean, *estimate.values.values())]
    dense = _dense(verdict, quantity)
    if dense:
        values.append(dense.mean + quantity.limit(verdict))
    low, high = min(values), max(values)
    room = 0.25 * (high - low)
    low = max(low - room, min([low, *(e.low for e in estimates if e.low is not None)]))
    high = min(high + room, max([high, *(e.high for e in estimates if e.high is not None)]))
    edge = 0.05 * (high - low) or abs(0.01 * high) or 1
    return [(low - edge) * quantity.scale, (high + edge) * quantity.scale]


def _near_dense(verdict: Verdict, quantity: Quantity, shown: list[float]) -> list[float] | None:
    """A closer range around the dense mean, where the whole one hides the small differences."""
    dense = _dense(verdict, quantity)
    if dense is None or quantity is not ACCURACY:
        return None
    tickets = [e.mean for level in verdict.levels if (e := _at(level, MAIN, quantity))]
    above = max(tickets) - dense.mean
    reach = max(verdict.margin, 1.5 * above, 0.001)
    near = [(dense.mean - 2 * reach) * 100, (dense.mean + reach) * 100]
    return near if near[1] - near[0] < 0.6 * (shown[1] - shown[0]) else None


def _dense(verdict: Verdict, quantity: Quantity) -> Estimate | None:
    return next((_at(lv, MAIN, quantity) for lv in verdict.levels if lv.level == 0), None)


def _at(level: LevelVerdict, kind: str, quantity: Quantity) -> Estimate | None:
    group = level.groups.get(kind)
    return quantity.of(group) if group else None


def _x(level: LevelVerdict) -> float:
    return float(f"{100 * max(level.density, 1e-9):.6g}")


def _y(value: Estimate | None, quantity: Quantity) -> float | None:
    return number(value.mean, quantity.scale) if value else None


def _hover(level: LevelVerdict, kind: str, quantity: Quantity) -> str:
    value = _at(level, kind, quantity)
    if value is None:
        return ""
    return (
        f"<b>{words.kind(kind, level.level)}</b>, level {level.level}<br>"
        f"{words.density(level.density)} of weights<br>"
        f"{words.estimate(value, quantity.form)}<br>n = {len(value.values)}"
    )
