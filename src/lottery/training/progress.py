"""Where a training is, what was measured and kept on the way, and how long it took.

This bookkeeping is the same for every engine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from lottery.core import Mask
from lottery.data.dataset import steps_per_epoch
from lottery.errors import UsageError
from lottery.training.config import learning_rate
from lottery.training.curve import CurvePoint, early_stop_iteration
from lottery.training.interface import (
    Checkpoint,
    Notes,
    State,
    TrainingJob,
    TrainingResult,
)


class Progress:
    """One training's iteration, curve, kept states, reason to end early, and seconds.

    Args:
        job: what is trained.

    Raises:
        UsageError: the job starts outside of its training.
    """

    def __init__(self, job: TrainingJob) -> None:
        self.job = job
        self.steps_per_epoch = steps_per_epoch(len(job.data.train), job.config.batch_size)
        self.total = job.config.length.iterations(self.steps_per_epoch)
        self.every = job.config.evaluate_every.iterations(self.steps_per_epoch)
        if not 0 <= job.start_iteration <= self.total:
            raise UsageError(
                f"cannot start at iteration {job.start_iteration}: the training has {self.total}"
            )
        self.iteration = job.start_iteration
        # A network that is still losing weights is not yet the one that is judged.
        self.final_density_from = job.updates.final_density_from(self.total)
        self.curve: list[CurvePoint] = []
        self.reason = ""
        self._states: dict[str, State] = {}
        self._notes: Notes = {}
        self._seconds = 0.0
        self._clock = time.perf_counter()

    @property
    def over(self) -> bool:
        """Whether no step is left to do."""
        return bool(self.reason) or self.iteration >= self.total

    @property
    def at_an_end(self) -> bool:
        """Whether this is where training starts or ends."""
        return self.iteration in (self.job.start_iteration, self.total)

    @property
    def due(self) -> bool:
        """Whether validation and test are to be measured now."""
        return self.iteration % self.every == 0 or self.at_an_end

    def position(self) -> tuple[int, int]:
        """The epoch, and the position in its order of the next batch's first example."""
        epoch, batch = divmod(self.iteration, self.steps_per_epoch)
        return epoch, batch * self.job.config.batch_size

    def rate(self, iteration: int) -> float:
        """The learning rate of the step from ``iteration`` to the next."""
        return learning_rate(
            self.job.config.learning_rate,
            iteration,
            total=self.total,
            steps_per_epoch=self.steps_per_epoch,
        )

    def keep_snapshot(self, state: Callable[[], State]) -> None:
        """Keep the state of this iteration if the job asks for it, and let its observer see it."""
        if self.iteration in self.job.snapshots_at:
            self._states[f"snapshot-{self.iteration}"] = state()
        observer = self.job.observer
        if observer is not None and self.iteration in observer.at:
            self._notes = observer.note(self.iteration, state(), self._notes)
            self._end_if_enough()

    def _end_if_enough(self) -> None:
        observer = self.job.observer
        if observer is not None and observer.enough(self._notes):
            self.total = self.iteration

    @property
    def stops(self) -> tuple[int, ...]:
        """The iterations at which `keep_snapshot` needs the state, in no order."""
        return self.job.snapshots_at + (() if self.job.observer is None else self.job.observer.at)

    def note(
        self, training_loss: float, points: Sequence[CurvePoint], state: Callable[[], State]
    ) -> bool:
        """Record an evaluation, and keep the state if it is the best so far.

        Args:
            training_loss: the sum of the losses of all steps since the last evaluation. It is
                finite only if each of them was.
            points: validation and test, at this iteration.
            state: makes a copy of the state that was evaluated.

        Returns:
            False if a loss was not finite, so that the training is over.
        """
        if not all(map(math.isfinite, [training_loss, *(point.loss for point in points)])):
            self.reason = f"the loss was not finite at iteration {self.iteration} or shortly before"
            return False
        self.curve += points
        if self.job.on_evaluation is not None:
            self.job.on_evaluation(points)
        if self.iteration >= self.final_density_from and self._early_stop() == self.iteration:
            self._states["early-stop"] = state()
        return True

    def _early_stop(self) -> int:
        return early_stop_iteration(self.curve, since=self.final_density_from)

    def result(
        self, engine: str, state: Callable[[], State], mask: Mask | None = None
    ) -> TrainingResult:
        """The result of the training.

        Args:
            engine: the engine's name.
            state: makes a copy of the state at the end.
            mask: the mask at the end, where training changes it.
        """
        diverged = bool(self.reason)
        return TrainingResult(
            status="diverged" if diverged else "done",
            reason=self.reason,
            curve=tuple(self.curve),
            final={} if diverged else state(),
            early_stop={} if diverged else self._states["early-stop"],
            early_stop_iteration=None if diverged else self._early_stop(),
            snapshots={
                at: self._states[f"snapshot-{at}"]
                for at in self.job.snapshots_at
                if f"snapshot-{at}" in self._states
            },
            seconds=self._tick(),
            engine=engine,
            mask=mask,
            notes=self._notes,
        )

    def checkpoint(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Checkpoint:
        """A checkpoint of this iteration: this object's state, and the engine's.

        Args:
            tensors: the engine's; none is called ``kept/...`` or ``notes/...``.
            values: the engine's, as plain JSON values; none is called ``curve``, ``reason`` or
                ``seconds``.
        """
        kept = {
            f"kept/{label}/{name}": value
            for label, state in self._states.items()
            for name, value in state.items()
        }
        kept |= {f"notes/{name}": value for name, value in self._notes.items()}
        ours = {
            # Pairs, since a table's order is not kept in files, and columns are in this one.
            "curve": [
                [p.iteration, p.split, [[*pair] for pair in p.values.items()]] for p in self.curve
            ],
            "reason": self.reason,
            "seconds": self._tick(),
        }
        return Checkpoint(
            iteration=self.iteration, tensors={**tensors, **kept}, values={**values, **ours}
        )

    def restore(self, kept: Checkpoint) -> None:
        """Restore this object's state from a checkpoint; the engine restores its own."""
        self.iteration = kept.iteration
        self.curve = [CurvePoint(at, on, dict(found)) for at, on, found in kept.values["curve"]]
        self.reason = kept.values["reason"]
        states: dict[str, dict[str, Tensor]] = {}
        for key, value in below("kept/", kept.tensors).items():
            label, _, name = key.partition("/")
            states.setdefault(label, {})[name] = value
        self._states = {**states}
        self._notes = below("notes/", kept.tensors)
        self._end_if_enough()
        self._seconds = kept.values["seconds"]
        self._clock = time.perf_counter()

    def _tick(self) -> float:
        """Seconds so far, over all interruptions."""
        now = time.perf_counter()
        self._seconds += now - self._clock
        self._clock = now
        return self._seconds


def prefixed(groups: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The entries of all groups, each below its group's name; `below` gives one group back.

    >>> sorted(prefixed({"model": {"a": Tensor()}, "optimizer": {"a": Tensor()}}))
    ['model/a', 'optimizer/a']
    """
    return {
        f"{group}/{name}": value for group, found in groups.items() for name, value in found.items()
    }


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The entries under a prefix, without it.

    >>> sorted(below("kept/", {"kept/a": Tensor(), "kept/b/c": Tensor(), "model/a": Tensor()}))
    ['a', 'b/c']
    """
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
