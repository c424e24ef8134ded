"""A pool that runs one group of jobs after another in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lottery.experiments.experiment import Experiment
from lottery.experiments.workers.pool import Pool, Report
from lottery.experiments.workers.worker import Worker, WorkerSettings, one_thread
from lottery.store import JobKey, JobResult


@contextmanager
def serial_pool(
    settings: WorkerSettings, experiment: Experiment, stop: threading.Event, report: Report
) -> Iterator[Pool]:
    """A pool that runs one group of jobs after another in this process."""
    with one_thread():
        yield _Serial(Worker(settings, experiment, stop.is_set, report))


class _Serial:
    size = 1

    def __init__(self, worker: Worker) -> None:
        self._worker, self._waiting = worker, list[Sequence[JobKey]]()

    def submit(self, keys: Sequence[JobKey]) -> None:
        self._waiting.append(keys)

    def finished(self) -> list[JobResult]:
        return self._worker.run(self._waiting.pop(0))
