"""Pools of workers that run jobs: in this process, in its threads, or in other processes.

Results are made durable by the store alone; a pool only has to run every job at least once.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import Literal

from lottery.experiments.experiment import Experiment
from lottery.experiments.workers.pool import Pool, Report
from lottery.experiments.workers.processes import process_pool
from lottery.experiments.workers.serial import serial_pool
from lottery.experiments.workers.threads import thread_pool
from lottery.experiments.workers.worker import Worker, WorkerSettings, one_thread

__all__ = [
    "Pool",
    "Report",
    "Worker",
    "WorkerSettings",
    "one_thread",
    "open_pool",
    "serial_pool",
]


def open_pool(
    settings: WorkerSettings,
    experiment: Experiment,
    size: int,
    parallel: Literal["threads", "processes"],
    stop: threading.Event,
    report: Report,
) -> AbstractContextManager[Pool]:
    """The pool that suits the jobs, for ``size`` of them at once.

    Args:
        settings: what every worker needs.
        experiment: the jobs' experiment, in this process.
        size: how many groups of jobs run at once, 1 or more.
        parallel: how several are best run at once.
        stop: set it, and running jobs write a checkpoint and stop.
        report: called in this thread with a job, the iteration it has reached, and what was
            measured there; never for a job that is finished.
    """
    if size == 1:
        return serial_pool(settings, experiment, stop, report)
    if parallel == "threads":
        return thread_pool(settings, experiment, size, stop, report)
    return process_pool(settings, size, stop, report)
