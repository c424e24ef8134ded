"""Figures of scores and early stops against density, for every kind of training."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from lottery.analysis import formatting
from lottery.analysis.controls import CONTROLS, control_of
from lottery.analysis.score_format import ScoreFormat, at_moment
from lottery.analysis.types import Bound, Estimate, Group, LevelVerdict, Verdict
from lottery.report.figure import Figure, Plot, figure_text
from lottery.report.series import (
    COLUMNS,
    Point,
    Series,
    density_axis,
    estimate_text,
    extent,
    near_dense,
    number,
    percent,
    traces,
)
from lottery.score import ACCURACY as CLASSIFICATION
from lottery.store.jobs import MAIN


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """What is drawn against density."""

    title: str
    of: Callable[[Group], Estimate | None]
    scale: float
    """From the verdict's unit to the axis's."""
    form: Callable[[float], str]
    limit: Callable[[Verdict], float | None]
    """How far beyond the dense mean still matches, in the verdict's unit, with its sign."""
    limit_name: Callable[[Verdict], str]
    end: Callable[[Verdict], float | None] = lambda _: None
    """The largest value that can be, if there is one worth a line."""
    closer: bool = False
    """Whether a closer range around the dense mean is offered."""


def score_quantity(score: ScoreFormat, *, timed: bool = True) -> Quantity:
    """What networks are judged by.

    Args:
        score: how it is written.
        timed: whether it is that at early stop.
    """
    unit = f" ({figure_text(score.unit)})" if score.unit else ""
    sign = "\N{MINUS SIGN}" if score.score.higher else "+"

    def limit(verdict: Verdict) -> float | None:
        return None if verdict.margin is None else -score.score.oriented(verdict.margin)

    return Quantity(
        title=f"Test {figure_text(score.name)} {at_moment(timed)}{unit}",
        of=lambda group: group.accuracy,
        scale=score.scale,
        form=lambda value: figure_text(score.with_unit(value)),
        limit=limit,
        limit_name=lambda verdict: figure_text(f"Dense {sign} {score.margin(verdict.margin)}"),
        closer=score.percent and score.score.higher,
    )


def score_of(verdict: Verdict) -> Quantity:
    """What the networks of a run are judged by."""
    return score_quantity(ScoreFormat(verdict.score), timed=verdict.timed)


ACCURACY = score_quantity(ScoreFormat(CLASSIFICATION))
EARLY_STOP = Quantity(
    title="Early-stop iteration",
    of=lambda group: group.early_stop,
    scale=1,
    form=formatting.count,
    limit=lambda verdict: verdict.evaluation_interval,
    limit_name=lambda verdict: f"Dense + {verdict.evaluation_interval:,} iterations",
    end=lambda verdict: verdict.last_evaluation or None,
)


def against_density(verdict: Verdict, quantity: Quantity) -> Plot | None:
    """Mean, interval and every replicate of each kind of branch; None where nothing ended."""
    kinds = [k for k in CONTROLS if any(_at(level, k, quantity) for level in verdict.levels)]
    apart = _gap(verdict) / (len(kinds) + 1)
    drawn = [
        trace
        for i, kind in enumerate(kinds)
        for trace in _kind(verdict, kind, quantity, (len(kinds) / 2 - i - 0.5) * apart)
    ]
    if not drawn:
        return None
    shown = _extent(verdict, quantity)
    drawn = [t for t in _references(verdict, quantity) if shown[0] <= t["y"][0] <= shown[1]] + drawn
    layout = {
        "title": {"text": quantity.title},
        "xaxis": density_axis(level.density for level in verdict.levels),
        "yaxis": {"range": shown, "tickformat": ",~g" if quantity.scale == 1 else "~g"},
        "showlegend": True,
        **_winning_line(verdict),
    }
    figure: Plot = {"data": drawn, "layout": layout, "columns": COLUMNS}
    near = _near_dense(verdict, quantity, shown)
    if near:
        figure["ranges"] = {"all": shown, "near": near}
    return figure


def _gap(verdict: Verdict) -> float:
    """The least distance between two densities, in decades, at most a tenth."""
    at = sorted(math.log10(max(level.density, 1e-9)) for level in verdict.levels)
    return min([0.1, *(b - a for a, b in pairwise(at) if b > a)])


def _kind(verdict: Verdict, kind: str, quantity: Quantity, aside: float) -> list[Plot]:
    """Line, band and points of one kind."""
    points = [
        Point(
            level=level.level,
            density=level.density,
            value=_at(level, kind, quantity),
            name=control_of(kind, level.level).label,
            hover=_hover(level, kind, quantity),
            bounds=_bounds(verdict, level, kind, quantity),
        )
        for level in verdict.levels
    ]
    series = Series(
        name=CONTROLS[kind].label,
        group=kind,
        tone=kind,
        symbol=CONTROLS[kind].symbol,
        dash=CONTROLS[kind].dash,
        points=points,
        aside=aside,
    )
    return traces(series, quantity.scale, quantity.form)


