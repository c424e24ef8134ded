"""A pool of threads of this process, for engines that release the GIL while they train.

Threads share one task and its data, and start without delay.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from queue import SimpleQueue

import torch

from lottery.experiments.experiment import Experiment
from lottery.experiments.workers.pool import Pool, Report
from lottery.experiments.workers.worker import Worker, WorkerSettings, one_thread
from lottery.store import JobKey, JobResult
from lottery.training import CurvePoint

# Seconds to wait at a time; in between, signals are heard and progress is shown.
_MOMENT = 0.1


@contextmanager
def thread_pool(
    settings: WorkerSettings,
    experiment: Experiment,
    size: int,
    stop: threading.Event,
    report: Report,
) -> Iterator[Pool]:
    """A pool of ``size`` threads; each job computes on one thread; see `open_pool`."""
    ending = threading.Event()
    progress = SimpleQueue[tuple[JobKey, int, Sequence[CurvePoint]]]()
    worker = Worker(
        settings,
        experiment,
        lambda: stop.is_set() or ending.is_set(),
        lambda *told: progress.put(told),
    )
    # OpenMP keeps a number of threads for every thread that calls it, so each sets its own.
    executor = ThreadPoolExecutor(size, initializer=torch.set_num_threads, initargs=(1,))
    pool = _Threads(executor, worker, size, progress, report)
    with one_thread():
        try:
            yield pool
        finally:
            # Whatever ended the block, running jobs keep a checkpoint first.
            ending.set()
            pool.wait_for_all()
            executor.shutdown()
            pool.tell()


class _Threads:
    def __init__(
        self,
        executor: ThreadPoolExecutor,
        worker: Worker,
        size: int,
        progress: SimpleQueue[tuple[JobKey, int, Sequence[CurvePoint]]],
        report: Report,
    ) -> None:
        self.size = size
        self._executor, self._worker = executor, worker
        self._progress, self._report = progress, report
        self._running: set[Future[list[JobResult]]] = set()

    def submit(self, keys: Sequence[JobKey]) -> None:
        self._running.add(self._executor.submit(self._worker.run, keys))

    def finished(self) -> list[JobResult]:
        done, self._running = wait(self._running, timeout=_MOMENT, return_when=FIRST_COMPLETED)
        # What a job had to tell is in the queue before it ends, so none is heard of afterwards.
        self.tell()
        return [result for future in done for result in future.result()]

    def tell(self) -> None:
        """Report what the jobs have told since."""
        while not self._progress.empty():
            self._report(*self._progress.get())

    def wait_for_all(self) -> None:
        """Wait until no job runs, for a moment at a time: a signal is heard only in between."""
        while wait(self._running, timeout=_MOMENT).not_done:
            pass
