"""Training configs: what they refuse, and lengths."""

from __future__ import annotations

import dataclasses
import math

import pytest

from lottery.training import LearningRateConfig, Length, OptimizerConfig, TrainingConfig

Config = LearningRateConfig | Length | OptimizerConfig | TrainingConfig

EPOCH = Length(amount=1, unit="epochs")


@pytest.mark.parametrize(
    "config",
    [
        Length(amount=0),
        OptimizerConfig(),
        OptimizerConfig(name="sgd", momentum=0.9, nesterov=True, weight_decay=1e-4),
        LearningRateConfig(),
        LearningRateConfig(schedule="step", drops=(EPOCH,)),
        LearningRateConfig(schedule="cosine", warmup=EPOCH),
        TrainingConfig(),
        OptimizerConfig(name="adamw", weight_decay=0.01, decay="weights"),
        TrainingConfig(label_smoothing=0.1, averaging=0.999, clip_gradients=1.0),
        TrainingConfig(precision="float16", recalibrate_batch_norm=1, channels_last=True),
    ],
)
def test_sound_configs_have_no_problems(config: Config) -> None:
    assert config.problems() == []


@pytest.mark.parametrize(
    ("config", "problems"),
    [
        (Length(amount=-1), ["amount: must be between 0 and 1,000,000,000, got -1"]),
        (OptimizerConfig(name="sgd", momentum=1.0), ["momentum: must be at least 0 and below 1"]),
        (OptimizerConfig(beta1=1.0, beta2=-0.1), ["beta1: must", "beta2: must"]),
        (OptimizerConfig(weight_decay=-1.0), ["weight_decay: must be 0 or more"]),
        (OptimizerConfig(weight_decay=math.inf), ["weight_decay: must be 0 or more"]),
        (OptimizerConfig(epsilon=0.0), ["epsilon: must be above 0"]),
        (OptimizerConfig(momentum=0.9), ["momentum: Adam has none"]),
        (OptimizerConfig(nesterov=True), ["momentum: Adam has none"]),
        (OptimizerConfig(name="adamw", momentum=0.9), ["momentum: Adam has none"]),
        (OptimizerConfig(name="sgd", nesterov=True), ["nesterov: needs momentum"]),
        (LearningRateConfig(base=0.0), ["base: must be above 0"]),
        (LearningRateConfig(base=math.nan), ["base: must be above 0"]),
        (LearningRateConfig(factor=1.0), ["factor: must lie between 0 and 1"]),
        (LearningRateConfig(schedule="step"), ["drops: the step schedule needs at least one"]),
        (LearningRateConfig(schedule="cosine", drops=(EPOCH,)), ["drops: the cosine schedule has"]),
        (
            TrainingConfig(length=Length(amount=0), evaluate_every=Length(amount=0), batch_size=0),
            ["length.amount: must be", "evaluate_every.amount: must be", "batch_size: must be"],
        ),
        (
            TrainingConfig(label_smoothing=1.0, averaging=-0.1),
            ["label_smoothing: must be at least 0 and below 1", "averaging: must be at least 0"],
        ),
        (TrainingConfig(averaging=math.nan), ["averaging: must be at least 0 and below 1"]),
        (TrainingConfig(label_smoothing=0.1, loss="mse"), ["label_smoothing: needs loss = "]),
        (TrainingConfig(clip_gradients=-1.0), ["clip_gradients: must be 0 or more, got -1.0"]),
        (TrainingConfig(clip_gradients=math.inf), ["clip_gradients: must be 0 or more"]),
        (TrainingConfig(recalibrate_batch_norm=-1), ["recalibrate_batch_norm: must be 0 or"]),
    ],
)
def test_every_problem_is_listed(config: Config, problems: list[str]) -> None:
    found = config.problems()

    assert len(found) == len(problems)
    for sentence, start in zip(found, problems, strict=True):
        assert sentence.startswith(start)


def test_configs_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainingConfig().batch_size = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("length", "iterations", "text"),
    [
        (Length(amount=3), 3, "3 iterations"),
        (Length(amount=1), 1, "1 iteration"),
        (Length(amount=2, unit="epochs"), 1_834, "2 epochs"),
        (Length(amount=50_000), 50_000, "50,000 iterations"),
        (Length(amount=0, unit="epochs"), 0, "0 epochs"),
    ],
)
def test_lengths(length: Length, iterations: int, text: str) -> None:
    assert length.iterations(917) == iterations
    assert str(length) == text
