"""From single results to values per replicate: what was measured, where."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from lottery.errors import StoreError
from lottery.store.jobs import MAIN, JobKey, JobResult

Measure = Literal["test_accuracy_at_early_stop", "test_accuracy_final", "early_stop_iteration"]
Jobs = Mapping[tuple[str, int], Sequence[JobResult]]
"""(kind of branch, level) -> its results, in order of replicate and branch."""


def by_place(results: Iterable[JobResult]) -> Jobs:
    """Results by kind of branch and level.

    Raises:
        StoreError: two results are of the same job.
    """
    places: dict[tuple[str, int], list[JobResult]] = {}
    seen: set[JobKey] = set()
    for result in sorted(results, key=lambda result: result.key):
        if result.key in seen:
            raise StoreError(f"expected one result of each job, got two of {result.key}")
        seen.add(result.key)
        places.setdefault((result.key.kind, result.level), []).append(result)
    return places


def replicate_values(jobs: Iterable[JobResult], measure: Measure) -> dict[int, float]:
    """Replicate -> value: the mean over its jobs that came to their end.

    Jobs that diverged or collapsed have no say in it.
    """
    values: dict[int, list[float]] = {}
    for job in jobs:
        value = getattr(job, measure)
        if job.status == "done" and value is not None:
            values.setdefault(job.replicate, []).append(float(value))
    return {replicate: math.fsum(v) / len(v) for replicate, v in sorted(values.items())}


def differences(left: Mapping[int, float], right: Mapping[int, float]) -> dict[int, float]:
    """Left minus right, for each replicate that has both.

    >>> differences({0: 5.0, 1: 7.0}, {1: 4.0, 2: 9.0})
    {1: 3.0}
    """
    return {r: left[r] - right[r] for r in sorted(left.keys() & right.keys())}


def is_guessing(job: JobResult, limit: float) -> bool:
    """Whether a training came to its end, and its test accuracy is below the limit."""
    accuracy = job.test_accuracy_at_early_stop
    return job.status == "done" and accuracy is not None and accuracy < limit


def tickets_lost(jobs: Jobs, level: int) -> int:
    """Replicates whose ticket of this level diverged or collapsed, or never came to be by that.

    A dense network that diverged loses no ticket: it leaves nothing to compare with.
    """
    if level == 0:
        return 0
    failed = {
        job.replicate
        for (kind, above), found in jobs.items()
        if kind == MAIN and 1 <= above <= level
        for job in found
        if job.status != "done"
    }
    ended = {job.replicate for job in jobs.get((MAIN, level), ()) if job.status == "done"}
    return len(failed - ended)
