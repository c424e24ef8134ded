"""The interface of a pool of workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from lottery.store import JobKey, JobResult
from lottery.training import CurvePoint

Report = Callable[[JobKey, int, Sequence[CurvePoint]], None]
"""Called with a job, the iteration it has reached, and what was measured there, if anything."""


class Pool(Protocol):
    """Runs groups of jobs; the runner submits a job once the jobs it needs have ended."""

    size: int
    """How many groups run at once, 1 or more."""

    def submit(self, keys: Sequence[JobKey]) -> None:
        """Start a group of jobs, trained in one call, now or when a worker is free."""

    def finished(self) -> list[JobResult]:
        """Wait for a moment at most, and return the results of jobs that have ended since.

        Raises:
            LotteryError: a job could not be run, or was asked to stop.
        """
