"""The tables of single trainings: every replicate, and those that failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lottery.analysis import formatting
from lottery.analysis.controls import CONTROLS
from lottery.report.csv_text import Cell
from lottery.report.tables import Column, Table, make_table, records
from lottery.store.jobs import MAIN, JobKey, JobResult


@dataclass(frozen=True)
class Trained:
    """One training beside the dense network of its replicate."""

    result: JobResult
    dense: JobResult | None
    at_end: bool
    """Whether its early stop is the last evaluation, and so a lower bound."""

    @property
    def difference(self) -> float | None:
        """In accuracy at early stop."""
        own, dense = self.result, self.dense
        if dense is None or None in (
            own.score_at_early_stop,
            dense.score_at_early_stop,
        ):
            return None
        return (own.score_at_early_stop or 0) - (dense.score_at_early_stop or 0)

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


_REPLICATES: Sequence[Column[Trained]] = (
    Column("Replicate", _of("replicate"), key="replicate"),
    Column("Kind", lambda row: CONTROLS[row.result.key.kind].label),
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
        "Accuracy, %",
        _of("score_at_early_stop"),
        formatting.accuracy,
        "test_accuracy_at_early_stop",
    ),
    Column(
        "Minus dense, points",
        lambda row: row.difference,
        formatting.signed_points,
        "accuracy_minus_dense",
    ),
    Column("Early stop", lambda row: row.stop),
    Column("", _of("early_stop_iteration"), key="early_stop_iteration"),
    Column("", lambda row: row.at_end, key="early_stop_is_lower_bound"),
    Column("", _of("validation_loss_at_early_stop"), key="validation_loss_at_early_stop"),
    Column(
        "Accuracy at the end, %",
        _of("score_final"),
        formatting.accuracy,
        "test_accuracy_final",
    ),
    Column("", _of("start_iteration"), key="start_iteration"),
    Column("", _of("iterations"), key="iterations"),
    Column("Seconds", _of("seconds"), lambda v: f"{v:,.1f}", "seconds"),
    Column("", _of("engine"), key="engine"),
    Column("", _of("reason"), key="reason"),
)


def replicates(results: Sequence[JobResult], last_evaluation: int) -> Table:
    """Every training, one a row.

    Args:
        results: of the run.
        last_evaluation: an early stop there is a lower bound.
    """
    note = "≥ marks an early stop at the last evaluation: a lower bound."
    rows = _trained(results, last_evaluation)
    return make_table("Every replicate", note, "replicates", _REPLICATES, rows)


def replicate_records(results: Sequence[JobResult], last_evaluation: int) -> list[dict[str, Cell]]:
    """The rows of the CSV file of `replicates`."""
    return records(_REPLICATES, _trained(results, last_evaluation))


def _trained(results: Sequence[JobResult], last_evaluation: int) -> list[Trained]:
    by_key = {result.key: result for result in results}
    return [
        Trained(
            result,
            by_key.get(JobKey(key.replicate, MAIN, 0)),
            result.early_stop_iteration is not None
            and 0 < last_evaluation <= result.early_stop_iteration,
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
