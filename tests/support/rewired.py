"""Engines that are deliberately wrong: the torch engine with what goes in or comes out rewired."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from lottery.training import Checkpoint, Monitor, TrainingJob, TrainingResult
from lottery.training.engines.torch_engine import TorchEngine

Module = TypeVar("Module", bound=nn.Module)


class Rewired(TorchEngine):
    """The torch engine with its job, its monitor or its result rewired.

    Args:
        job: what becomes of the job.
        monitor: what becomes of the monitor.
        result: what becomes of the result, given the job too.
    """

    name = "torch"

    def __init__(
        self,
        *,
        job: Callable[[TrainingJob], TrainingJob] = lambda job: job,
        monitor: Callable[[Monitor], Monitor] = lambda monitor: monitor,
        result: Callable[[TrainingJob, TrainingResult], TrainingResult] = lambda job, result: (
            result
        ),
    ) -> None:
        super().__init__()
        self.job, self.monitor, self.result = job, monitor, result

    def train(
        self, jobs: Sequence[TrainingJob], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        results = TorchEngine().train(
            [self.job(job) for job in jobs], [self.monitor(monitor) for monitor in monitors]
        )
        return [self.result(job, result) for job, result in zip(jobs, results, strict=True)]


class Lossy:
    """A monitor whose checkpoints lose what ``lose`` takes from them."""

    def __init__(
        self, monitor: Monitor, lose: Callable[[str, Tensor], Tensor], gone: Sequence[str] = ()
    ) -> None:
        self.monitor, self.steps_at_once = monitor, monitor.steps_at_once
        self.lose, self.gone = lose, gone

    def restore(self) -> Checkpoint | None:
        return self.monitor.restore()

    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        def less() -> Checkpoint:
            whole = checkpoint()
            tensors = {name: self.lose(name, value) for name, value in whole.tensors.items()}
            values = {n: "" if n in self.gone else value for n, value in whole.values.items()}
            return replace(whole, tensors=tensors, values=values)

        self.monitor.step(iteration, less)


def without_randomness(name: str, value: Tensor) -> Tensor:
    return torch.Generator().manual_seed(0).get_state() if name == "random" else value


class ForGood(nn.Dropout):
    """Dropout that evaluation mode does not turn off."""

    def forward(self, input: Tensor) -> Tensor:
        return nn.functional.dropout(input, self.p, training=True)


def with_modules(
    kind: type[Module], make: Callable[[Module], nn.Module]
) -> Callable[[TrainingJob], TrainingJob]:
    """Trains a network of which every module of a kind is replaced."""

    def job_of(job: TrainingJob) -> TrainingJob:
        def make_model() -> nn.Module:
            model = job.make_model()
            for name, module in list(model.named_children()):
                if isinstance(module, kind):
                    model.set_submodule(name, make(module))
            return model

        return replace(job, make_model=make_model)

    return job_of


with_dropout_for_good = with_modules(nn.Dropout, lambda dropout: ForGood(dropout.p))


class SharesRandomness(Rewired):
    """One stream for the dropout of all jobs of a group."""

    def train(
        self, jobs: Sequence[TrainingJob], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        return super().train([replace(job, streams=jobs[0].streams) for job in jobs], monitors)
