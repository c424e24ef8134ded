"""Figures of the analysis ``alignment`` against density: in place, aligned and by chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any, Final

from lottery.analysis import formatting
from lottery.analysis.controls import CONTROLS, DENSE
from lottery.analysis.types import Estimate
from lottery.inside.evaluation import is_share
from lottery.report.data import ReportData
from lottery.report.figure import Figure, Plot
from lottery.report.inside import SECTION, rows_of
from lottery.report.series import (
    COLUMNS,
    Point,
    Series,
    density_axis,
    estimate_text,
    extent,
    traces,
)

_LINES: Final = {
    "in_place": ("In place", CONTROLS["moved"]),
    "aligned": ("Aligned", CONTROLS["aligned"]),
    "by_chance": ("By chance", CONTROLS[DENSE]),
}
"""Column -> its name, and the kind that it looks like."""


@dataclass(frozen=True, kw_only=True)
class _Quantity:
    """What is drawn.

    Args:
        table: of the measurement.
        title: of the axis.
        scale: from the table's unit to the axis's.
        unit: of the axis, for readers.
    """

    table: str
    title: str
    scale: float = 1
    unit: str = ""

    def form(self, value: float) -> str:
        """A value for readers."""
        return f"{self.scale * value:.3g}{self.unit}"


def _similarity(data: ReportData) -> _Quantity:  # noqa: ARG001 - the same of any run
    return _Quantity(table="similarity", title="Mean correlation of neurons")


def _barriers(data: ReportData) -> _Quantity:
    if is_share(data.verdict.score):
        return _Quantity(
            table="barriers", title="Rise of test error (points)", scale=100, unit=" points"
        )
    return _Quantity(table="barriers", title=f"Rise of test {data.verdict.score.name}")


def _overlap(data: ReportData) -> _Quantity:  # noqa: ARG001 - the same of any run
    return _Quantity(table="overlap", title="Weights that both keep (%)", scale=100, unit="%")


def draw(of: Callable[[ReportData], _Quantity], data: ReportData) -> Plot | None:
    """Means and pairs of replicates against density; None where nothing was measured."""
    quantity = of(data)
    rows = [*rows_of(data, "alignment", quantity.table)]
    lines = [
        Series(
            name=name,
            group=column,
            tone=look.kind,
            symbol=look.symbol,
            dash=look.dash,
            points=points,
            aside=0.008 * (place - 1),
        )
        for place, (column, (name, look)) in enumerate(_LINES.items())
        if (points := _points(data, rows, column, name, quantity))
    ]
    if not lines:
        return None
    shown = [point for line in lines for point in line.points]
    estimates = [point.value for point in shown if point.value]
    return {
        "data": [t for line in lines for t in traces(line, quantity.scale, quantity.form)],
        "layout": {
            "title": {"text": quantity.title},
            "xaxis": density_axis(point.density for point in shown),
            "yaxis": {"range": extent(estimates, [0.0], quantity.scale), "tickformat": "~g"},
            "showlegend": True,
        },
        "columns": COLUMNS,
    }


def _points(
    data: ReportData, rows: list[dict[str, Any]], column: str, name: str, quantity: _Quantity
) -> list[Point]:
    """One line: of each pair of replicates, known by its second one, the mean over layers."""
    found = []
    for level in data.verdict.levels:
        values: dict[int, list[float]] = {}
        for row in rows:
            if row["level"] == level.level and isinstance(row.get(column), int | float):
                values.setdefault(int(row["target"]), []).append(float(row[column]))
        if values:
            found.append(_point(level.level, level.density, values, name, quantity))
    return found


def _point(
    level: int, density: float, values: Mapping[int, list[float]], name: str, quantity: _Quantity
) -> Point:
    each = {target: fmean(of) for target, of in sorted(values.items())}
    value = Estimate(mean=fmean(each.values()), low=None, high=None, values=each)
    return Point(
        level=level,
        density=density,
        value=value,
        name=name,
        hover=f"<b>{name}</b>, level {level}<br>{formatting.percent(density)} of weights<br>"
        f"{estimate_text(value, quantity.form)}<br>n = {len(values)} pairs",
    )


_PAIRS: Final = (
    "Each replicate is compared with the one before it. Lines are means over pairs, faint marks "
    "single pairs; two pairs may have a replicate in common, so that there are no intervals."
)
INSIDE_ALIGNMENT: Final = (
    Figure(
        name="inside-alignment",
        section=SECTION,
        title="Neurons of two replicates, matched by what they do",
        caption=(
            "How neurons of one network correlate with those of another on the same examples: in "
            "place, the first with the first; aligned, matched one to one; and matched by "
            "activations on different examples, which is chance. " + _PAIRS
        ),
        draw=partial(draw, _similarity),
    ),
    Figure(
        name="inside-barriers",
        section=SECTION,
        title="Barriers between replicates",
        caption=(
            "How far the test error rises on the straight line between two networks, as they are "
            "and with one's neurons put where they match the other's. Near 0 the two lie in one "
            "basin, up to the order of their neurons. " + _PAIRS
        ),
        draw=partial(draw, _barriers),
    ),
    Figure(
        name="inside-shared-masks",
        section=SECTION,
        title="What masks of two replicates share",
        caption=(
            "Of the weights that one mask keeps, how many the other keeps, too: in place, with "
            "neurons aligned by the two dense networks, and by chance, for masks drawn at random "
            "with as many weights in each layer. " + _PAIRS
        ),
        draw=partial(draw, _overlap),
    ),
)
"""Drawn where `lottery analyse alignment` was run."""
