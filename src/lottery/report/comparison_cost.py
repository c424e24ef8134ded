"""What tickets of one density cost, and what they reach for it, in several runs."""

from __future__ import annotations

from typing import Final

from lottery.analysis import formatting
from lottery.analysis.methods import comparison_rows
from lottery.analysis.methods.types import Cell, Row, RunComparison
from lottery.analysis.score_format import ScoreFormat
from lottery.analysis.types import Estimate
from lottery.report.density import Quantity, score_quantity
from lottery.report.figure import Figure, Plot, choice, figure_text
from lottery.report.palette import method
from lottery.report.series import (
    COLUMNS,
    estimate_text,
    extent,
    log_axis,
    log_range,
    number,
    record,
)


def score_against_cost(comparison: RunComparison) -> Plot | None:
    """A mark for every ticket and one for each run's mean, at one density at a time.

    Returns:
        The plot; None where no two runs have costs at a density.
    """
    quantity = score_quantity(ScoreFormat(comparison.score))
    rows = [row for row in comparison.rows if sum(map(_is_costed, row.cells)) > 1]
    if not rows:
        return None
    drawn = [
        trace
        for row in rows
        for place, cell in enumerate(row.cells)
        if cell and cell.cost and cell.cost.total and cell.group.accuracy
        for trace in _marks(
            figure_text(comparison.methods[place].label),
            place,
            cell,
            cell.group.accuracy,
            cell.cost.total,
            {"tone": f"method-{place}", "density": _name(row)},
            quantity,
        )
    ]
    # The density that most runs have; of several the sparsest.
    first = max(rows, key=lambda row: (sum(map(_is_costed, row.cells)), -row.density))
    options = [
        {"value": _name(row), "label": f"{_name(row)} of weights", "on": row is first}
        for row in rows
    ]
    costed = [cell for row in rows for cell in row.cells if cell and _is_costed(cell)]
    scores = [cell.group.accuracy for cell in costed if cell.group.accuracy]
    return {
        "data": drawn,
        "layout": {
            "title": {"text": quantity.title},
            "xaxis": {
                **log_axis(log_range(drawn)),
                "title": {"text": "Cost to a ticket (dense trainings)"},
            },
            "yaxis": {"range": extent(scores, [], quantity.scale), "tickformat": "~g"},
            "showlegend": True,
        },
        "columns": COLUMNS,
        "choices": [choice("density", "Density", options, single=True)],
    }


def _is_costed(cell: Cell | None) -> bool:
    return bool(cell and cell.level and cell.cost and cell.cost.total and cell.group.accuracy)


def _name(row: Row) -> str:
    return formatting.percent(row.density)


def _marks(
    label: str,
    place: int,
    cell: Cell,
    score: Estimate,
    cost: Estimate,
    meta: Plot,
    quantity: Quantity,
) -> list[Plot]:
    """The single tickets of one run at one density, and their mean."""
    symbol = method(place)[1]
    common: Plot = {
        "type": "scatter",
        "mode": "markers",
        "name": label,
        "legendgroup": f"method-{place}",
        "hovertemplate": "%{text}<extra></extra>",
    }
    both = [replicate for replicate in score.values if replicate in cost.values]
    singles = common | {
        "x": [number(cost.values[r]) for r in both],
        "y": [number(score.values[r], quantity.scale) for r in both],
        "marker": {"size": 6, "symbol": symbol},
        "opacity": 0.5,
        "text": [f"{label}, replicate {r}: {quantity.form(score.values[r])}" for r in both],
        "customdata": [record(cell.level, cell.density, r, score.values[r]) for r in both],
        "showlegend": False,
        "meta": meta | {"part": "replicates"},
    }
    mean = common | {
        "x": [number(cost.mean)],
        "y": [number(score.mean, quantity.scale)],
        "marker": {"size": 13, "symbol": symbol},
        "text": [
            f"<b>{label}</b><br>{estimate_text(score, quantity.form)}<br>"
            f"{cost.mean:.2f} dense trainings<br>n = {len(both)}"
        ],
        "customdata": [record(cell.level, cell.density, None, score.mean, score.low, score.high)],
        "showlegend": True,
        "meta": meta | {"part": "mean"},
    }
    return [singles, mean]


COST: Final = Figure(
    name="cost",
    section="Cost to a ticket",
    title="Test {{ s.name }} against what it took to get there",
    caption=(
        f"{comparison_rows.COST_NOTE.partition(';')[0]}. Large marks are means, faint ones single "
        "tickets, all of about the density that is chosen above. Left is cheaper, and the axis is "
        "logarithmic."
    ),
    draw=score_against_cost,
)
