"""A worker: runs one job of an experiment after another, on one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from lottery.blas import one_blas_thread
from lottery.data import Dataset
from lottery.errors import UsageError, describe_error
from lottery.experiments.config import ExperimentConfig
from lottery.experiments.execute import JobMonitor, run_job
from lottery.experiments.workers.pool import Report
from lottery.store import JobKey, JobResult, Store
from lottery.training import Engine, resolve_device, same_every_time


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


class Worker:
    """Runs jobs in this process; from several threads at once, if the engine allows it.

    Args:
        settings: of the experiment.
        engine: trains; of the kind that the settings name.
        data: the experiment's.
        stop: whether running jobs have been asked to stop.
        report: hears how far jobs are, on the thread that runs them.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        engine: Engine,
        data: Dataset,
        stop: Callable[[], bool],
        report: Report,
    ) -> None:
        self._settings, self._engine, self._stop, self._report = settings, engine, stop, report
        self._data = data.to(resolve_device(settings.device))
        self._store = Store(settings.run)

    def run(self, key: JobKey) -> JobResult:
        """Run a job to its end and commit it.

        Raises:
            UsageError: the device's memory is too small.
        """
        monitor = JobMonitor(
            self._store,
            key,
            engine=self._engine.name,
            device=self._settings.device,
            every=self._settings.checkpoint_seconds,
            stop=self._stop,
            report=lambda iteration: self._report(key, iteration),
        )
        try:
            with same_every_time(torch.device(self._settings.device)):
                return run_job(
                    key,
                    config=self._settings.config,
                    store=self._store,
                    data=self._data,
                    engine=self._engine,
                    monitor=monitor,
                )
        except torch.OutOfMemoryError as error:
            raise UsageError(
                f"{key}: the memory of {self._settings.device} is too small "
                f"({describe_error(error)}); use a smaller "
                "training.batch_size or prune.batch_size, training.precision = 'bfloat16', or "
                "another device"
            ) from error


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread per job, so that results do not depend on the number of cores.

    For the small matrices of these networks a second thread gains little, and two jobs at once
    gain nearly a factor of two.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with one_blas_thread():
            yield
    finally:
        torch.set_num_threads(before)
