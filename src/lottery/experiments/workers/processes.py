"""A pool of processes, for engines that need a process of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait as wait_for_any
from typing import Any

from lottery.errors import LotteryError
from lottery.experiments.workers.pool import Pool, Report
from lottery.experiments.workers.worker import Worker, WorkerSettings, one_thread
from lottery.store import JobKey, JobResult


@contextmanager
def process_pool(
    settings: WorkerSettings, size: int, stop: threading.Event, report: Report
) -> Iterator[Pool]:
    """A pool of ``size`` processes, each with one thread; see `open_pool`."""
    context = multiprocessing.get_context("spawn")
    # A flag without a lock, which one byte does not need: a worker that is killed while it looks
    # would keep the lock for ever, and asking the others to stop would wait for it.
    asked = context.Value("b", 0, lock=False)
    # What is put into it has arrived when the job that put it ends.
    progress = context.SimpleQueue()
    executor = ProcessPoolExecutor(
        size, mp_context=context, initializer=_start, initargs=(settings, asked, progress)
    )
    pool = _Processes(executor, size, stop, asked, progress, report)
    try:
        yield pool
    finally:
        # Whatever ended the block, running jobs keep a checkpoint and the processes end.
        asked.value = 1
        try:
            pool.wait_for_the_last()
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
            progress.close()


class _Processes:
    def __init__(
        self,
        executor: ProcessPoolExecutor,
        size: int,
        stop: threading.Event,
        asked: Any,
        progress: Any,
        report: Report,
    ) -> None:
        self.size = size
        self._executor, self._stop, self._asked = executor, stop, asked
        self._progress, self._report = progress, report
        self._running: set[Future[list[JobResult]]] = set()

    def submit(self, keys: Sequence[JobKey]) -> None:
        # Submitting may start a process. What is held back here stays held back in it, so a Ctrl-C,
        # which reaches every process of the terminal, cannot end a worker that is still starting.
        with _signals_held_back(), _a_killed_worker_told():
            self._running.add(self._executor.submit(_run, keys))

    def finished(self) -> list[JobResult]:
        done, _ = wait(self._running, timeout=0.1, return_when=FIRST_COMPLETED)
        if self._stop.is_set():
            self._asked.value = 1
        self._tell()
        results: list[JobResult] = []
        with _a_killed_worker_told():
            for future in done:
                self._running.remove(future)
                results += future.result()
        return results

    def wait_for_the_last(self) -> None:
        """Wait for the jobs that still run, which were asked to stop."""
        # Meanwhile what they report is taken out of the pipe, or they would wait for room in it.
        while wait(self._running, timeout=0.1).not_done:
            self._tell()
        self._tell()
        # One may have been killed since anybody looked.
        if any(isinstance(future.exception(), BrokenProcessPool) for future in self._running):
            _end_the_others()

    def _tell(self) -> None:
        while not self._progress.empty():
            self._report(*self._progress.get())


@contextmanager
def _a_killed_worker_told() -> Iterator[None]:
    """Make of a broken pool an error for the user, and end what is left of it."""
    try:
        yield
    except BrokenProcessPool as error:
        _end_the_others()
        raise LotteryError(
            "a worker process was killed, perhaps for want of memory. What was finished "
            "is intact; run the same command again, with a smaller --jobs, to go on"
        ) from error


def _end_the_others() -> None:
    # A broken pool waits for its other workers, which nobody tells to end any more.
    for child in multiprocessing.active_children():
        child.kill()


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Deliver SIGINT and SIGTERM only after the block."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# In a worker process

_worker: Worker | None = None


def _start(settings: WorkerSettings, asked: Any, progress: Any) -> None:
    """Set a fresh worker process up."""
    global _worker
    # The process that owns the run decides when to stop; a Ctrl-C reaches every process of the
    # terminal, and a worker must live to keep its checkpoint.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with one_thread():
        experiment = settings.remake()
    _worker = Worker(
        settings,
        experiment,
        stop=lambda: bool(asked.value),
        report=lambda *told: progress.put(told),
    )


def _run(keys: Sequence[JobKey]) -> list[JobResult]:
    assert _worker is not None  # the pool's initializer ran
    with one_thread():
        return _worker.run(keys)


def _die_with_parent() -> None:
    """End at once when the owner of the run is gone: its lock is free, another may own it now."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for_any([parent.sentinel])
        os._exit(1)
