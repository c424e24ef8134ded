"""Listeners: objects that are told about the progress of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from lottery.core import OutsideMask
from lottery.store import JobKey, JobResult, LookKey
from lottery.training import CurvePoint


class Listener:
    """Is told about the progress of a run; this base class ignores everything."""

    def started(self, run: Path, planned: int, finished: int, workers: int) -> None:
        """The run begins: ``planned`` trainings, of which ``finished`` were on disk already."""

    def reused(self, run: Path, number: int, planned: int) -> None:
        """Some of the ``planned`` trainings were copied from another run, ``number`` of them."""

    def set_aside(self, key: JobKey | LookKey, path: Path, reason: str) -> None:
        """A job's files were damaged; they have been moved to ``path``."""

    def record_rebuilt(self, path: Path, reason: str) -> None:
        """``experiment.json`` was damaged and is written anew; the old one is at ``path`` now."""

    def environment_changed(self, changes: list[tuple[str, Any, Any]]) -> None:
        """The run was begun in another environment: (name, value now, value then)."""

    def left_out(self, units: int, reasons: Mapping[str, str]) -> None:
        """Some layers have none of the ``units`` of pruning: parameter name -> why not."""

    def noted(self, note: str) -> None:
        """A warning about data or config, a sentence without a full stop."""

    def outside_mask(self, covered: int, outside: Sequence[OutsideMask]) -> None:
        """Masks cover ``covered`` weights, and not these matrices of the network."""

    def preparing(self, message: str) -> None:
        """Something that takes a while before the first training; the message says what."""

    def to_train(self, spans: Mapping[JobKey, tuple[int, int]]) -> None:
        """The jobs left to train, each with its first iteration and, at most, its last."""

    def progressed(self, key: JobKey, iteration: int) -> None:
        """A job has reached this iteration."""

    def measured(self, key: JobKey, point: CurvePoint) -> None:
        """A job has been evaluated on one split.

        Points of a job come in order. A job that is resumed starts after its checkpoint, and may
        repeat points that were reported before the interruption.
        """

    def finished(self, result: JobResult) -> None:
        """A job has ended and is on disk."""

    def skipped(self, key: JobKey, reason: str) -> None:
        """A job cannot be run, because one that it needs ended without weights."""

    def close(self) -> None:
        """The run has ended, was stopped or failed; this is the last call."""


class Listeners(Listener):
    """Passes everything on to several listeners, in order.

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
