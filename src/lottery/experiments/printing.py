"""Progress of a run as lines on standard error, for runs started from Python."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from typing_extensions import override

from lottery.core import OutsideMask
from lottery.errors import printable
from lottery.experiments.listener import Listener
from lottery.score import Score
from lottery.store import JobKey, JobResult, LookKey


class PrintingListener(Listener):
    """Prints a line for every training and every warning.

    Args:
        score: the score that results are judged by.
    """

    def __init__(self, score: Score) -> None:
        self._score, self._planned, self._done = score, 0, 0

    @override
    def started(self, run: Path, planned: int, finished: int, workers: int) -> None:
        self._planned, self._done = planned, finished
        self._say(f"{run}: {planned} trainings, {finished} done already, {workers} at once")

    @override
    def set_aside(self, key: JobKey | LookKey, path: Path, reason: str) -> None:
        self._say(f"damaged: {key} is done anew, since {reason}; what was there is kept in {path}")

    @override
    def record_rebuilt(self, path: Path, reason: str) -> None:
        self._say(f"damaged: {reason}. It is made anew; the old one is kept in {path}")

    @override
    def noted(self, note: str) -> None:
        self._say(f"note: {note}")

    @override
    def outside_mask(self, covered: int, outside: Sequence[OutsideMask]) -> None:
        named = ", ".join(f"{one.name} ({one.weights:,}, {one.reason})" for one in outside)
        self._say(f"note: masks cover {covered:,} weights, and not {named}")

    @override
    def finished(self, result: JobResult) -> None:
        self._done += 1
        score = result.score
        if result.status != "done":
            what = f"{result.status}, since {result.reason}"
        elif score is None:
            what = "done"
        elif self._score.unit == "%":
            what = f"{self._score.name} {score:.2%}"
        else:
            what = f"{self._score.name} {score:.4g}{self._score.unit}"
        self._say(
            f"[{self._done}/{self._planned}] {result.key}: {result.density:.2%} of the weights, "
            f"{what}, {result.seconds:.1f} s"
        )

    @override
    def skipped(self, key: JobKey, reason: str) -> None:
        self._done += 1
        self._say(f"[{self._done}/{self._planned}] {key}: not run, since {reason}")

    def _say(self, line: str) -> None:
        sys.stderr.write(f"{printable(line)}\n")
        sys.stderr.flush()
