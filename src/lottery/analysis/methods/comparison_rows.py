"""The tables of a comparison as rows of text, one cell a run, for the terminal and the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from lottery.analysis import formatting
from lottery.analysis.formatting import NONE
from lottery.analysis.methods.settings import format_setting
from lottery.analysis.methods.types import (
    MEASURES,
    Cell,
    Method,
    Outcome,
    Place,
    Row,
    RunComparison,
)
from lottery.analysis.score_format import ScoreFormat, at_moment
from lottery.analysis.types import Estimate, Measure


def shown_measures(comparison: RunComparison) -> tuple[Measure, ...]:
    """The measures that have tables; without early stops all scores are those at the end."""
    timed = _timed(comparison)
    return tuple(measure for measure in MEASURES if timed or measure != "accuracy_final")


def measure_titles(comparison: RunComparison) -> Mapping[Measure, str]:
    """Measure -> its name for readers, without its unit."""
    score = ScoreFormat(comparison.score)
    return {
        "accuracy": f"Test {score.name} {_moment(comparison)}",
        "accuracy_final": f"Test {score.name} at the end",
        "early_stop": "Early-stop iteration",
        "time_to_dense": f"Time to the dense network's {score.name}, as a share of its own",
    }


def table_title(comparison: RunComparison, measure: Measure) -> str:
    """The heading of a measure's table, with its unit."""
    title = measure_titles(comparison)[measure]
    scored = measure in ("accuracy", "accuracy_final")
    return ScoreFormat(comparison.score).head(title) if scored else title


_MARKS: Final[Mapping[Outcome, str]] = {"ahead": ">", "behind": "<"}
_BEST: Final = "*"

TextRow = tuple[str, tuple[str, ...]]
"""The name of a row, and its text for each run."""


def findings_title(comparison: RunComparison) -> str:
    """The heading above `RunComparison.findings`."""
    return f"Against the first run, in {ScoreFormat(comparison.score).name} {_moment(comparison)}"


def measure_rows(comparison: RunComparison, measure: Measure) -> list[TextRow]:
    """One row a density: mean, half its interval, replicates and what the tests confirm."""
    always = ("accuracy", "accuracy_final", *(["early_stop"] if _timed(comparison) else []))
    return [
        (
            formatting.percent(row.density).removesuffix("%"),
            tuple(
                _measure_text(comparison, row, place, measure) for place in range(len(row.cells))
            ),
        )
        for row in comparison.rows
        if any(cell and cell.of(measure) for cell in row.cells) or measure in always
    ]


def notes(comparison: RunComparison) -> list[str]:
    """How to read the lines that `measure_rows` gives."""
    interval = f"{100 * comparison.confidence:g}% t-interval"
    told = [
        f"Mean, ± half its {interval}, and in brackets the replicates averaged (+ those lost: "
        "diverged, collapsed or guessing, there or before). "
        f"{_MARKS['ahead']} better and {_MARKS['behind']} worse than the first run, confirmed; "
        f"{_BEST} better than every other run there, confirmed. For times, sooner is better."
    ]
    if any(_spread(row) > 0.001 for row in comparison.rows):
        within = formatting.percent(comparison.tolerance)
        told.append(f"Densities within {within} of one another share a row.")
    return told


COST_TITLE: Final = "What a ticket cost, in dense trainings"
COST_NOTE: Final = (
    "Multiplications of every training that a ticket comes from, of scoring weights for it, and of "
    "its own training, as multiples of one training of the dense network, pruned weights counting "
    "for nothing but in scoring; in brackets those of finding it alone, then the seconds that all "
    "of this took on the run's machine. Means over replicates."
)


def cost_notes(comparison: RunComparison) -> list[str]:
    """How to read what tickets cost, and what of it is not known."""
    lacking, known = [], []
    for place, method in enumerate(comparison.methods):
        cells = [row.cells[place] for row in comparison.rows]
        costs = [cell.cost for cell in cells if cell and cell.level and cell.cost]
        known += [cost.making.mean for cost in costs if cost.making]
        lacking += [method.label] if any(cost.making is None for cost in costs) else []
    told = [COST_NOTE]
    if known:
        told.append(
            "Of the seconds, making tickets (reading weights, scoring them and choosing among "
            f"them) took {max(known):,.1f} s at most."
        )
    if lacking:
        told.append(
            f"Of {formatting.joined(lacking)} it is not recorded how long making tickets took, and "
            "the seconds there lack it."
        )
    return told


