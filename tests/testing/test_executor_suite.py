"""The pools of this package pass the executors' suite, and each broken one fails a check of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from typing_extensions import override

from lottery.errors import LotteryError
from lottery.experiments import Experiment
from lottery.experiments.workers import (
    Pool,
    Report,
    Worker,
    WorkerSettings,
    open_pool,
    serial_pool,
)
from lottery.experiments.workers.processes import process_pool
from lottery.store import JobKey, JobResult, Store
from lottery.testing import EXECUTOR_CHECKS, ExecutorCheck, OpenPool, executors
from lottery.training import Checkpoint, CurvePoint

CHECK = {check.__name__: check for check in EXECUTOR_CHECKS}


def threads(
    settings: WorkerSettings, experiment: Experiment, stop: threading.Event, report: Report
) -> AbstractContextManager[Pool]:
    return open_pool(settings, experiment, 2, "threads", stop, report)


def processes(
    settings: WorkerSettings, experiment: Experiment, stop: threading.Event, report: Report
) -> AbstractContextManager[Pool]:
    # One is enough: each takes a second to start.
    return process_pool(settings, 1, stop, report)


@pytest.mark.parametrize("check", EXECUTOR_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("opened", [serial_pool, threads, processes])
def test_our_pools_pass(opened: OpenPool, check: ExecutorCheck) -> None:
    check(opened)


class Serial:
    """A pool as the serial one; those that are broken override a part of it."""

    size = 1

    def __init__(
        self,
        settings: WorkerSettings,
        experiment: Experiment,
        stop: threading.Event,
        report: Report,
    ) -> None:
        self.worker = Worker(settings, experiment, stop.is_set, report)
        self.waiting: list[Sequence[JobKey]] = []

    def submit(self, keys: Sequence[JobKey]) -> None:
        self.waiting.append(keys)

    def finished(self) -> list[JobResult]:
        return self.worker.run(self.waiting.pop(0)) if self.waiting else []


class RunsTwice(Serial):
    @override
    def finished(self) -> list[JobResult]:
        self.worker.run(self.waiting[0])
        return super().finished()


@pytest.mark.parametrize("pool", [Serial, RunsTwice])
def test_at_least_once_is_enough(pool: Callable[..., Pool]) -> None:
    CHECK["check_jobs"](lambda *given: nullcontext(pool(*given)))


# Broken in what becomes of jobs


class LosesOne(Serial):
    @override
    def submit(self, keys: Sequence[JobKey]) -> None:
        if JobKey(1, "reinit-1", 1) not in keys:
            super().submit(keys)


class SaysItTooEarly(Serial):
    """Whoever needs the job then looks for its files in vain."""

    def __init__(self, settings: WorkerSettings, *others: Any) -> None:
        elsewhere = Store(settings.store.path.with_name("elsewhere"))
        super().__init__(replace(settings, store=elsewhere), *others)


class SaysItTwice(Serial):
    @override
    def finished(self) -> list[JobResult]:
        return 2 * super().finished()


class RunsMore(Serial):
    @override
    def finished(self) -> list[JobResult]:
        return super().finished() + self.worker.run([JobKey(2, "main", 0)])


class TrainsSingly(Serial):
    @override
    def submit(self, keys: Sequence[JobKey]) -> None:
        self.waiting += [[key] for key in keys]


class HasAnotherSeed(Serial):
    def __init__(self, settings: WorkerSettings, experiment: Experiment, *others: Any) -> None:
        other = Experiment(replace(experiment.config, seed=1), experiment.task)
        super().__init__(settings, other, *others)


# Broken in what is heard of them


class ReportsNothing(Serial):
    def __init__(
        self, settings: WorkerSettings, experiment: Experiment, stop: threading.Event, _: Report
    ) -> None:
        super().__init__(settings, experiment, stop, lambda key, iteration, points: None)


class ReportsLate(Serial):
    def __init__(
        self,
        settings: WorkerSettings,
        experiment: Experiment,
        stop: threading.Event,
        report: Report,
    ) -> None:
        self.late: list[Callable[[], None]] = []

        def twice(key: JobKey, iteration: int, points: Sequence[CurvePoint]) -> None:
            report(key, iteration, points)
            self.late.append(partial(report, key, iteration, points))

        super().__init__(settings, experiment, stop, twice)

    @override
    def finished(self) -> list[JobResult]:
        for tell in self.late:
            tell()
        return super().finished()


class ReportsOnItsThread(Serial):
    @override
    def finished(self) -> list[JobResult]:
        found: list[JobResult] = []
        thread = threading.Thread(
            target=lambda: found.extend(super(ReportsOnItsThread, self).finished())
        )
        thread.start()
        thread.join()
        return found


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        (LosesOne, "reinit-1, level 1: given, but nothing was heard"),
        (SaysItTooEarly, "reported as finished before it was on disk"),
        (SaysItTwice, "finished more than once"),
        (RunsMore, "was run, but nobody gave it"),
        (TrainsSingly, "groups were given as .*; .* but trained in calls of"),
        (HasAnotherSeed, "has other bytes than when it is run alone"),
        (ReportsNothing, "nothing measured was heard before"),
        (ReportsLate, "had finished, but was still reported on"),
        (ReportsOnItsThread, "on another thread than opened the pool"),
    ],
)
def test_what_becomes_of_jobs_is_checked(
    pool: Callable[..., Pool], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "_PATIENCE", 0.2)
    with pytest.raises(AssertionError, match=message):
        CHECK["check_jobs"](lambda *given: nullcontext(pool(*given)))


# Broken at a stop


class GoesOn(Serial):
    def __init__(self, settings: WorkerSettings, experiment: Experiment, *others: Any) -> None:
        super().__init__(settings, experiment, threading.Event(), others[1])


class Forgetful(Store):
    @override
    def write_checkpoint(self, key: JobKey, checkpoint: Checkpoint) -> None:
        pass


class KeepsNoCheckpoint(Serial):
    def __init__(self, settings: WorkerSettings, *others: Any) -> None:
        super().__init__(replace(settings, store=Forgetful(settings.store.path)), *others)


class BeginsAgain(Serial):
    def __init__(self, settings: WorkerSettings, *others: Any) -> None:
        for replicate in range(2):
            settings.store.drop_checkpoints(JobKey(replicate, "main", 0))
        super().__init__(settings, *others)


@pytest.mark.parametrize(
    ("pool", "message", "patience"),
    [
        (GoesOn, "went on after it was asked to stop", 0.2),
        (KeepsNoCheckpoint, "was stopped, but has no checkpoint", 120.0),
        (BeginsAgain, "has a checkpoint, but began again from its start", 120.0),
    ],
)
def test_a_stop_is_checked(
    pool: Callable[..., Pool], message: str, patience: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "_PATIENCE", patience)
    with pytest.raises(AssertionError, match=message):
        CHECK["check_stop"](lambda *given: nullcontext(pool(*given)))


# Broken where a job fails


def swallowing(instead: Callable[[LotteryError], list[JobResult]]) -> Callable[..., Pool]:
    class Swallows(Serial):
        @override
        def finished(self) -> list[JobResult]:
            try:
                return super().finished()
            except LotteryError as error:
                return instead(error)

    return Swallows


def raising(kind: type[Exception], error: LotteryError) -> list[JobResult]:
    raise kind("a worker failed") from error


@pytest.mark.parametrize(
    ("instead", "message"),
    [
        (lambda error: [], "nothing was heard"),
        (partial(raising, LotteryError), "what arrived is LotteryError"),
        (partial(raising, RuntimeError), "what arrived is RuntimeError"),
    ],
)
def test_an_error_that_does_not_arrive_is_noticed(
    instead: Callable[[LotteryError], list[JobResult]],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(executors, "_PATIENCE", 0.2)
    with pytest.raises(AssertionError, match=message):
        CHECK["check_error"](lambda *given: nullcontext(swallowing(instead)(*given)))
