"""From single trainings to one value per replicate, and which trainings are missing.

A replicate counts where its dense network came to its end and does better than guessing. A training
is lost where it diverged, collapsed or guesses, or was never begun because one that it needs
failed. Several controls of a kind in one replicate are averaged: accuracies by the arithmetic mean,
iterations by the geometric mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from lottery.analysis.chance import guessing_limit
from lottery.analysis.evidence import Evidence
from lottery.analysis.speed import target_score, time_to_reach
from lottery.analysis.types import Measure, Missing
from lottery.errors import StoreError
from lottery.store.jobs import MAIN, SEARCH, JobKey, JobResult
from lottery.tickets import KEEPS_TRAINED, never_settled
from lottery.training import stopping_points

Place = tuple[str, int]
"""Kind of branch, and level."""


class Measured:
    """The trainings of a run by kind and level, and what was measured of them.

    Args:
        evidence: results of the run, and what is known about them.

    Raises:
        StoreError: two results are of the same job.
    """

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.score = evidence.score
        self.jobs = _by_place(as_dense(evidence.results, evidence.dense_kind))
        self.curves = {
            key: curve
            for of, curve in evidence.curves.items()
            if (key := dense_key(of, evidence.dense_kind))
        }
        self.limit = guessing_limit(evidence.classes, evidence.test_examples)
        dense = self.jobs.get((MAIN, 0), ())
        self.dense = {job.replicate: job for job in dense if not self.is_lost(job)}
        self.kinds = tuple(dict.fromkeys(kind for kind, _ in self.jobs))
        self.levels = sorted({level for _, level in self.jobs if level})
        self.timed = all(job.early_stop_iteration is not None for job in self.dense.values())
        """Whether the dense networks have early stops, so that tickets can be sooner."""
        self.end = max(map(self.last_evaluation, self.dense.values()), default=0)
        self._targets = self._dense_targets()

    def is_guessing(self, job: JobResult) -> bool:
        """Whether a training came to its end with a test accuracy below the limit of guessing.

        Without classes there is no such limit, and nothing counts as guessing.
        """
        accuracy = job.score if self.limit else None
        return job.status == "done" and accuracy is not None and accuracy < self.limit

    def is_lost(self, job: JobResult) -> bool:
        """Whether a training has no result to compare."""
        return job.status != "done" or self.is_guessing(job)

    def counting(self, kind: str, level: int) -> list[JobResult]:
        """The trainings of a kind at a level that have a result and a dense network beside it.

        Where no dense network has learned anything, all that came to their end.
        """
        jobs = self.jobs.get((kind, level), ())
        if not self.dense:
            return [job for job in jobs if job.status == "done"]
        return [job for job in jobs if job.replicate in self.dense and not self.is_lost(job)]

    def values(self, kind: str, level: int, measure: Measure) -> dict[int, float]:
        """Replicate -> the mean over its trainings that count.

        Scores are in their direction, so that more is better; a time that is never reached is
        infinity.
        """
        mean = geometric_mean if measure in ("early_stop", "time_to_dense") else fmean
        found: dict[int, list[float]] = {}
        for job in self.counting(kind, level):
            value = self._value(job, measure)
            if value is not None:
                found.setdefault(job.replicate, []).append(value)
        return {replicate: mean(values) for replicate, values in sorted(found.items())}

    def comparable(self, kind: str, level: int, measure: Measure) -> dict[int, float]:
        """As `values`, but empty where no dense network of the run has learned anything."""
        return self.values(kind, level, measure) if self.dense else {}

    def missing(self, kind: str, level: int, *, compared: bool = False) -> Missing:
        """How many trainings of a kind at a level have no result.

        Those of replicates without a dense network to compare with are not counted as diverged,
        collapsed or guessing.

        Args:
            kind: ``main``, or a kind of control.
            level: 0 is the dense network.
            compared: whether to count the replicates without a dense network.
        """
        jobs = self.jobs.get((kind, level), ())
        apart = {j.replicate for j in jobs if self.dense and j.replicate not in self.dense}
        if level == 0:
            apart = set()
        jobs = [job for job in jobs if job.replicate not in apart]
        return Missing(
            diverged=sum(job.status == "diverged" for job in jobs),
            collapsed=sum(job.status == "collapsed" for job in jobs),
            guessing=sum(map(self.is_guessing, jobs)),
            dense=len(apart) if compared else 0,
        )

    def tickets_lost(self, level: int) -> int:
        """Replicates without a ticket of this level since theirs diverged or collapsed, here or
        above.

        Replicates without a dense network to compare with are not counted.
        """
        return len(self._failed(level)) if level else 0

    def tickets_late(self, level: int) -> set[int]:
        """Replicates whose tickets train on from a mask that never settled before the last look."""
        if self.evidence.rewind != "drawn":
            return set()
        return {
            job.replicate
            for job in self.jobs.get((MAIN, level), ())
            if never_settled(job.provenance)
        }

    @cached_property
    def replicates(self) -> list[int]:
        """The replicates that are tested: with a dense network, and a result of a pruned level."""
        pruned = {j.replicate for (kind, n), jobs in self.jobs.items() if n for j in jobs}
        return sorted(self.dense.keys() & pruned)

    def row(self, kind: str, level: int, measure: Measure) -> NDArray[np.float64]:
        """The values that are tested at a level, (replicates,); nan where lost or not there yet.

        Of several controls in a replicate, a lost one counts as no difference: the tests count a
        replicate that lost them all in the same way.
        """
        return np.array([self._tested(kind, level, r, measure) for r in self.replicates])

    def array(self, kind: str, measure: Measure) -> NDArray[np.float64]:
        """The values that are tested, (levels, replicates)."""
        return np.stack([self.row(kind, level, measure) for level in self.levels])

    def dense_array(self, measure: Measure) -> NDArray[np.float64]:
        """The values of the dense networks, (replicates,)."""
        if measure == "early_stop" and not self.timed:
            # Nothing is compared with it, and the tests take finite numbers alone.
            return np.full(len(self.replicates), float(self.evidence.evaluation_interval))
        values = self.values(MAIN, 0, measure)
        return np.array([values.get(r, math.nan) for r in self.replicates])

    def at_end(self, kind: str, level: int) -> int:
        """Trainings that count whose early stop is the last evaluation: a lower bound."""
        return len(self._stopping_at_end(kind, level))

    def stops_at_end(self, kind: str, level: int) -> set[int]:
        """Replicates with a training whose early stop is the last evaluation."""
        return {job.replicate for job in self._stopping_at_end(kind, level)}

    def last_evaluation(self, job: JobResult) -> int:
        """The last iteration at which a training could have stopped early."""
        points = stopping_points(self.curves.get(job.key, ()), self.score)
        return max((point.iteration for point in points), default=job.iterations)

    def _stopping_at_end(self, kind: str, level: int) -> list[JobResult]:
        return [
            job
            for job in self.counting(kind, level)
            if job.early_stop_iteration == self.last_evaluation(job)
        ]

    def compares_times(self, kind: str) -> bool:
        """Whether iterations say how fast a kind of training learns.

        They do not where it starts from trained weights.
        """
        return self.timed and self.evidence.rewind not in KEEPS_TRAINED and kind != "continued"

    def _tested(self, kind: str, level: int, replicate: int, measure: Measure) -> float:
        own = [j for j in self.jobs.get((kind, level), ()) if j.replicate == replicate]
        values = [self._value(job, measure) for job in own if not self.is_lost(job)]
        known = [value for value in values if value is not None]
        late = kind == MAIN and measure != "accuracy" and replicate in self.tickets_late(level)
        if not known or late or (measure != "accuracy" and not self.compares_times(kind)):
            return math.nan
        lost = sum(map(self.is_lost, own))
        dense = self._value(self.dense[replicate], measure)
        if measure == "accuracy":
            boundary = (dense or 0.0) - (self.score.margin or 0.0)
            return fmean([*known, *[boundary] * lost])
        boundary = (dense or 0.0) + self.evidence.evaluation_interval
        return geometric_mean([*known, *[boundary] * lost])

    def _value(self, job: JobResult, measure: Measure) -> float | None:
        """One training in one measure; a score in its direction, so that more is always better."""
        match measure:
            case "accuracy":
                return None if job.score is None else self.score.oriented(job.score)
            case "accuracy_final":
                return None if job.score_final is None else self.score.oriented(job.score_final)
            case "early_stop":
                # One at initialization is no later than the first evaluation after it.
                stop = job.early_stop_iteration
                return None if stop is None else max(stop, self.evidence.evaluation_interval)
            case "time_to_dense":
                target, curve = self._targets.get(job.replicate), self.curves.get(job.key)
                if target is None or not curve:
                    return None
                return time_to_reach(curve, target, self.score)

    def _dense_targets(self) -> dict[int, float]:
        """Replicate -> accuracy to reach; none where a ticket is dense for part of its training."""
        found = {}
        for replicate, job in self.dense.items():
            curve, stop = self.curves.get(job.key), job.early_stop_iteration
            if curve and stop is not None and self.evidence.mask_updates != "gradual":
                target = target_score(curve, stop, self.score)
                if target is not None:
                    found[replicate] = target
        return found

    def _failed(self, level: int) -> set[int]:
        failed = {
            job.replicate
            for (kind, above), jobs in self.jobs.items()
            if kind == MAIN and 1 <= above <= level
            for job in jobs
            if job.status != "done"
        }
        ended = {job.replicate for job in self.jobs.get((MAIN, level), ()) if job.status == "done"}
        return (failed & self.dense.keys() if self.dense else failed) - ended


def dense_key(key: JobKey, dense_kind: str) -> JobKey | None:
    """The place that a training counts at, given the kind whose level 0 is the dense network.

    None for a training that only searched a ticket's mask, and for a dense network that is not
    compared with.

    >>> str(dense_key(JobKey(0, "dense-rewound-1", 0), "dense-rewound"))
    'replicate 0, main, level 0'
    """
    if key.kind == SEARCH:
        return None
    if key.level or dense_kind == MAIN:
        return key
    return JobKey(key.replicate, MAIN, 0) if key.kind == dense_kind else None


def as_dense(results: Iterable[JobResult], dense_kind: str) -> list[JobResult]:
    """The results that count, with the dense networks that are compared with at ``main``, level
    0."""
    places = ((result, dense_key(result.key, dense_kind)) for result in results)
    return [replace(result, branch=key.branch) for result, key in places if key]


def _by_place(results: Iterable[JobResult]) -> Mapping[Place, Sequence[JobResult]]:
    places: dict[Place, list[JobResult]] = {}
    seen: set[JobKey] = set()
    for result in sorted(results, key=lambda result: result.key):
        if result.key in seen:
            raise StoreError(f"expected one result of each job, got two of {result.key}")
        seen.add(result.key)
        places.setdefault((result.key.kind, result.level), []).append(result)
    return places


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean of values above 0, to 6 decimals; infinity where one is.

    >>> round(geometric_mean([2.0, 8.0]), 6)
    4.0
    """
    if math.inf in values:
        return math.inf
    # Rounded, so that equal values give just that value: one at the end must not fall short of it.
    return round(math.exp(math.fsum(map(math.log, values)) / len(values)), 6)
