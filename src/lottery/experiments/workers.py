"""Who runs the jobs: this process, or several processes beside it.

Durability comes from the store alone. A pool only has to run every job at least once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for_any
from pathlib import Path
from queue import Empty
from typing import Any, Protocol

import torch

from lottery.data import Dataset, load_dataset
from lottery.errors import LotteryError
from lottery.experiments.config import ExperimentConfig
from lottery.experiments.execute import JobMonitor, run_job
from lottery.store import JobKey, JobResult, Store
from lottery.training import Engine, make_engine, resolve_device

Report = Callable[[JobKey, int], None]


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """What a worker needs to run any job of one experiment; plain values only.

    Args:
        config: the experiment.
        run: the run's directory.
        data_dir: where datasets lie, or None for the usual places.
        device: resolved name of the device.
        engine: name of the engine.
        checkpoint_seconds: time between checkpoints inside a job.
    """

    config: ExperimentConfig
    run: Path
    data_dir: Path | None
    device: str
    engine: str
    checkpoint_seconds: float


class Pool(Protocol):
    """Runs jobs whose needs are met."""

    size: int

    def submit(self, key: JobKey) -> None:
        """Start a job, now or when a place is free."""

    def finished(self) -> list[tuple[JobKey, JobResult]]:
        """Wait a moment at most; the jobs that have ended since, whatever their status.

        Raises:
            LotteryError: a job could not be run, or was asked to stop.
        """


@contextmanager
def serial_pool(
    settings: WorkerSettings, data: Dataset, stop: threading.Event, report: Report
) -> Iterator[Pool]:
    """A pool that runs one job after another in this process."""
    with one_thread():
        yield _Serial(_Worker(settings, data, stop.is_set, report))


@contextmanager
def process_pool(
    settings: WorkerSettings, size: int, stop: threading.Event, report: Report
) -> Iterator[Pool]:
    """A pool of ``size`` processes, each with one thread."""
    context = multiprocessing.get_context("spawn")
    asked, progress = context.Event(), context.Queue()
    executor = ProcessPoolExecutor(
        size, mp_context=context, initializer=_start, initargs=(settings, asked, progress)
    )
    try:
        yield _Processes(executor, size, stop, asked, progress, report)
    finally:
        # Whatever ended the block, running jobs keep a checkpoint and the processes end.
        asked.set()
        executor.shutdown(wait=True, cancel_futures=True)
        progress.close()


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread per job, so that results do not depend on the number of cores.

    For the small matrices of these networks a second thread gains little, and two jobs at once
    gain nearly a factor of two.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Worker:
    """Runs jobs in this process."""

    def __init__(
        self, settings: WorkerSettings, data: Dataset, stop: Callable[[], bool], report: Report
    ) -> None:
        self._settings, self._stop, self._report = settings, stop, report
        device = resolve_device(settings.device)
        self._engine: Engine = make_engine(settings.engine, device)
        self._data = data.to(device)
        self._store = Store(settings.run)

    def run(self, key: JobKey) -> JobResult:
        monitor = JobMonitor(
            self._store,
            key,
            every=self._settings.checkpoint_seconds,
            stop=self._stop,
            report=lambda iteration: self._report(key, iteration),
        )
        return run_job(
            key,
            config=self._settings.config,
            store=self._store,
            data=self._data,
            engine=self._engine,
            monitor=monitor,
        )


class _Serial:
    size = 1

    def __init__(self, worker: _Worker) -> None:
        self._worker, self._waiting = worker, list[JobKey]()

    def submit(self, key: JobKey) -> None:
        self._waiting.append(key)

    def finished(self) -> list[tuple[JobKey, JobResult]]:
        key = self._waiting.pop(0)
        return [(key, self._worker.run(key))]


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
        self._running: dict[Future[JobResult], JobKey] = {}

    def submit(self, key: JobKey) -> None:
        # Submitting may start a process. What is held back here stays held back in it, so a Ctrl-C,
        # which reaches every process of the terminal, cannot end a worker that is still starting.
        with _signals_held_back():
            self._running[self._executor.submit(_run, key)] = key

    def finished(self) -> list[tuple[JobKey, JobResult]]:
        done, _ = wait(self._running, timeout=0.1, return_when=FIRST_COMPLETED)
        if self._stop.is_set():
            self._asked.set()
        while True:
            try:
                self._report(*self._progress.get_nowait())
            except Empty:
                break
        try:
            return [(self._running.pop(future), future.result()) for future in done]
        except BrokenProcessPool as error:
            # The pool now waits for the other workers, which nobody tells to end any more.
            for child in multiprocessing.active_children():
                child.kill()
            raise LotteryError(
                "a worker process was killed, perhaps for want of memory. What was finished "
                "is intact; run the same command again, with a smaller --jobs, to go on"
            ) from error


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

_worker: _Worker | None = None


def _start(settings: WorkerSettings, asked: Any, progress: Any) -> None:
    """Set a fresh worker process up."""
    global _worker
    # The process that owns the run decides when to stop; a Ctrl-C reaches every process of the
    # terminal, and a worker must live to keep its checkpoint.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    data = load_dataset(settings.config.data, data_dir=settings.data_dir, progress=False)
    _worker = _Worker(settings, data, asked.is_set, lambda key, i: progress.put((key, i)))


def _run(key: JobKey) -> JobResult:
    assert _worker is not None  # the pool's initializer ran
    return _worker.run(key)


def _die_with_parent() -> None:
    """End at once when the owner of the run is gone: its lock is free, another may own it now."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for_any([parent.sentinel])
        os._exit(1)
