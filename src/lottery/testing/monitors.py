"""Monitors that the checks watch a training with."""

from __future__ import annotations

import json
from collections.abc import Callable

from lottery.errors import Preempted
from lottery.training import Checkpoint


def round_trip(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint as it comes back from a file: tensors copied, values through JSON.

    Raises:
        TypeError: a value is not plain JSON.
        ValueError: a value is NaN or infinite, which JSON has no word for.
    """
    return Checkpoint(
        iteration=checkpoint.iteration,
        tensors={name: value.detach().clone() for name, value in checkpoint.tensors.items()},
        values=json.loads(json.dumps(dict(checkpoint.values), allow_nan=False)),
    )


class Recorder:
    """Takes a checkpoint at every call and keeps it, as given and as a file would hold it.

    Args:
        start: the checkpoint to go on from, or None to start from the beginning.
        look: called with the iteration at every call.
        steps_at_once: asks for a call after every step if left out.
    """

    def __init__(
        self,
        start: Checkpoint | None = None,
        look: Callable[[int], None] | None = None,
        *,
        steps_at_once: int = 1,
    ) -> None:
        self._start, self._look, self.steps_at_once = start, look, steps_at_once
        self.iterations: list[int] = []
        self.given: list[Checkpoint] = []
        self.kept: list[Checkpoint] = []

    def restore(self) -> Checkpoint | None:
        """The checkpoint to go on from."""
        return self._start

    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        """Keep a checkpoint."""
        self.iterations.append(iteration)
        self.given.append(checkpoint())
        self.kept.append(round_trip(self.given[-1]))
        if self._look is not None:
            self._look(iteration)


class StopAt:
    """Asks the training to stop once it has come to an iteration.

    Args:
        iteration: after which step to stop, or at the first call from then on.
        steps_at_once: asks for a call after every step if left out.
    """

    def __init__(self, iteration: int, *, steps_at_once: int = 1) -> None:
        self._iteration, self.steps_at_once = iteration, steps_at_once
        self.last: int | None = None
        self.kept: Checkpoint | None = None

    def restore(self) -> Checkpoint | None:
        """Always from the beginning."""
        return None

    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        """Keep a checkpoint and stop, once it is time.

        Raises:
            Preempted: it is time.
        """
        self.last = iteration
        if iteration >= self._iteration:
            self.kept = round_trip(checkpoint())
            raise Preempted(f"stopped at iteration {iteration}, as the check asked")
