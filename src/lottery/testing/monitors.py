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
        stop_at: asks the training to stop there, or at the first call from then on.
    """

    def __init__(
        self,
        start: Checkpoint | None = None,
        look: Callable[[int], None] | None = None,
        *,
        steps_at_once: int = 1,
        stop_at: int | None = None,
    ) -> None:
        self._start, self._look, self.steps_at_once = start, look, steps_at_once
        self._stop_at = stop_at
        self.iterations: list[int] = []
        self.given: list[Checkpoint] = []
        self.kept: list[Checkpoint] = []

    def restore(self) -> Checkpoint | None:
        """The checkpoint to go on from."""
        return self._start

    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        """Keep a checkpoint, and stop once it is time.

        Raises:
            Preempted: it is time.
        """
        self.iterations.append(iteration)
        self.given.append(checkpoint())
        self.kept.append(round_trip(self.given[-1]))
        if self._look is not None:
            self._look(iteration)
        if self._stop_at is not None and iteration >= self._stop_at:
            raise Preempted(f"stopped at iteration {iteration}, as the check asked")
