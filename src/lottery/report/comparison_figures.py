"""The figures of a comparison: one line a run against density, as plain Plotly dictionaries."""

from __future__ import annotations

from collections.abc import Iterator

from lottery.analysis.methods.types import Measure, Method, RunComparison
from lottery.analysis.types import Estimate
from lottery.report import words
from lottery.report.figures import ACCURACY, Quantity
from lottery.report.palette import DASHES, method
from lottery.report.series import (
    Figure,
    Point,
    Series,
    density_axis,
    extent,
    line,
    near_dense,
    traces,
)
from lottery.store.jobs import CONTROL_KINDS

_APART = 1 / 16
"""Between two ticks: densities of different runs may lie close to one another."""


def methods_against_density(
    comparison: RunComparison, measure: Measure, quantity: Quantity
) -> Figure | None:
    """Mean, interval and every replicate of each run; its controls, hidden until asked for.

    Returns:
        The figure; None where no run has a value.
    """
    main = [_main(comparison, place, measure, quantity) for place in _places(comparison)]
    estimates = [point.value for series in main for point in series.points if point.value]
    if not estimates:
        return None
    drawn = [trace for series in main for trace in traces(series, quantity.scale, quantity.form)]
    for kind in CONTROL_KINDS:
        for place in _places(comparison):
            drawn += _control(comparison, place, kind, quantity)
    shown = extent(estimates, [], quantity.scale)
    layout = {
        "title": {"text": quantity.title},
        "xaxis": density_axis((row.density for row in comparison.rows), apart=_APART),
        "yaxis": {"range": shown, "tickformat": ",~g" if quantity.scale == 1 else "~g"},
    }
    figure: Figure = {"data": drawn, "layout": layout}
    dense = _dense(comparison.methods[0], quantity)
    if quantity is ACCURACY and dense:
        means = [estimate.mean for estimate in estimates]
        near = near_dense(dense.mean, means, comparison.margin, shown)
        if near:
            figure["ranges"] = {"all": shown, "near": near}
    return figure


def parts(figure: Figure) -> set[str]:
    """Which parts a figure has: ``line``, ``band``, ``replicates`` or a kind of control."""
    return {trace["meta"]["part"] for trace in figure["data"]}


def _places(comparison: RunComparison) -> range:
    return range(len(comparison.methods))


def _main(comparison: RunComparison, place: int, measure: Measure, quantity: Quantity) -> Series:
    label = words.figure_text(comparison.methods[place].label)
    points = [
        Point(
            density=cell.density,
            value=(value := cell.of(measure)),
            name=f"{label}, level {cell.level}",
            hover=_hover(label, cell.level, cell.density, value, quantity),
        )
        for row in comparison.rows
        if (cell := row.cells[place])
    ]
    return Series(
        name=label,
        group=f"method-{place}",
        tone=f"method-{place}",
        symbol=method(place)[1],
        dash="solid",
        points=points,
    )


def _control(
    comparison: RunComparison, place: int, kind: str, quantity: Quantity
) -> Iterator[Figure]:
    """The means of one kind of control of one run."""
    levels = comparison.methods[place].verdict.levels
    label = words.figure_text(comparison.methods[place].label)
    name = f"{label}: {words.KINDS[kind].lower()}"
    points = [
        Point(
            density=level.density,
            value=(value := quantity.of(level.groups[kind])),
            name=name,
            hover=_hover(name, level.level, level.density, value, quantity),
        )
        for level in levels
        if kind in level.groups
    ]
    if not any(point.value for point in points):
        return
    series = Series(
        name=name,
        group=f"method-{place}",
        tone=f"method-{place}",
        symbol=f"{method(place)[1]}-open",
        dash=DASHES[kind],
        points=points,
    )
    yield line(series, quantity.scale) | {
        "type": "scatter",
        "name": name,
        "legendgroup": series.group,
        "showlegend": False,
        "visible": False,
        "meta": {"tone": series.tone, "part": kind},
    }


def _hover(
    name: str, level: int, density: float, value: Estimate | None, quantity: Quantity
) -> str:
    if value is None:
        return ""
    return (
        f"<b>{name}</b>, level {level}<br>{words.density(density)} of weights<br>"
        f"{words.estimate(value, quantity.form)}<br>n = {len(value.values)}"
    )


def _dense(first: Method, quantity: Quantity) -> Estimate | None:
    for level in first.verdict.levels:
        if level.level == 0 and "main" in level.groups:
            return quantity.of(level.groups["main"])
    return None
