"""Running a job on an engine, recording it, and evaluating its result."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from lottery.core import Mask
from lottery.data import Split
from lottery.errors import Preempted
from lottery.testing.expect import expect
from lottery.training import (
    Checkpoint,
    Engine,
    Monitor,
    NullMonitor,
    State,
    TrainingJob,
    TrainingResult,
)
from lottery.training.loss import batch_loss


def train(engine: Engine, job: TrainingJob, monitor: Monitor | None = None) -> TrainingResult:
    """Train one job alone."""
    results = engine.train([job], [monitor or NullMonitor()])
    expect(len(results) == 1, f"one job was given, {len(results)} results came back")
    return results[0]


def train_done(engine: Engine, job: TrainingJob, monitor: Monitor | None = None) -> TrainingResult:
    """Train one job alone, and fail unless the training is done."""
    result = train(engine, job, monitor)
    expect(result.status == "done", f"the training {result.status}: {result.reason}")
    return result


def in_precision(job: TrainingJob, dtype: torch.dtype) -> TrainingJob:
    """The job with its floating-point start weights as ``dtype``."""
    start = {n: v.to(dtype) if v.is_floating_point() else v for n, v in job.start.items()}
    return replace(job, start=start)


def capturing(job: TrainingJob, made: list[nn.Module]) -> TrainingJob:
    """The job, with every network that the engine makes for it added to ``made``."""

    def make_model() -> nn.Module:
        made.append(job.make_model())
        return made[-1]

    return replace(job, make_model=make_model)


def loaded_model(job: TrainingJob, state: State) -> nn.Module:
    """A fresh network with a trained state, in that state's precision and in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        model = job.make_model()
    model.to(dtype=next(v.dtype for v in state.values() if v.is_floating_point()))
    model.load_state_dict(dict(state))
    return model.eval()


def measure(job: TrainingJob, state: State, split: Split) -> tuple[float, float]:
    """The job's loss, and accuracy, of a state on a split, by one forward pass over all of it."""
    model = loaded_model(job, state)
    dtype = next(model.parameters()).dtype
    with torch.no_grad():
        logits = model(job.data.normalized(split.inputs, dtype))
    loss = batch_loss(job.config.loss, logits.double(), split.targets)
    return float(loss), float((logits.argmax(dim=1) == split.targets).double().mean())


def masked_by_shape(tensors: State, mask: Mask) -> dict[str, Tensor]:
    """Tensor name -> kept, for the floating-point tensors that have the shape of a mask's layer.

    The layers of `lottery.testing.samples.tiny_mlp` differ in shape, so that a tensor's shape
    tells its layer, whatever the engine calls it.
    """
    by_shape = {tuple(kept.shape): kept for kept in mask.values()}
    return {
        name: by_shape[tuple(tensor.shape)]
        for name, tensor in tensors.items()
        if tensor.is_floating_point() and tuple(tensor.shape) in by_shape
    }


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
        steps_at_once: how many steps may be taken between two calls; by default 1.
        stop_at: asks the training to stop there, or at the first call after it.
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
