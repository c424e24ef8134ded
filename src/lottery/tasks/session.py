"""The session: what a user's training loop can use while it trains a ticket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer

from lottery.errors import UsageError
from lottery.holding import Hold
from lottery.rng import Streams
from lottery.tasks.global_random import random_state, set_random_state
from lottery.tasks.recording import Recording
from lottery.tasks.saved_state import flatten, load_object_state, object_state, unflatten
from lottery.training import Checkpoint, Monitor
from lottery.training.progress import below


class LoopSession:
    """The second argument of a ``train(model, session)``; using it is optional.

    Attributes:
        start_step: the optimizer step to begin at. It is above 0 if tickets are rewound to a later
            step and the loop begins there (``starts_at_step=True``).
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        held: Hold,
        recording: Recording,
        monitor: Monitor,
        streams: Streams,
        iteration: int,
        start_step: int,
    ) -> None:
        self.start_step = start_step
        self._model, self._held, self._recording = model, held, recording
        self._monitor, self._streams, self._first = monitor, streams, iteration
        self._objects: list[Any] | None = None

    @property
    def replicate(self) -> int:
        """The replicate's number, from 0."""
        return self._streams.replicate

    @property
    def step(self) -> int:
        """Optimizer steps done since the initialization, as counted by the mask's hold.

        With several optimizers it is the lowest of the weights' numbers of steps.
        """
        return self._first + self._held.steps

    def seed(self, *purpose: str | int) -> int:
        """A seed for a random stream of this replicate, in ``[0, 2**32)``.

        It is the same at every level and in every control, and differs between replicates and in
        the copies that see another data order (``connectivity.at``).

        Args:
            purpose: the stream's name, such as ``"order"`` and the epoch's number.
        """
        return self._streams.seed_of("own", *purpose) % 2**32

    def log(self, step: int | None = None, split: str = "validation", **values: Any) -> None:
        """Add a measurement to the curve.

        Early stop is the point of the lowest validation ``loss`` or, if no loss is logged, of the
        best validation score; the weights at that point are kept.

        Args:
            step: ignored, for loops that pass their own count: the point's place in the curve is
                the number of optimizer steps done, `LoopSession.step`.
            split: ``training``, ``validation`` or ``test``.
            values: name -> number, or a tensor of one number.

        Raises:
            UsageError: there is no such split, or a value is no number.
            FloatingPointError: a value is not finite. If the loop does not catch it, it ends the
                training, which then counts as diverged.
        """
        del step
        self._recording.log(self.step, split, values)

    def resume(self, *objects: Any) -> int:
        """Restore the newest checkpoint, and return the step to go on from.

        Call it once, before the first step, with all objects that change while the loop trains:
        optimizers, schedulers, scalers, averaged models (anything with ``state_dict`` and
        ``load_state_dict``), random generators of its own, dicts and lists. The trained model and
        the global generators of torch, numpy and Python are restored without being named.

        Returns:
            The ``step`` that the last `checkpoint` was given; `start_step` if there is none.

        Raises:
            UsageError: it is not the first call, an optimizer has already made a step, an object
                has no state, or the checkpoint is of other objects.
        """
        if self._objects is not None or self._held.steps:
            raise UsageError(
                "session.resume: expected one call, before the first step of an optimizer; make "
                "model, optimizer and schedule first, then resume, then train"
            )
        self._objects = [self._model, *objects]
        for one in objects:
            object_state(one)
        kept = self._monitor.restore()
        return self.start_step if kept is None else self._restore(kept)

    def checkpoint(self, step: int) -> None:
        """Offer a checkpoint, from which the loop could go on at ``step``.

        It is written if the last one is old enough (``checkpoint_seconds``), or if the run has been
        asked to stop. Call it where the objects given to `resume` hold all that the loop needs to
        go on: at the end of an epoch, or anywhere if batches depend on the step's number alone.

        Args:
            step: what `resume` will return, 0 or more, in the loop's own count.

        Raises:
            UsageError: `resume` was not called, or a state holds what cannot be saved.
            Preempted: the run has been asked to stop; do not catch it.
        """
        if self._objects is None:
            raise UsageError(
                "session.checkpoint: nothing could start again from it; call "
                "`start = session.resume(optimizer, ...)` before the first step"
            )
        if type(step) is not int or step < 0:
            raise UsageError(f"session.checkpoint: expected a whole number of steps, got {step!r}")
        self._monitor.step(self.step, lambda: self._checkpoint(step))

    def _checkpoint(self, step: int) -> Checkpoint:
        assert self._objects is not None, "resumed"
        tensors, values = self._recording.checkpoint()
        found: dict[str, Any] = {}
        # A list, since tables come back from files in another order.
        flat = [
            [label, flatten(object_state(one), label, found)]
            for label, one in zip(_labels(self._objects), self._objects, strict=True)
        ]
        values |= {
            "step": step,
            "objects": flat,
            "random": flatten(random_state(), "random", found),
            "counts": _counts(self._held, self._objects),
        }
        tensors |= {f"objects/{number}": tensor for number, tensor in found.items()}
        return Checkpoint(iteration=self.step, tensors=tensors, values=values)

    def _restore(self, kept: Checkpoint) -> int:
        assert self._objects is not None, "resumed"
        values, states = kept.values, below("objects/", kept.tensors)
        labels, there = _labels(self._objects), [label for label, _ in values["objects"]]
        if labels != there:
            raise UsageError(
                f"session.resume: the checkpoint is of {', '.join(there)}; got {', '.join(labels)}"
            )
        self._recording.restore(kept.tensors, values)
        for one, (_, state) in zip(self._objects, values["objects"], strict=True):
            load_object_state(one, unflatten(state, states))
        _set_counts(self._held, self._objects, values["counts"])
        # Last, since loading may draw.
        set_random_state(unflatten(values["random"], states))
        step: int = values["step"]
        return step


def _labels(objects: list[Any]) -> list[str]:
    """Names of objects in messages; the model that is trained comes first."""
    others = enumerate(objects[1:], 1)
    return ["the model", *(f"object {number} ({type(one).__name__})" for number, one in others)]


def _counts(held: Hold, objects: list[Any]) -> Mapping[str, Any]:
    """How many steps each masked weight and each optimizer has had."""
    optimizers = [one for one in objects if isinstance(one, Optimizer)]
    return {
        "weights": {weight.name: weight.steps for weight in held._weights},
        "optimizers": [held._counts.get(one, 0) for one in optimizers],
    }


def _set_counts(held: Hold, objects: list[Any], counts: Mapping[str, Any]) -> None:
    for weight in held._weights:
        weight.steps = counts["weights"][weight.name]
    optimizers = [one for one in objects if isinstance(one, Optimizer)]
    for one, steps in zip(optimizers, counts["optimizers"], strict=True):
        if steps:
            held._counts[one] = steps
    held.steps = min((weight.steps for weight in held._weights), default=0)
