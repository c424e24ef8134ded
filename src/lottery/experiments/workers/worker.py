"""A worker: runs groups of jobs of an experiment, one after another, each on one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch

from lottery.blas import one_blas_thread
from lottery.errors import UsageError, describe_error
from lottery.experiments.execute import JobMonitor, run_jobs
from lottery.experiments.experiment import Experiment
from lottery.experiments.plan import training_variant
from lottery.experiments.workers.pool import Report
from lottery.store import JobKey, JobResult, Store
from lottery.training import deterministic_convolutions


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """What a worker needs to run any job of one experiment.

    Args:
        remake: makes the experiment again in another process; it can be pickled.
        store: where the run's files are.
        device: resolved name of the device.
        checkpoint_seconds: time between checkpoints inside a job.
    """

    remake: Callable[[], Experiment]
    store: Store
    device: str
    checkpoint_seconds: float


class Worker:
    """Runs jobs in this process; several threads may use it, if the jobs' engine allows it.

    Args:
        settings: the run's.
        experiment: the run's experiment.
        stop: returns whether running jobs have been asked to stop.
        report: told how far jobs are, on the thread that runs them.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        experiment: Experiment,
        stop: Callable[[], bool],
        report: Report,
    ) -> None:
        self._settings, self._experiment = settings, experiment
        self._stop, self._report = stop, report

    def run(self, keys: Sequence[JobKey]) -> list[JobResult]:
        """Train a group of jobs in one call, to their ends, and commit each.

        Raises:
            UsageError: the device's memory is too small.
        """
        settings, experiment = self._settings, self._experiment
        group = set(keys)
        monitors = {
            key: JobMonitor(
                settings.store,
                key,
                engine=experiment.task.engine_name(training_variant(key, experiment.config)),
                device=settings.device,
                every=settings.checkpoint_seconds,
                stop=self._stop,
                report=partial(self._report, key),
                group=group,
            )
            for key in keys
        }
        try:
            with deterministic_convolutions(torch.device(settings.device)):
                return run_jobs(
                    monitors, experiment=experiment, store=settings.store, device=settings.device
                )
        except torch.OutOfMemoryError as error:
            raise UsageError(
                f"{', '.join(map(str, keys))}: the memory of {settings.device} is too small "
                f"({describe_error(error)}); use a smaller training.batch_size or "
                "prune.batch_size, training.precision = 'bfloat16', or another device"
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
