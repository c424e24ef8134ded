"""The tables of a comparison: what was measured, every test, the runs and their settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from lottery.analysis import formatting
from lottery.analysis.methods import comparison_rows
from lottery.analysis.methods.types import AgainstFirst, Outcome, RunComparison
from lottery.analysis.score_format import ScoreFormat
from lottery.analysis.types import Measure
from lottery.csv_text import csv_text
from lottery.report.tables import Column, Table, difference_text, make_table, ratio_text

_OUTCOMES: Mapping[Outcome, str] = {
    "ahead": "✓ better",
    "behind": "✕ worse",
    "open": "~ open",
    "untested": "· untested",
    "same": "= same trainings",
}
"""Outcome of a run against the first -> how it is written."""


@dataclass(frozen=True)
class _Test:
    """One run against the first at one density."""

    density: float
    label: str
    made: AgainstFirst


def measured(comparison: RunComparison) -> list[Table]:
    """For each measure, every run's mean at each density."""
    return [
        _table(
            comparison,
            measure,
            comparison_rows.table_title(comparison, measure),
            "Density, %",
            lines,
        )
        for measure in comparison_rows.shown_measures(comparison)
        if (lines := comparison_rows.measure_rows(comparison, measure))
    ]


def contrasts(comparison: RunComparison) -> list[Table]:
    """For each measure, every run's difference from the first at each density."""
    return [
        table
        for measure in comparison_rows.shown_measures(comparison)
        if (table := _contrasts(comparison, measure))
    ]


def runs(comparison: RunComparison) -> Table:
    """What each run is, how small its tickets get, and what it cost."""
    return _table(comparison, "runs", "The runs", "What", comparison_rows.run_rows(comparison))


def costs(comparison: RunComparison) -> Table | None:
    """What tickets cost at each density; None where it was not asked for."""
    lines = comparison_rows.cost_rows(comparison)
    return (
        _table(comparison, "costs", comparison_rows.COST_TITLE, "Density, %", lines)
        if lines
        else None
    )


def settings(comparison: RunComparison) -> Table | None:
    """Every setting that differs; None where none does."""
    lines = comparison_rows.setting_rows(comparison)
    if not lines:
        return None
    note = "All other settings are the same, but for the experiment's name."
    return _table(comparison, "settings", "Settings that differ", "Setting", lines, note)


def _table(
    comparison: RunComparison,
    name: str,
    title: str,
    corner: str,
    lines: Sequence[comparison_rows.TextRow],
    note: str = "",
) -> Table:
    labels = [method.label for method in comparison.methods]
    head = (corner, *labels)
    rows = [(line, *cells) for line, cells in lines]
    csv = csv_text(dict(zip(head, row, strict=True)) for row in rows)
    return Table(title, note, head, rows, name=f"measured-{name}", csv=csv)


_COLUMNS: Final[Sequence[Column[_Test]]] = (
    Column("Density, %", lambda t: t.density, lambda d: formatting.percent(d)[:-1], "density"),
    Column("Run", lambda t: t.label, key="run"),
    Column("Result", lambda t: t.made.outcome, lambda outcome: _OUTCOMES[outcome], "outcome"),
    Column("p (Holm)", lambda t: t.made.p_adjusted, formatting.probability, "p_adjusted"),
    Column("p", lambda t: t.made.p, formatting.probability, "p"),
    Column("n", lambda t: _n(t.made), key="n"),
    Column("Test", lambda t: "paired" if t.made.contrast.paired else "Welch", key="test"),
    Column("Why untested", lambda t: t.made.why or None, key="why"),
)


def _contrasts(comparison: RunComparison, measure: Measure) -> Table | None:
    made = [
        _Test(row.density, method.label, found)
        for row in comparison.rows
        for method, cell in zip(comparison.methods, row.cells, strict=True)
        if cell and (found := cell.against_first.get(measure))
    ]
    if not made:
        return None
    score = ScoreFormat(comparison.score)
    ratio = made[0].made.contrast.scale == "ratio"
    estimate: Column[_Test] = Column(
        "Ratio" if ratio else score.head("Difference", difference=True),
        lambda t: t.made.contrast.estimate,
        ratio_text if ratio else partial(difference_text, score),
        "ratio" if ratio else "difference",
        ends=True,
    )
    number = formatting.counted(comparison.comparisons[measure], "test")
    better, name = ratio or score.score.higher, score.name
    title, first = (
        comparison_rows.measure_titles(comparison)[measure],
        comparison.methods[0].label,
    )
    why = replace(_COLUMNS[-1], head=_COLUMNS[-1].head if any(t.made.why for t in made) else "")
    return make_table(
        f"{title}: {'over' if ratio else 'difference from'} {first}",
        f"In brackets, the {100 * comparison.confidence:g}% interval. p-values are two-sided, "
        f"corrected after Holm for {number}.{'' if better else f' Above 0 the {name} is lower.'}",
        f"tests-{measure}",
        [*_COLUMNS[:2], estimate, *_COLUMNS[2:-1], why],
        made,
    )


def _n(made: AgainstFirst) -> str:
    if made.contrast.paired:
        return formatting.counted(made.contrast.n, "pair")
    return f"{made.contrast.n} and {made.n_first}"
