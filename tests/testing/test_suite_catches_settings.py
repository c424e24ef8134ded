"""What the engine suite says of engines that leave settings out, or keep to them by half."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from rewired import Lossy, Rewired
from torch import Tensor, nn

from lottery.core import Mask
from lottery.testing import ENGINE_CHECKS, ENGINE_CHECKS_ANY_MODEL
from lottery.training import (
    Checkpoint,
    Monitor,
    OptimizerConfig,
    State,
    TrainingConfig,
    TrainingJob,
    TrainingResult,
)

CHECKS = {check.__name__: check for check in ENGINE_CHECKS + ENGINE_CHECKS_ANY_MODEL}


def without(**plain: Any) -> Callable[[TrainingJob], TrainingJob]:
    """Trains without some settings."""
    return lambda job: replace(job, config=replace(job.config, **plain))


def with_plain_optimizer(job: TrainingJob) -> TrainingJob:
    """Adam in the place of AdamW."""
    optimizer = job.config.optimizer
    name = "adam" if optimizer.name == "adamw" else optimizer.name
    return without(optimizer=replace(optimizer, name=name))(job)


def decaying_all(job: TrainingJob) -> TrainingJob:
    return without(optimizer=replace(job.config.optimizer, decay="all"))(job)


class RefusesAndTrains(Rewired):
    def refusal(self, model: nn.Module, config: TrainingConfig) -> str | None:
        return "no" if config.label_smoothing else None


def unmasked_with_decay(job: TrainingJob) -> TrainingJob:
    """Forgets the mask under one setting alone."""
    forgets = job.config.optimizer == OptimizerConfig(name="adamw", weight_decay=0.5)
    return replace(job, mask=Mask.dense(job.mask)) if forgets else job


def without_average(name: str, value: Tensor) -> Tensor:
    return torch.zeros_like(value) if name.startswith("measured/") else value


class ForgetsTheScale(Lossy):
    """Starts the scale of losses over when a training goes on."""

    def restore(self) -> Checkpoint | None:
        kept = super().restore()
        if kept is None or not kept.values["scaler"]:
            return kept
        scaler = {**kept.values["scaler"], "scale": 2.0}
        return replace(kept, values={**kept.values, "scaler": scaler})


def forgetful(monitor: Monitor) -> Monitor:
    return ForgetsTheScale(monitor, lambda name, value: value)


def scattered(job: TrainingJob, result: TrainingResult) -> TrainingResult:
    """Convolutions as they lay in memory while training."""

    def laid(state: State) -> Mapping[str, Tensor]:
        last = torch.channels_last
        return {
            n: v.contiguous(memory_format=last) if v.dim() == 4 and v.shape[2] > 1 else v
            for n, v in state.items()
        }

    return replace(result, snapshots={at: laid(state) for at, state in result.snapshots.items()})


def stale(job: TrainingJob, result: TrainingResult) -> TrainingResult:
    """Measured with recalibrated statistics, given back without."""
    if not job.config.recalibrate_batch_norm:
        return result
    own = result.snapshots.get(12, result.final)
    return replace(
        result, final={n: own[n] if "running" in n else v for n, v in result.final.items()}
    )


KEPT_TO = "check_settings"
ANY_MODEL = "check_convolution_settings"

CAUGHT_BY: list[tuple[str, Rewired]] = [
    (KEPT_TO, Rewired(job=with_plain_optimizer)),
    (KEPT_TO, Rewired(job=decaying_all)),
    (KEPT_TO, Rewired(job=without(label_smoothing=0.0))),
    (KEPT_TO, Rewired(job=without(clip_gradients=0.0))),
    (KEPT_TO, Rewired(job=without(averaging=0.0))),
    (KEPT_TO, Rewired(job=without(precision="float32"))),
    (KEPT_TO, RefusesAndTrains()),
    ("check_settings_with_dropout_resume", Rewired(job=unmasked_with_decay)),
    ("check_settings_with_dropout_resume", Rewired(monitor=lambda m: Lossy(m, without_average))),
    ("check_settings_with_dropout_resume", Rewired(monitor=forgetful)),
    (f"{ANY_MODEL}_resume", Rewired(monitor=lambda m: Lossy(m, without_average))),
    (ANY_MODEL, Rewired(result=scattered)),
    (ANY_MODEL, Rewired(result=stale)),
]


@pytest.mark.parametrize(
    ("check", "broken"), CAUGHT_BY, ids=[f"{check}-{n}" for n, (check, _) in enumerate(CAUGHT_BY)]
)
def test_a_broken_engine_is_caught(check: str, broken: Rewired) -> None:
    with pytest.raises(AssertionError) as caught:
        CHECKS[check](broken)

    assert len(str(caught.value)) > 20, "a failure should say what is wrong"


@pytest.mark.parametrize("check", sorted({check for check, _ in CAUGHT_BY}))
def test_the_wrapper_itself_breaks_nothing(check: str) -> None:
    CHECKS[check](Rewired())