def cost_rows(comparison: RunComparison) -> list[TextRow]:
    """One line a density: what tickets cost; empty where it was not asked for."""
    return [
        (formatting.percent(row.density).removesuffix("%"), tuple(map(_cost, row.cells)))
        for row in comparison.rows
        if any(cell and cell.level and cell.cost for cell in row.cells)
    ]


def _cost(cell: Cell | None) -> str:
    if cell is None or cell.cost is None:
        return NONE
    cost, seconds = cell.cost, f"{cell.cost.seconds.mean:,.1f} s"
    if cost.total is None or cost.finding is None:
        return seconds
    return f"{cost.total.mean:.2f} ({cost.finding.mean:.2f}), {seconds}"


def run_rows(comparison: RunComparison) -> list[TextRow]:
    """What each run is, how small its tickets get, and what it cost."""
    columns: list[tuple[str, Callable[[Method], str]]] = [
        ("Run", lambda method: method.verdict.run),
        ("Verdict by itself", lambda method: method.verdict.headline),
        ("Replicates", lambda method: f"{method.verdict.replicates:,}"),
        ("Paired with the first", _paired),
        ("Trainings", _trainings),
        ("Prunable weights", lambda method: f"{method.weights_total:,}"),
        (
            "Smallest matching density that all runs have, confirmed",
            lambda method: _density(method.smallest_confirmed_matching),
        ),
        ("... on the means", lambda method: _density(method.smallest_matching)),
        ("Early stop, dense", lambda method: _stop(method.dense)),
        ("... at smallest matching", lambda method: _stop(method.smallest_matching)),
        ("Seconds, dense and tickets", lambda method: f"{method.cost.seconds:,.1f}"),
        ("... of one training", _seconds_each),
        ("... controls", lambda method: f"{method.cost.control_seconds:,.1f}"),
        ("Engine", lambda method: formatting.joined(method.cost.engines or (NONE,))),
        ("Device", lambda method: method.cost.device),
    ]
    return [(name, tuple(map(of, comparison.methods))) for name, of in columns]


def setting_rows(comparison: RunComparison) -> list[TextRow]:
    """Every setting in which the runs differ."""
    return [
        (setting.key, tuple(map(format_setting, setting.values))) for setting in comparison.settings
    ]


def _timed(comparison: RunComparison) -> bool:
    """Whether any run has early stops."""
    return any(method.verdict.timed for method in comparison.methods)


def _moment(comparison: RunComparison) -> str:
    """When the score is taken that runs are compared by; which have no early stop is named."""
    timed = _timed(comparison)
    others = [method.label for method in comparison.methods if not method.verdict.timed]
    at_end = f" ({formatting.joined(others)}: {at_moment(False)})" if timed and others else ""
    return f"{at_moment(timed)}{at_end}"


def _measure_text(comparison: RunComparison, row: Row, place: int, measure: Measure) -> str:
    cell = row.cells[place]
    if cell is None:
        return NONE
    made, best = cell.against_first.get(measure), row.best.get(measure)
    mark = _MARKS.get(made.outcome, "") if made else ""
    if best and best.method == place and best.confirmed:
        mark += _BEST
    score = ScoreFormat(comparison.score)
    return f"{_mean(cell.of(measure), measure, score)} ({_replicates(cell)}){mark}"


def _mean(estimate: Estimate | None, measure: Measure, score: ScoreFormat) -> str:
    if estimate is None:
        return NONE
    if measure == "time_to_dense":
        interval = formatting.interval_of_ratio(estimate)
        return formatting.mean_ratio(estimate) + (f" [{interval}]" if interval else "")
    if measure != "early_stop":
        return score.mean(estimate)
    half = formatting.half_width(estimate, scale=1, digits=0)
    return f"{estimate.mean:,.0f}{f' {half}' if half else ''}"


def _replicates(cell: Cell) -> str:
    return f"{cell.group.n}+{cell.lost} lost" if cell.lost else f"{cell.group.n}"


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
    return formatting.percent(place.density) if place else NONE


def _stop(place: Place | None) -> str:
    if place is None or place.early_stop_iteration is None:
        return NONE
    return formatting.count(place.early_stop_iteration)


def _seconds_each(method: Method) -> str:
    cost = method.cost
    return f"{cost.seconds / cost.trainings:,.2f}" if cost.trainings else NONE
