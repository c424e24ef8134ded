"""The conformance suite of executors: plain functions that raise AssertionError."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from lottery.errors import LotteryError, Preempted
from lottery.experiments.experiment import Experiment
from lottery.experiments.listener import Listener
from lottery.experiments.plan import plan
from lottery.experiments.runner import run_all
from lottery.experiments.workers import Pool, Report, WorkerSettings, serial_pool
from lottery.store import MAIN, JobKey, JobResult, Store
from lottery.testing.expect import expect
from lottery.testing.random_walks import FAILURE, calls, walking_experiment
from lottery.training import CurvePoint

OpenPool = Callable[
    [WorkerSettings, Experiment, threading.Event, Report], AbstractContextManager[Pool]
]
"""Opens a pool, given the settings of its workers, the experiment, an event that is set to stop it,
and a function that is called with the progress of jobs: `lottery.experiments.workers.open_pool`."""

ExecutorCheck = Callable[[OpenPool], None]
"""A check of an executor; raises AssertionError when something is not as it should be."""

_PATIENCE: Final = 120.0
"""Seconds without a result after which a job counts as lost, or a request to stop as ignored."""


def check_jobs(open_pool: OpenPool) -> None:
    """Every job is run, those of a group in one call, with the same bytes as alone.

    It is reported once, when it is on disk; its evaluations are reported before, on the thread that
    opened the pool.
    """
    with _folder() as folder:
        run = _Run(folder, group_size=2)
        run.go(open_pool)
        trained = {frozenset(call) for call in calls(folder)}
        given = {frozenset(map(str, group)) for group in run.groups}
        expect(
            trained == given,
            f"groups were given as {_listed(given - trained)}, but trained in calls of "
            f"{_listed(trained - given)}",
        )
        run.expect_whole()


def check_stop(open_pool: OpenPool) -> None:
    """When asked to stop, each job keeps a checkpoint, and resumes from it to the same bytes."""
    with _folder() as folder:
        held = _Run(folder, group_size=2, held_seconds=_PATIENCE)
        held.stop_when_heard = True
        with suppress(Preempted):
            held.go(open_pool)
        begun = {job for call in calls(folder) for job in call}
        keys = [key for key in plan(held.experiment.config) if str(key) in begun]
        expect(bool(keys), "asked to stop before any job had begun, though one had been heard of")
        for key in keys:
            expect(not held.store.is_finished(key), f"{key} went on after it was asked to stop")
            kept = held.store.checkpoint_iteration(key)
            expect(kept is not None, f"{key} was stopped, but has no checkpoint")
        before = len(calls(folder))
        again = _Run(folder, group_size=2)
        again.go(open_pool)
        begun_at = {job: at for call in calls(folder)[before:] for job, at in call.items()}
        for key in keys:
            expect(
                begun_at.get(str(key), 0) > 0,
                f"{key} was stopped and has a checkpoint, but began again from its start",
            )
        again.expect_whole()


def check_error(open_pool: OpenPool) -> None:
    """A job's error, with its message, is raised where finished jobs are asked for."""
    with _folder() as folder:
        run = _Run(folder, fails=JobKey(1, MAIN, 0))
        try:
            run.go(open_pool)
        except AssertionError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a pool makes of it
            expect(
                isinstance(error, LotteryError) and FAILURE in str(error),
                f"a job failed with '{FAILURE}', but what arrived is {error!r}",
            )
        else:
            raise AssertionError("a job failed, but its error did not arrive")


EXECUTOR_CHECKS: Final[tuple[ExecutorCheck, ...]] = (check_jobs, check_stop, check_error)
"""What every executor must pass."""


class _Run:
    """An experiment in a folder, run by a pool that is watched."""

    stop_when_heard = False

    def __init__(self, folder: Path, **how: Any) -> None:
        self._remake = partial(walking_experiment, folder, **how)
        self.experiment, self.store = self._remake(), Store(folder / "run")
        self.groups: list[Sequence[JobKey]] = []
        self.results: dict[JobKey, JobResult] = {}
        self._measured: set[JobKey] = set()
        self._stop, self._thread = threading.Event(), threading.get_ident()
        self._problems: list[str] = []

    def go(self, open_pool: OpenPool) -> None:
        """Run whatever is left of it, and fail if the pool does something that it must not."""
        settings = WorkerSettings(
            remake=self._remake, store=self.store, device="cpu", checkpoint_seconds=1e9
        )
        with open_pool(settings, self.experiment, self._stop, self._report) as pool:
            watched = _Watched(pool, self)
            run_all(self.experiment, self.store, self.results, watched, Listener(), self._stop)
        expect(not self._problems, "; ".join(self._problems))

    def _report(self, key: JobKey, iteration: int, points: Sequence[CurvePoint]) -> None:  # noqa: ARG002
        # What is raised here might end in a thread of the pool's.
        if threading.get_ident() != self._thread:
            self._problems.append(f"{key} was reported on another thread than opened the pool")
        if key in self.results:
            self._problems.append(f"{key} had finished, but was still reported on")
        if points:
            self._measured.add(key)
        if self.stop_when_heard:
            self._stop.set()

    def check(self, result: JobResult) -> None:
        """Check a job that the pool says has ended."""
        key = result.key
        expect(any(key in group for group in self.groups), f"{key} was run, but nobody gave it")
        expect(key not in self.results, f"{key} was reported as finished more than once")
        expect(
            self.store.is_finished(key) and self.store.result(key) == result,
            f"{key} was reported as finished before it was on disk",
        )
        expect(key in self._measured, f"{key} finished, but nothing measured was heard before")
        self.results[key] = result

    def expect_whole(self) -> None:
        """Fail unless every job is there, with the bytes that it has when run alone in turn."""
        for key, expected in _alone().items():
            expect(self.store.is_finished(key), f"{key} was not run")
            expect(
                self.store.contents_hash(key) == expected,
                f"{key} has other bytes than when it is run alone, one job after another",
            )


@cache
def _alone() -> dict[JobKey, str]:
    """Each job, run alone and one after another -> the hash of its contents."""
    with _folder() as folder:
        run = _Run(folder)
        run.go(serial_pool)
        return {key: run.store.contents_hash(key) for key in plan(run.experiment.config)}


class _Watched:
    """A pool, of which every result is checked before the runner has it."""

    def __init__(self, pool: Pool, run: _Run) -> None:
        self.size = pool.size
        self._pool, self._run = pool, run
        self._heard = time.monotonic()

    def submit(self, keys: Sequence[JobKey]) -> None:
        self._run.groups.append(keys)
        self._pool.submit(keys)

    def finished(self) -> list[JobResult]:
        results = self._pool.finished()
        for result in results:
            self._run.check(result)
        if results:
            self._heard = time.monotonic()
        missing = [k for keys in self._run.groups for k in keys if k not in self._run.results]
        expect(
            time.monotonic() - self._heard <= _PATIENCE,
            f"{', '.join(map(str, missing))}: given, but nothing was heard for {_PATIENCE:g} "
            "seconds: neither a result nor an error",
        )
        return results


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _listed(groups: set[frozenset[str]]) -> str:
    return " and ".join(sorted(f"({'; '.join(sorted(group))})" for group in groups)) or "none"
