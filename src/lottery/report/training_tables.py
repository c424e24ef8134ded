"""The tables of single trainings: every replicate, and those that failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lottery.analysis import formatting
from lottery.analysis.controls import CONTROLS
from lottery.analysis.score_format import ScoreFormat
from lottery.analysis.types import Verdict
from lottery.csv_text import Cell
from lottery.report.tables import Column, Table, make_table, records
from lottery.score import Score
from lottery.store.jobs import MAIN, JobKey, JobResult


@dataclass(frozen=True)
class Trained:
    """One training beside the dense network of its replicate."""

    result: JobResult
    dense: JobResult | None
    at_end: bool
    """Whether its early stop is the last evaluation, and so a lower bound."""
    score: Score

    @property
    def difference(self) -> float | None:
        """The score minus the dense network's, in the score's direction; None if one is missing."""
        own, dense = self.result.score, self.dense.score if self.dense else None
        return None if own is None or dense is None else self.score.oriented(own - dense)

    @property
    def control(self) -> int | None:
        """Its number among the controls of its kind; None for tickets and dense networks."""
        key = self.result.key
        return None if key.kind == MAIN else int(key.branch.rpartition("-")[2])

    @property
    def stop(self) -> str:
        """Its early stop in words."""
        stop = self.result.early_stop_iteration
        bound = "≥ " if self.at_end else ""
        return formatting.NONE if stop is None else f"{bound}{formatting.count(stop)}"


def _of(name: str) -> Callable[[Trained], Any]:
    return lambda row: getattr(row.result, name)


def _label(kind: str) -> str:
    return CONTROLS[kind].label if kind in CONTROLS else "Other data order"


def _columns(s: ScoreFormat, *, timed: bool) -> Sequence[Column[Trained]]:
    return (
        Column("Replicate", _of("replicate"), key="replicate"),
        Column("Kind", lambda row: _label(row.result.key.kind)),
        Column("", _of("branch"), key="branch"),
        Column("", lambda row: row.result.key.kind, key="kind"),
        Column("", lambda row: row.control, key="control"),
        Column("Level", _of("level"), key="level"),
        Column("Density", _of("density"), formatting.percent, "density"),
        Column("", lambda row: 1 - row.result.density, key="sparsity"),
        Column("", _of("weights_kept"), key="weights_kept"),
        Column("", _of("weights_total"), key="weights_total"),
        Column("Status", _of("status"), key="status"),
        Column(
            s.head(s.title),
            _of("score"),
            s.value,
            f"test_{s.key}_at_early_stop" if timed else "",
        ),
        Column(
            s.head("Minus dense" if s.score.higher else "Dense minus it", difference=True),
            lambda row: row.difference,
            s.signed,
            f"{s.key}_minus_dense" if s.score.higher else f"dense_minus_{s.key}",
        ),
        Column("Early stop", lambda row: row.stop),
        Column("", _of("early_stop_iteration"), key="early_stop_iteration"),
        Column("", lambda row: row.at_end, key="early_stop_is_lower_bound"),
        Column("", _of("validation_loss_at_early_stop"), key="validation_loss_at_early_stop"),
        Column(
            s.head(f"{s.title} at the end"),
            _of("score_final"),
            s.value,
            f"test_{s.key}_final",
        ),
        Column("", _of("start_iteration"), key="start_iteration"),
        Column("", _of("iterations"), key="iterations"),
        Column("Seconds", _of("seconds"), lambda v: f"{v:,.1f}", "seconds"),
        Column("", _of("engine"), key="engine"),
        Column("", _of("reason"), key="reason"),
    )


def replicates(results: Sequence[JobResult], verdict: Verdict) -> Table:
    """Every training, one a row.

    Args:
        results: of the run.
        verdict: says what the score is, and after which evaluation an early stop is a lower bound.
    """
    columns = _columns(ScoreFormat(verdict.score), timed=verdict.timed)
    note = "≥ marks an early stop at the last evaluation: a lower bound."
    return make_table("Every replicate", note, "replicates", columns, _trained(results, verdict))


def replicate_records(results: Sequence[JobResult], verdict: Verdict) -> list[dict[str, Cell]]:
    """The rows of the CSV file of `replicates`."""
    columns = _columns(ScoreFormat(verdict.score), timed=verdict.timed)
    return records(columns, _trained(results, verdict))


def _trained(results: Sequence[JobResult], verdict: Verdict) -> list[Trained]:
    by_key = {result.key: result for result in results}
    return [
        Trained(
            result,
            by_key.get(JobKey(key.replicate, MAIN, 0)),
            result.early_stop_iteration is not None
            and 0 < verdict.last_evaluation <= result.early_stop_iteration,
            verdict.score,
        )
        for key, result in sorted(by_key.items())
    ]


_FAILURES: Sequence[Column[JobResult]] = (
    Column("Replicate", lambda r: r.replicate, key="replicate"),
    Column("Branch", lambda r: r.branch, key="branch"),
    Column("Level", lambda r: r.level, key="level"),
    Column("Density", lambda r: r.density, formatting.percent, "density"),
    Column("Status", lambda r: r.status, key="status"),
    Column("Reason", lambda r: r.reason or None, key="reason"),
)


def failures(results: Sequence[JobResult]) -> Table | None:
    """Jobs that did not come to a usable end; None if there are none."""
    failed = sorted((r for r in results if r.status != "done"), key=lambda r: r.key)
    if not failed:
        return None
    title = "Jobs that did not come to a usable end"
    return make_table(title, "They are left out of every mean.", "failures", _FAILURES, failed)
