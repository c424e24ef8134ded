"""The suite catches what engines with kernels of their own for these networks easily get wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from rewired import (
    Rewired,
    with_modules,
)
from torch import Tensor, nn

from lottery.core import Mask
from lottery.data import Split
from lottery.errors import Preempted
from lottery.testing import ENGINE_CHECKS, interruptions
from lottery.training import Checkpoint, Monitor, NullMonitor, TrainingJob, TrainingResult

CHECKS = {check.__name__: check for check in ENGINE_CHECKS}

JobChange = Callable[[TrainingJob], TrainingJob]


# Monitors


class Filtered:
    """A monitor that is not told of every call.

    Args:
        monitor: who is told.
        told: whether of a call at this iteration.
    """

    def __init__(self, monitor: Monitor, told: Callable[[int], bool]) -> None:
        self.monitor, self.told, self.steps_at_once = monitor, told, monitor.steps_at_once

    def restore(self) -> Checkpoint | None:
        return self.monitor.restore()

    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        if self.told(iteration):
            self.monitor.step(iteration, checkpoint)


def one_step_late(monitor: Monitor) -> Monitor:
    asked = monitor.steps_at_once
    every = asked + 1 if asked > 1 else 1
    return Filtered(monitor, lambda iteration: iteration % every == 0 or iteration == 12)


def not_at_the_end(monitor: Monitor) -> Monitor:
    return Filtered(monitor, lambda iteration: iteration % monitor.steps_at_once == 0)


class Swallows(Filtered):
    """Goes on when asked to stop."""

    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        try:
            super().step(iteration, checkpoint)
        except Preempted:
            self.monitor = NullMonitor()


class ForgetsIfKeptByAnother(Filtered):
    """Takes up the optimizer's state only if as many steps at once were asked for when kept."""

    def restore(self) -> Checkpoint | None:
        kept = self.monitor.restore()
        if kept is None or kept.values["asked"] == self.steps_at_once:
            return kept
        tensors = {n: v for n, v in kept.tensors.items() if not n.startswith("optimizer/")}
        return replace(kept, tensors=tensors)

    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        def labelled() -> Checkpoint:
            whole = checkpoint()
            return replace(whole, values={**whole.values, "asked": self.steps_at_once})

        super().step(iteration, labelled)


