"""Who hears how a run goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from lottery.core import OutsideMask
from lottery.store import JobKey, JobResult, LookKey
from lottery.training import CurvePoint


class Listener:
    """Hears how a run goes on; this one does nothing with it."""

    def started(self, run: Path, planned: int, finished: int, workers: int) -> None:
        """The plan is made; ``finished`` of its jobs were on disk already."""

    def reused(self, run: Path, number: int, planned: int) -> None:
        """Of the ``planned`` trainings another run had this many, and they were taken from it."""

    def set_aside(self, key: JobKey | LookKey, path: Path, reason: str) -> None:
        """A job's files were not what was written; what stood there is at ``path`` now."""

    def record_rebuilt(self, path: Path, reason: str) -> None:
        """``experiment.json`` was damaged and is made anew; the old one is at ``path`` now."""

    def environment_changed(self, changes: list[tuple[str, Any, Any]]) -> None:
        """The run was begun elsewhere: (what, now, then)."""

    def left_out(self, units: int, reasons: Mapping[str, str]) -> None:
        """Of the network's layers some have none of the ``units``: parameter name -> why not."""

    def noted(self, note: str) -> None:
        """What of data or config is hardly as it was meant, without a full stop."""

    def outside_mask(self, covered: int, outside: Sequence[OutsideMask]) -> None:
        """Of the network's matrices some lie outside every mask; ``covered`` weights do not."""

    def preparing(self, message: str) -> None:
        """Something takes a while before the first training, and this says what."""

    def to_train(self, spans: Mapping[JobKey, tuple[int, int]]) -> None:
        """What is left: each job's iteration to go on from, and the one it ends at, at most."""

    def progressed(self, key: JobKey, iteration: int) -> None:
        """A job has come to this iteration."""

    def measured(self, key: JobKey, point: CurvePoint) -> None:
        """A job has been evaluated on one split.

        Points of a job come in order. A job that goes on after an interruption begins after its
        checkpoint, with points that may have been heard before.
        """

    def finished(self, result: JobResult) -> None:
        """A job has ended and is on disk."""

    def skipped(self, key: JobKey, reason: str) -> None:
        """A job cannot be run, because one it needs has no weights to give."""

    def close(self) -> None:
        """The run has come to its end, was stopped or failed; nothing more will be heard."""


class Listeners(Listener):
    """Several listeners that hear the same, in their order.

    Args:
        listeners: one or more.
    """

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners


def _by_each(event: str) -> Callable[..., None]:
    @wraps(vars(Listener)[event])
    def tell(self: Listeners, *what: Any) -> None:
        for listener in self._listeners:
            getattr(listener, event)(*what)

    return tell


for _event in [name for name in vars(Listener) if not name.startswith("_")]:
    setattr(Listeners, _event, _by_each(_event))
