"""The tables of a comparison: what was measured, every test, the runs and their settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lottery.analysis.methods import facts
from lottery.analysis.methods.types import MEASURES, Contrast, Measure, Outcome, RunComparison
from lottery.report import words
from lottery.report.tables import Table

_OUTCOMES: Mapping[Outcome, str] = {
    "ahead": "✓ better",
    "behind": "✕ worse",
    "unsure": "~ unsure",
    "untested": "· untested",
    "same": "= same trainings",
}
"""What a test says of a run against the first -> how it is written."""


def measured(comparison: RunComparison) -> list[Table]:
    """For each measure, every run's mean at each density."""
    return [
        _table(comparison, facts.TITLES[measure], "Density, %", facts.measured(comparison, measure))
        for measure in MEASURES
    ]


def contrasts(comparison: RunComparison) -> list[Table]:
    """For each measure, every run's difference from the first at each density."""
    tables = [_contrasts(comparison, measure) for measure in MEASURES]
    return [table for table in tables if table.rows]


def runs(comparison: RunComparison) -> Table:
    """What each run is, how small its tickets get, and what it cost."""
    return _table(comparison, "The runs", "What", facts.runs(comparison))


def settings(comparison: RunComparison) -> Table | None:
    """Every setting that differs; None where none does."""
    lines = facts.settings(comparison)
    if not lines:
        return None
    note = "All other settings are the same, but for the experiment's name."
    return _table(comparison, "Settings that differ", "Setting", lines, note)


def _table(
    comparison: RunComparison,
    title: str,
    corner: str,
    lines: Sequence[facts.Line],
    note: str = "",
) -> Table:
    labels = [method.label for method in comparison.methods]
    return Table(title, note, (corner, *labels), [(name, *cells) for name, cells in lines])


def _contrasts(comparison: RunComparison, measure: Measure) -> Table:
    iterations = measure == "early_stop_iteration"
    unit = "iterations" if iterations else "points"
    number = words.plural(comparison.comparisons[measure], "test")
    return Table(
        f"{facts.TITLES[measure].removesuffix(', %')}: difference from "
        f"{comparison.methods[0].label}",
        f"In brackets, the {100 * comparison.confidence:g}% t-interval. p-values are two-sided, "
        f"corrected after Holm for {number}.",
        ("Density, %", "Run", f"Difference, {unit}", "Result", "p (Holm)", "p", "n", "Test"),
        [
            (
                words.density(row.density).removesuffix("%"),
                method.label,
                _difference(contrast, iterations=iterations),
                _OUTCOMES[contrast.outcome],
                words.probability(contrast.p_holm),
                words.probability(contrast.p),
                _n(contrast),
                "paired" if contrast.paired else "Welch",
            )
            for row in comparison.rows
            for method, cell in zip(comparison.methods, row.cells, strict=True)
            if cell and (contrast := cell.against_first.get(measure))
        ],
    )


def _difference(contrast: Contrast, *, iterations: bool) -> str:
    form = words.signed_count if iterations else words.points
    text = form(contrast.difference)
    if contrast.low is None or contrast.high is None:
        return text
    return f"{text} [{form(contrast.low)}, {form(contrast.high)}]"


def _n(contrast: Contrast) -> str:
    if contrast.paired:
        return words.plural(contrast.n, "pair")
    return f"{contrast.n} and {contrast.n_first}"
