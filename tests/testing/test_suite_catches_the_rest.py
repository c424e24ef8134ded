"""The rest of what the engine suite is for: buffers, randomness, tied weights, labels, memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from unittest.mock import patch

import pytest
import torch
from rewired import (
    Lossy,
    Rewired,
    SharesRandomness,
    with_dropout_for_good,
    without_randomness,
)
from torch import Tensor

from lottery.core import Mask, prunable_weights
from lottery.testing import ENGINE_CHECKS, ENGINE_CHECKS_ANY_MODEL
from lottery.training import (
    LearningRateConfig,
    Length,
    Monitor,
    NullMonitor,
    State,
    TrainingJob,
    TrainingResult,
)
from lottery.training.engines.torch_engine import TorchEngine
from lottery.training.engines.torch_engine import in_progress as steps

CHECKS = {check.__name__: check for check in ENGINE_CHECKS + ENGINE_CHECKS_ANY_MODEL}


def without_buffers(name: str, value: Tensor) -> Tensor:
    return torch.zeros_like(value) if "running" in name else value


def without_momentum(name: str, value: Tensor) -> Tensor:
    return torch.zeros_like(value) if "momentum_buffer" in name else value


def with_fresh_buffers(job: TrainingJob) -> TrainingJob:
    with torch.random.fork_rng(devices=[]):
        fresh = dict(job.make_model().named_buffers())
    return replace(job, start={**job.start, **fresh})


def masked_under_one_name(job: TrainingJob, result: TrainingResult) -> TrainingResult:
    trained = dict(result.final)
    for name in set(trained) - set(dict(prunable_weights(job.make_model()))):
        if name.endswith("weight"):
            trained[name] = job.start[name]
    return replace(result, final=trained)


def frozen_where(frozen: Callable[[Tensor], Tensor]) -> Callable[[TrainingJob], TrainingJob]:
    """Freezes kept weights by what they are."""

    def job_of(job: TrainingJob) -> TrainingJob:
        kept = {name: kept & ~frozen(job.start[name]) for name, kept in job.mask.items()}
        return replace(job, mask=Mask(kept))

    return job_of


def constant_rate(job: TrainingJob) -> TrainingJob:
    rate = LearningRateConfig(base=job.config.learning_rate.base)
    return replace(job, config=replace(job.config, learning_rate=rate))


def small_batches(job: TrainingJob) -> TrainingJob:
    size = min(job.config.batch_size, 16)
    return replace(job, config=replace(job.config, batch_size=size))


def garbage_is_used(job: TrainingJob) -> TrainingJob:
    """Biases pick up what lies under the mask."""
    stray = max(float(job.start[name].abs().max()) for name in job.mask)
    start = {n: v + stray if n.endswith("bias") else v for n, v in job.start.items()}
    return replace(job, start=start)


def measured_rarely(job: TrainingJob) -> TrainingJob:
    rarely = Length(amount=max(5, job.config.evaluate_every.amount))
    return replace(job, config=replace(job.config, evaluate_every=rarely))


def drifts_with_measuring(job: TrainingJob, result: TrainingResult) -> TrainingResult:
    drift = 1 + 1e-6 * len(result.curve)
    return replace(result, final={name: value * drift for name, value in result.final.items()})


def shared(job: TrainingJob, result: TrainingResult) -> TrainingResult:
    snapshots: Mapping[int, State] = dict.fromkeys(result.snapshots, result.final)
    return replace(result, early_stop=result.final, snapshots=snapshots)


def all_but_the_last(job: TrainingJob, result: TrainingResult) -> TrainingResult:
    return replace(result, snapshots=dict(list(result.snapshots.items())[:-1]))


def silent(job: TrainingJob, result: TrainingResult) -> TrainingResult:
    return replace(result, engine="", seconds=-1.0)


def done_after_all(job: TrainingJob, result: TrainingResult) -> TrainingResult:
    return replace(result, status="done") if result.status == "diverged" else result


class RestoresOnlyAlone(Rewired):
    """Takes checkpoints of a group, and starts groups from the beginning all the same."""

    def train(
        self, jobs: Sequence[TrainingJob], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        if len(jobs) > 1 and any(monitor.restore() for monitor in monitors):
            monitors = [NullMonitor() for _ in monitors]
        return super().train(jobs, monitors)


class PassesOver(TorchEngine):
    """Leaves biases that took no part in a step to the optimizer, which passes them over."""

    def train(
        self, jobs: Sequence[TrainingJob], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        with patch.object(steps, "fill_gradients", _fill_weights_alone):
            return super().train(jobs, monitors)


def _fill_weights_alone(parameters: Sequence[Tensor]) -> None:
    for parameter in parameters:
        if parameter.grad is None and parameter.dim() > 1:
            parameter.grad = torch.zeros_like(parameter)


CAUGHT_BY: list[tuple[str, TorchEngine]] = [
    ("check_convolutions_resume", Rewired(monitor=lambda m: Lossy(m, without_buffers))),
    ("check_convolutions_resume", Rewired(monitor=lambda m: Lossy(m, without_randomness))),
    ("check_interrupted_resume", Rewired(monitor=lambda m: Lossy(m, without_momentum))),
    (
        "check_interrupted_resume",
        Rewired(monitor=lambda m: Lossy(m, lambda name, value: value, gone=("reason",))),
    ),
    ("check_groups", RestoresOnlyAlone()),
    ("check_convolutional_groups", SharesRandomness()),
    ("check_convolutions_resume", Rewired(job=with_dropout_for_good)),
    ("check_other_networks", Rewired(job=with_fresh_buffers)),
    ("check_other_networks", Rewired(result=masked_under_one_name)),
    ("check_other_networks", PassesOver()),
    (
        "check_optimizers",
        Rewired(job=frozen_where(lambda weight: weight == 0)),
    ),
    (
        "check_optimizers",
        Rewired(job=frozen_where(lambda weight: weight < 1e-8)),
    ),
    ("check_schedules", Rewired(job=constant_rate)),
    ("check_schedules", Rewired(job=small_batches)),
    ("check_optimizers", Rewired(job=garbage_is_used)),
    ("check_schedules", Rewired(job=measured_rarely)),
    ("check_optimizers", Rewired(result=drifts_with_measuring)),
    ("check_optimizers", Rewired(result=shared)),
    ("check_optimizers", Rewired(result=all_but_the_last)),
    ("check_networks_stay_ordinary", Rewired(result=silent)),
    ("check_divergence", Rewired(result=done_after_all)),
]


@pytest.mark.parametrize(
    ("check", "broken"), CAUGHT_BY, ids=[f"{check}-{n}" for n, (check, _) in enumerate(CAUGHT_BY)]
)
def test_a_broken_engine_is_caught(check: str, broken: TorchEngine) -> None:
    with pytest.raises(AssertionError) as caught:
        CHECKS[check](broken)

    assert len(str(caught.value)) > 20, "a failure should say what is wrong"


@pytest.mark.parametrize("check", sorted({check for check, _ in CAUGHT_BY}))
def test_the_wrapper_itself_breaks_nothing(check: str) -> None:
    CHECKS[check](Rewired())
