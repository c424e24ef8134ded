"""The numbers of a comparison as cells of text, one a method, for terminal and page alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from lottery.analysis import phrases
from lottery.analysis.methods.settings import shown
from lottery.analysis.methods.types import Cell, Measure, Method, Outcome, Place, Row, RunComparison
from lottery.analysis.types import Estimate

NONE: Final = "-"

TITLES: Final[Mapping[Measure, str]] = {
    "accuracy_at_early_stop": "Test accuracy at early stop, %",
    "accuracy_final": "Test accuracy at the end, %",
    "early_stop_iteration": "Early-stop iteration",
}
"""Measure -> its name for readers, with its unit."""

_MARKS: Final[Mapping[Outcome, str]] = {"ahead": ">", "behind": "<"}
_BEST: Final = "*"

Line = tuple[str, tuple[str, ...]]
"""What it is, and its text for each method."""


def measured(comparison: RunComparison, measure: Measure) -> list[Line]:
    """One line a density: mean, half its t-interval, replicates and what the tests confirm."""
    return [
        (
            phrases.percent(row.density).removesuffix("%"),
            tuple(_measured(row, place, measure) for place in range(len(row.cells))),
        )
        for row in comparison.rows
    ]


def notes(comparison: RunComparison) -> list[str]:
    """How to read the lines that `measured` gives."""
    interval = f"{100 * comparison.confidence:g}% t-interval"
    told = [
        f"Mean, ± half its {interval}, and in brackets the replicates averaged (+ those lost: "
        "diverged or collapsed, there or before). "
        f"{_MARKS['ahead']} better and {_MARKS['behind']} worse than the first run, confirmed; "
        f"{_BEST} better than every other run there, confirmed. For early stop, sooner is better."
    ]
    if any(_spread(row) > 0.001 for row in comparison.rows):
        told.append(
            f"Densities within {phrases.percent(comparison.tolerance)} of one another share a row."
        )
    return told


def runs(comparison: RunComparison) -> list[Line]:
    """What each run is, how small its tickets get, and what it cost."""
    facts: list[tuple[str, Callable[[Method], str]]] = [
        ("Run", lambda method: method.verdict.run),
        ("Replicates", lambda method: f"{method.verdict.replicates:,}"),
        ("Paired with the first", _paired),
        ("Trainings", _trainings),
        ("Prunable weights", lambda method: f"{method.weights_total:,}"),
        ("Smallest matching density", lambda method: _density(method.smallest_matching)),
        ("... confirmed", lambda method: _density(method.smallest_confirmed_matching)),
        ("Early stop, dense", lambda method: _stop(method.dense)),
        ("... at smallest matching", lambda method: _stop(method.smallest_matching)),
        ("Seconds, dense and tickets", lambda method: f"{method.cost.seconds:,.1f}"),
        ("... of one training", _seconds_each),
        ("... controls", lambda method: f"{method.cost.control_seconds:,.1f}"),
        ("Engine", lambda method: phrases.joined(method.cost.engines or (NONE,))),
        ("Device", lambda method: method.cost.device),
    ]
    return [(name, tuple(map(of, comparison.methods))) for name, of in facts]


def settings(comparison: RunComparison) -> list[Line]:
    """Every setting in which the runs differ."""
    return [(setting.key, tuple(map(shown, setting.values))) for setting in comparison.settings]


def _measured(row: Row, place: int, measure: Measure) -> str:
    cell = row.cells[place]
    if cell is None:
        return NONE
    contrast, best = cell.against_first.get(measure), row.best.get(measure)
    mark = _MARKS.get(contrast.outcome, "") if contrast else ""
    if best and best.method == place and best.confirmed:
        mark += _BEST
    scale, style = (1, ",.0f") if measure == "early_stop_iteration" else (100, ".2f")
    return f"{_mean(cell.of(measure), scale, style)} ({_replicates(cell)}){mark}"


def _mean(estimate: Estimate | None, scale: float, style: str) -> str:
    if estimate is None:
        return NONE
    text = f"{scale * estimate.mean:{style}}"
    if estimate.high is None:
        return text
    return f"{text} ±{scale * (estimate.high - estimate.mean):{style}}"


def _replicates(cell: Cell) -> str:
    # A dense network that failed is no lost ticket, but it is a lost replicate.
    lost = max(cell.tickets_lost, cell.diverged + cell.collapsed)
    return f"{cell.n}+{lost} lost" if lost else f"{cell.n}"


def _spread(row: Row) -> float:
    """How far the densities of a row lie apart, as a share of the smallest."""
    there = [cell.density for cell in row.cells if cell]
    return max(there) / min(there) - 1 if min(there) > 0 else 0.0


def _paired(method: Method) -> str:
    if method.paired is None:
        return NONE
    return "yes" if method.paired else f"no: {method.pairing}"


def _trainings(method: Method) -> str:
    verdict = method.verdict
    counts = [
        (verdict.jobs_done, f"of {verdict.jobs_planned:,} done"),
        (verdict.jobs_diverged, "diverged"),
        (verdict.jobs_collapsed, "collapsed"),
    ]
    return ", ".join(f"{count:,} {what}" for count, what in counts if count or what[:2] == "of")


def _density(place: Place | None) -> str:
    return phrases.percent(place.density) if place else NONE


def _stop(place: Place | None) -> str:
    if place is None or place.early_stop_iteration is None:
        return NONE
    return f"{place.early_stop_iteration:,.0f}"


def _seconds_each(method: Method) -> str:
    cost = method.cost
    return f"{cost.seconds / cost.trainings:,.2f}" if cost.trainings else NONE
