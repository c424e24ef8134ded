"""What every pool of workers offers to whoever runs an experiment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from lottery.store import JobKey, JobResult
from lottery.training import CurvePoint

Report = Callable[[JobKey, int, Sequence[CurvePoint]], None]
"""Hears that a job has come to an iteration, and what was measured there, if anything was."""


class Pool(Protocol):
    """Runs jobs whose needs are met."""

    size: int
    """How many groups run at once, 1 or more."""

    def submit(self, keys: Sequence[JobKey]) -> None:
        """Start a group of jobs, which are trained in one call, now or when a place is free."""

    def finished(self) -> list[JobResult]:
        """Wait a moment at most; the jobs that have ended since, whatever their status.

        Raises:
            LotteryError: a job could not be run, or was asked to stop.
        """
