"""The results as a table and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table

from benchmarks.figure import Figure, Unit
from benchmarks.rows import Claim, Row
from benchmarks.summary import Outcome, Summary, judge, summarize


@dataclass(frozen=True, kw_only=True)
class Result:
    """A row and what was measured of it.

    Args:
        row: the row.
        figures: by the measurement's label, one a process.
        problem: why not all of it was measured; empty otherwise.
    """

    row: Row
    figures: Mapping[str, Sequence[Figure]] = field(default_factory=dict)
    problem: str = ""

    @property
    def summaries(self) -> dict[str, Summary]:
        """Median and range by the measurement's label."""
        return {label: summarize(figures) for label, figures in self.figures.items()}


def table(results: Sequence[Result]) -> Table:
    """One line a measurement and claim of it."""
    made = Table("Row", "", "Median", "Range", "n", "Times better", "Target", "Verdict")
    for result in results:
        made.add_section()
        name = result.row.name
        if result.problem:
            made.add_row(name, "", "-", "-", "", "", "", result.problem.splitlines()[0])
            continue
        summaries = result.summaries
        for label, summary in summaries.items():
            claims = [claim for claim in result.row.claims if claim.of == label]
            cells = [_claim_cells(claim, judge(claim, summaries)) for claim in claims]
            first, others = (cells[0], cells[1:]) if cells else (("", "", ""), [])
            made.add_row(name, _name(label, summary), *_numbers(summary), *first)
            for other in others:
                made.add_row("", "", "", "", "", *other)
            name = ""
    return made


def document(results: Sequence[Result], about: Mapping[str, Any]) -> dict[str, Any]:
    """Everything, as plain JSON values.

    Args:
        results: of every row.
        about: what goes before them: command, date, machine, versions.
    """
    return {**about, "rows": [_row(result) for result in results]}


def quietness(results: Sequence[Result]) -> str:
    """What else the machine was doing, in a sentence."""
    found = [
        figure.details.get("cores_elsewhere")
        for result in results
        for figures in result.figures.values()
        for figure in figures
    ]
    known = [busy for busy in found if busy is not None]
    if not known:
        return "Whether the machine did other work meanwhile is not known."
    return (
        f"Other work kept {statistics.median(known):.1f} cores busy in the median process, "
        f"{max(known):.1f} at most."
    )


def amount(value: float, unit: Unit) -> str:
    """A figure with its unit, three digits or more."""
    if unit != "s":
        return f"{value:,.0f} {unit}"
    for factor, name in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * factor >= 1 or name == "µs":
            break
    scaled = value * factor
    return f"{scaled:,.{0 if scaled >= 100 else 1 if scaled >= 10 else 2}f} {name}"


def _name(label: str, summary: Summary) -> str:
    kept = summary.density
    return label if kept is None or kept == 1 else f"{label} (keeps {kept:.1%})"


def _numbers(summary: Summary) -> tuple[str, str, str]:
    low, high = (amount(value, summary.unit) for value in (summary.lowest, summary.highest))
    return amount(summary.median, summary.unit), f"{low} to {high}", str(summary.processes)


def _claim_cells(claim: Claim, outcome: Outcome) -> tuple[str, str, str]:
    ratio = "" if outcome.ratio is None else f"{outcome.ratio:.2f} x {claim.against}"
    return (
        ratio,
        _target(claim),
        outcome.note or {True: "met", False: "not met", None: ""}[outcome.met],
    )


def _target(claim: Claim) -> str:
    if claim.target is None:
        return ""
    return f"at least {claim.target:g}" if claim.against else f"at most {claim.target:g}"


def _row(result: Result) -> dict[str, Any]:
    summaries = result.summaries
    return {
        "name": result.row.name,
        "about": result.row.about,
        "problem": result.problem,
        "measurements": [
            {
                "label": one.label,
                "arguments": list(one.arguments),
                **asdict(summaries[one.label]),
                "figures": [asdict(figure) for figure in result.figures[one.label]],
            }
            for one in result.row.measurements
            if one.label in summaries
        ],
        "claims": [
            {**asdict(claim), **asdict(judge(claim, summaries))}
            for claim in result.row.claims
            if not result.problem
        ],
    }