class DriftsInBlocks(Rewired):
    """Several steps at once do not come to what single steps come to."""

    def train(
        self, jobs: Sequence[TrainingJob], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        factors = [1 + 1e-6 * (monitor.steps_at_once > 1) for monitor in monitors]
        return [
            replace(result, final={name: value * f for name, value in result.final.items()})
            for f, result in zip(factors, super().train(jobs, monitors), strict=True)
        ]


class AsksTheFirst(Rewired):
    """Calls all monitors of a group as often as the first one asks."""

    def train(
        self, jobs: Sequence[TrainingJob], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        every = monitors[0].steps_at_once
        filtered = [Filtered(m, lambda at: at % every == 0 or at == 12) for m in monitors]
        return super().train(jobs, filtered)


# Networks and losses


def with_another_loss(job: TrainingJob) -> TrainingJob:
    return replace(job, config=replace(job.config, loss="cross-entropy"))


def measured_as_a_sum(job: TrainingJob, result: TrainingResult) -> TrainingResult:
    outputs = job.data.classes if job.config.loss == "mse" else 1
    curve = tuple(
        replace(point, values={**point.values, "loss": point.loss * outputs})
        for point in result.curve
    )
    return replace(result, curve=curve)


def stopped_at_the_end(job: TrainingJob, result: TrainingResult) -> TrainingResult:
    last = result.curve[-1].iteration
    return replace(result, early_stop=result.final, early_stop_iteration=last)


def when(condition: Callable[[TrainingJob], bool], change: JobChange) -> JobChange:
    """The change, for some jobs."""
    return lambda job: change(job) if condition(job) else job


relu_for_tanh = with_modules(nn.Tanh, lambda _: nn.ReLU())
cut_off_tanh = with_modules(nn.Tanh, lambda _: nn.Hardtanh())


def in_single_precision(job: TrainingJob) -> bool:
    return job.start["output.weight"].dtype == torch.float32


def without_momentum(job: TrainingJob) -> TrainingJob:
    optimizer = replace(job.config.optimizer, momentum=0.0, nesterov=False)
    return replace(job, config=replace(job.config, optimizer=optimizer))


def without_the_bias(job: TrainingJob) -> TrainingJob:
    start = {**job.start, "output.bias": torch.zeros_like(job.start["output.bias"])}
    return replace(job, start=start)


def masked(change: Callable[[str, Tensor], Tensor]) -> JobChange:
    """The job under a mask that is changed layer by layer."""
    return lambda job: replace(job, mask=Mask({n: change(n, kept) for n, kept in job.mask.items()}))


def without_the_rest_of_sixteen(_name: str, kept: Tensor) -> Tensor:
    rest = len(kept) % 16 if len(kept) > 16 else 0
    return kept & (torch.arange(len(kept)) < len(kept) - rest)[:, None]


# Shapes


def batches_of_at_most(size: int) -> JobChange:
    def job_of(job: TrainingJob) -> TrainingJob:
        batch_size = min(size, job.config.batch_size)
        return replace(job, config=replace(job.config, batch_size=batch_size))

    return job_of


def measured_on_the_first_thousand(job: TrainingJob) -> TrainingJob:
    test = job.data.test
    shorter = Split(test.inputs[:1_000], test.targets[:1_000])
    return replace(job, data=replace(job.data, test=shorter))


def background(split: Split) -> tuple[Tensor, Tensor]:
    """The commonest value, and where it is; nowhere if it is not that common."""
    value = split.inputs.flatten().mode().values
    where = split.inputs == value
    return value, where & (where.double().mean() > 0.3)


def with_a_background_of_zero(job: TrainingJob) -> TrainingJob:
    train = job.data.train
    train = replace(train, inputs=train.inputs.masked_fill(background(train)[1], 0.0))
    return replace(job, data=replace(job.data, train=train))


def with_the_training_background(job: TrainingJob) -> TrainingJob:
    (value, _), test = background(job.data.train), job.data.test
    test = replace(test, inputs=torch.where(background(test)[1], value, test.inputs))
    return replace(job, data=replace(job.data, test=test))


def without_what_follows_dead_units(job: TrainingJob) -> TrainingJob:
    names = list(job.mask)
    kept = {name: value.clone() for name, value in job.mask.items()}
    for name, above in pairwise(names):
        kept[above] &= job.mask[name].any(dim=1)
    return replace(job, mask=Mask(kept))


class SlopeAtZero(nn.Module):
    """ReLU with the derivative 1 at zero."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.clamp(min=0)


def dense_when_nearly(_name: str, kept: Tensor) -> Tensor:
    return kept | (float(kept.double().mean()) > 0.8)


def without_the_last_when_sparse(_name: str, kept: Tensor) -> Tensor:
    if float(kept.double().mean()) > 0.1:
        return kept
    fewer = kept.clone()
    fewer.flatten()[int(kept.flatten().nonzero()[-1])] = False
    return fewer


CAUGHT_BY: list[tuple[str, Rewired]] = [
    ("check_steps_at_once", DriftsInBlocks()),
    (
        "check_steps_at_once",
        Rewired(monitor=lambda m: ForgetsIfKeptByAnother(m, lambda _: True)),
    ),
    ("check_steps_at_once", Rewired(monitor=one_step_late)),
    ("check_steps_at_once", Rewired(monitor=not_at_the_end)),
    ("check_steps_at_once", AsksTheFirst()),
    ("check_preemption", Rewired(monitor=lambda m: Swallows(m, lambda _: True))),
    ("check_preemption", Rewired(monitor=lambda m: Filtered(m, lambda at: at > 6))),
    ("check_networks", Rewired(job=relu_for_tanh)),
    ("check_networks", Rewired(job=cut_off_tanh)),
    ("check_networks", Rewired(job=when(in_single_precision, relu_for_tanh))),
    ("check_networks", Rewired(job=with_another_loss)),
    ("check_networks", Rewired(result=measured_as_a_sum)),
    ("check_networks", Rewired(result=stopped_at_the_end)),
    ("check_networks", Rewired(job=relu_for_tanh)),
    ("check_networks", Rewired(job=with_another_loss)),
    ("check_networks", Rewired(job=without_momentum)),
    (
        "check_networks",
        Rewired(job=when(lambda job: not job.snapshots_at, without_momentum)),
    ),
    ("check_networks", Rewired(job=when(lambda job: len(job.mask) == 1, without_the_bias))),
    ("check_networks", Rewired(job=masked(without_the_rest_of_sixteen))),
    ("check_shapes", Rewired(job=batches_of_at_most(64))),
    ("check_shapes", Rewired(job=batches_of_at_most(512))),
    ("check_shapes", Rewired(job=measured_on_the_first_thousand)),
    ("check_inputs", Rewired(job=with_a_background_of_zero)),
    ("check_inputs", Rewired(job=with_the_training_background)),
    ("check_shapes", Rewired(job=without_what_follows_dead_units)),
    ("check_shapes", Rewired(job=with_modules(nn.ReLU, lambda _: SlopeAtZero()))),
    ("check_shapes", Rewired(job=masked(dense_when_nearly))),
    ("check_shapes", Rewired(job=masked(without_the_last_when_sparse))),
]


@pytest.mark.parametrize(
    ("check", "broken"), CAUGHT_BY, ids=[f"{check}-{n}" for n, (check, _) in enumerate(CAUGHT_BY)]
)
def test_a_broken_engine_is_caught(check: str, broken: Rewired) -> None:
    with pytest.raises(AssertionError) as caught:
        CHECKS[check](broken)

    assert len(str(caught.value)) > 20, "a failure should say what is wrong"


def test_every_check_of_this_kind_can_fail() -> None:
    names = {name for name in vars(interruptions) if name.startswith("check_")}

    assert names | {"check_networks", "check_shapes", "check_inputs"} == {
        check for check, _ in CAUGHT_BY
    }