def _bounds(
    verdict: Verdict, level: LevelVerdict, kind: str, quantity: Quantity
) -> dict[int, Bound]:
    """Values that are as large as can be, or means with such values in them, are lower bounds."""
    value, end = _at(level, kind, quantity), quantity.end(verdict)
    if value is None or end is None:
        return {}
    contrast = level.groups[kind].against_dense.get("early_stop")
    told = contrast.estimate.bounds if contrast and contrast.estimate else {}
    return {r: "at least" for r, v in value.values.items() if v >= end or told.get(r) == "at least"}


def _references(verdict: Verdict, quantity: Quantity) -> list[Plot]:
    """The dense mean, and how far from it still matches."""
    dense = _dense(verdict, quantity)
    if dense is None:
        return []
    axis = density_axis(level.density for level in verdict.levels)
    x = [float(f"{10**edge:.6g}") for edge in axis["range"]]
    lines = [("Dense, mean", dense.mean, "dash", 2.0)]
    limit = quantity.limit(verdict)
    if limit is not None:
        lines.append((quantity.limit_name(verdict), dense.mean + limit, "dot", 1.5))
    end = quantity.end(verdict)
    if end is not None:
        lines.append(("End of training", end, "solid", 1.0))
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
            "meta": {"tone": "dense", "part": "reference"},
        }
        for name, value, dash, width in lines
    ]


def _winning_line(verdict: Verdict) -> Plot:
    for level in verdict.levels:
        if level.level == verdict.level:
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
                "name": MAIN,
                "line": {"width": 1, "dash": "solid"},
            }
            note = {
                "text": f"the verdict's level: {formatting.percent(level.density)}",
                "name": MAIN,
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
        for kind in CONTROLS
        if (value := _at(level, kind, quantity))
    ]
    dense = _dense(verdict, quantity)
    limits = [dense.mean + (quantity.limit(verdict) or 0.0)] if dense else []
    end = quantity.end(verdict)
    if end is not None and any(max(e.values.values()) >= end for e in estimates):
        limits.append(end)
    low, high = extent(estimates, limits, quantity.scale)
    negative = any(value < 0 for e in estimates for value in e.values.values())
    return [low if negative else max(low, 0.0), high]


def _near_dense(verdict: Verdict, quantity: Quantity, shown: list[float]) -> list[float] | None:
    """A closer range around the dense mean, where the whole one hides the small differences."""
    dense = _dense(verdict, quantity)
    if dense is None or not quantity.closer:
        return None
    tickets = [e.mean for level in verdict.levels if (e := _at(level, MAIN, quantity))]
    return near_dense(dense.mean, tickets, verdict.margin or 0.0, shown)


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
        f"<b>{control_of(kind, level.level).label}</b>, level {level.level}<br>"
        f"{formatting.percent(level.density)} of weights<br>"
        f"{estimate_text(value, quantity.form)}<br>n = {len(value.values)}"
    )


_HOW = (
    "Lines are means over replicates, bands {{ interval }} intervals (cut off where they leave "
    "the figure), and each faint mark one replicate, beside its density where several kinds would "
    "cover each other. Names below the figure hide and show what they name, by click, touch or "
    "Enter."
)
ACCURACY_FIGURE = Figure(
    name="accuracy",
    section="{{ s.title }}",
    title="Test {{ s.name }} against density",
    caption=(
        f"{_HOW} {{% if v.margin is not none %}}The dotted line is the dense mean "
        "{{ 'less' if s.score.higher else 'and' }} the margin; what matches is tested "
        "replicate by replicate, above.{% endif %}"
    ),
    draw=lambda data: against_density(data.verdict, score_of(data.verdict)),
)
SPEED_FIGURE = Figure(
    name="early-stop",
    section="Speed of learning",
    title="Early stop against density",
    caption=(
        "Lower is sooner: the iteration where validation {{ 'loss is lowest' if v.stops_by_loss "
        "else s.name ~ ' is best' }}, found after training has run to its end. {% if at_end "
        "%}Hollow marks lie at the last evaluation, iteration {{ count(v.last_evaluation) }}: the "
        "loss was still falling there, so that the stop comes at least as late, and means that "
        "such marks are in are too low. {% endif %}Lines, bands and marks as above."
    ),
    draw=lambda data: against_density(data.verdict, EARLY_STOP),
)
