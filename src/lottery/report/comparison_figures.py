"""The figures of a comparison: one line a run against density."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lottery.analysis import formatting
from lottery.analysis.controls import CONTROLS
from lottery.analysis.methods.types import Method, RunComparison
from lottery.analysis.score_format import ScoreFormat
from lottery.analysis.types import Estimate, Measure
from lottery.methods import CONTROL_KINDS
from lottery.report.comparison_cost import COST
from lottery.report.density import EARLY_STOP, Quantity, score_quantity
from lottery.report.figure import Figure, Plot, choice, figure_text
from lottery.report.palette import method
from lottery.report.series import (
    COLUMNS,
    Point,
    Series,
    density_axis,
    estimate_text,
    extent,
    line,
    near_dense,
    traces,
)
from lottery.store.jobs import MAIN


def methods_against_density(
    comparison: RunComparison, measure: Measure, quantity: Quantity
) -> Plot | None:
    """Mean, interval and every replicate of each run; its controls, hidden until asked for.

    Returns:
        The plot; None where no run has a value.
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
    plot: Plot = {
        "data": drawn,
        "layout": {
            "title": {"text": quantity.title},
            "xaxis": density_axis(row.density for row in comparison.rows),
            "yaxis": {"range": shown, "tickformat": ",~g" if quantity.scale == 1 else "~g"},
            "showlegend": True,
        },
        "columns": COLUMNS,
    }
    plot["choices"] = [choice("part", "What to show", _options(plot))]
    dense = _dense(comparison.methods[0], quantity)
    if quantity.closer and dense:
        means = [estimate.mean for estimate in estimates]
        near = near_dense(dense.mean, means, comparison.margin or 0.0, shown)
        if near:
            plot["ranges"] = {"all": shown, "near": near}
    return plot


def parts(plot: Plot) -> set[str]:
    """Which parts a plot has: ``line``, ``band``, ``replicates`` or a kind of control."""
    return {trace["meta"]["part"] for trace in plot["data"]}


def _options(plot: Plot) -> list[Plot]:
    there = parts(plot)
    named = {"replicates": "Single replicates", "band": "Intervals"}
    named |= {kind: f"Control: {CONTROLS[kind].label.lower()}" for kind in CONTROL_KINDS}
    return [
        {"value": part, "label": label, "on": part not in CONTROLS}
        for part, label in named.items()
        if part in there
    ]


def _places(comparison: RunComparison) -> range:
    return range(len(comparison.methods))


def _main(comparison: RunComparison, place: int, measure: Measure, quantity: Quantity) -> Series:
    label = figure_text(comparison.methods[place].label)
    points = [
        Point(
            level=cell.level,
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
) -> Iterator[Plot]:
    """The means of one kind of control of one run."""
    label = figure_text(comparison.methods[place].label)
    name = f"{label}: {CONTROLS[kind].label.lower()}"
    points = [
        Point(
            level=level.level,
            density=level.density,
            value=(value := quantity.of(level.groups[kind])),
            name=name,
            hover=_hover(name, level.level, level.density, value, quantity),
        )
        for level in comparison.methods[place].verdict.levels
        if kind in level.groups
    ]
    if not any(point.value for point in points):
        return
    series = Series(
        name=name,
        group=f"method-{place}",
        tone=f"method-{place}",
        symbol=f"{method(place)[1]}-open",
        dash=CONTROLS[kind].dash,
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
        f"<b>{name}</b>, level {level}<br>{formatting.percent(density)} of weights<br>"
        f"{estimate_text(value, quantity.form)}<br>n = {len(value.values)}"
    )


def _dense(first: Method, quantity: Quantity) -> Estimate | None:
    dense = next((level for level in first.verdict.levels if level.level == 0), None)
    return quantity.of(dense.groups[MAIN]) if dense and MAIN in dense.groups else None


FIGURES: Final[tuple[Figure, ...]] = (
    Figure(
        name="accuracy",
        section="{{ s.title }}",
        title="Test {{ s.name }} against density",
        caption=(
            "Lines are the means of each run's tickets (its dense networks at the left), bands are "
            "{{ interval }} t-intervals of the mean, cut off where they leave the figure, and each "
            "faint mark is one replicate. Bands may overlap where a paired test tells two runs "
            "apart: the tables below say what is confirmed. Names below the figure hide and show a "
            "run, by click, touch or Enter."
        ),
        draw=lambda comparison: methods_against_density(
            comparison, "accuracy", score_quantity(ScoreFormat(comparison.score))
        ),
    ),
    Figure(
        name="early-stop",
        section="Speed of learning",
        title="Early stop against density",
        caption=(
            "Lines, bands, marks and names as above. Lower is sooner: the iteration where "
            "validation loss is lowest, found after training has run to its end."
        ),
        draw=lambda comparison: methods_against_density(comparison, "early_stop", EARLY_STOP),
    ),
    COST,
)
