"""A training in progress: what happens before its first step, after each, and at its end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

import torch
from torch import Tensor

from lottery.core import Mask
from lottery.training.curve import CurvePoint
from lottery.training.interface import Checkpoint, Monitor, State, TrainingJob, TrainingResult
from lottery.training.progress import Progress


class InProgress(ABC):
    """One training in progress; each engine has a subclass that does the computation.

    Args:
        job: what to train.
    """

    loss_sum: Any = 0.0
    """The sum of the losses of all steps since the last measurement: a number, or a tensor."""

    def __init__(self, job: TrainingJob) -> None:
        self.job, self.progress = job, Progress(job)
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def run(self, engine: str, monitor: Monitor, kept: Checkpoint | None) -> TrainingResult:
        """Train to the end.

        Args:
            engine: the engine's name.
            monitor: of this training.
            kept: the checkpoint to resume from, or None.
        """
        if kept is None:
            self.begin()
        else:
            self.restore(kept)
        while not self.progress.over:
            self.advance(monitor.steps_at_once)
            monitor.step(self.progress.iteration, self.checkpoint)
        return self.result(engine)

    def begin(self) -> None:
        """Do what is due before the first step."""
        self._after_steps()

    @abstractmethod
    def advance(self, most: int) -> None:
        """Take one step or more, at most ``most``, and do what is due after them."""

    def rest_of_epoch(self, device: torch.device | str = "cpu") -> Tensor:
        """The indices of the rest of this epoch's examples, in its order: int64 ``[n]``.

        The order is drawn from a stream of its own for each epoch, so that the batch of an
        iteration follows from its number alone, without any state.
        """
        epoch, first = self.progress.position()
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self.job.epoch_order(epoch).to(device)
        return self._order[first:]

    def _after_steps(self) -> None:
        self.progress.keep_snapshot(self._state)
        if not self.progress.due:
            return
        if self.progress.note(self._training_loss(), self._points(), self._measured_state):
            self.loss_sum *= 0
            self.progress.reason = self._exhausted()

    def _points(self) -> list[CurvePoint]:
        splits: tuple[Literal["validation", "test"], ...] = ("validation", "test")
        at = self.progress.iteration
        return [CurvePoint.measured(at, split, *self._measure(split)) for split in splits]

    @abstractmethod
    def _measure(self, split: Literal["validation", "test"]) -> tuple[float, float]:
        """Mean loss and accuracy of the network that is evaluated."""

    @abstractmethod
    def _state(self) -> State:
        """A copy of the state of the network in training, for rewinding and checkpoints."""

    def _measured_state(self) -> State:
        """A copy of the state of the network that is evaluated."""
        return self._state()

    def _training_loss(self) -> float:
        """The sum of losses since the last evaluation; not finite if training has diverged."""
        return float(self.loss_sum)

    def _exhausted(self) -> str:
        """Why training cannot go on though losses are finite, in words; empty if it can."""
        return ""

    def _mask(self) -> Mask | None:
        """The mask at the end, where training changes it; None where it does not."""
        return None

    def result(self, engine: str) -> TrainingResult:
        """The result of the training, at its end."""
        return self.progress.result(engine, self._measured_state, self._mask())

    @abstractmethod
    def checkpoint(self) -> Checkpoint:
        """All of this training's state, copied."""

    @abstractmethod
    def restore(self, kept: Checkpoint) -> None:
        """Resume from a checkpoint, with the same results as without the interruption."""
