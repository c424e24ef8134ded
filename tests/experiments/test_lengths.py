"""How long each kind of job trains, and at what learning rate."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import pytest
import torch
from bound import bound, iterations, job_training, mask_looks, planned_iterations, rewind_iteration
from torch import nn

from lottery.core import Mask
from lottery.data import Dataset
from lottery.experiments import ExperimentConfig
from lottery.experiments.lengths import planned_at_most
from lottery.methods import DrawnRewindConfig, EarlyBird, Iterative, RewindConfig
from lottery.store import JobKey, LookKey
from lottery.tasks.schedule import fine_tuning, stretch_training
from lottery.tasks.supervised import Supervised
from lottery.testing import tiny_dataset
from lottery.training import LearningRateConfig, Length, TrainingConfig, learning_rate

STEPS = 4  # batches of 8 from 27 examples
EPOCH = Length(amount=1, unit="epochs")
TRAINING = TrainingConfig(
    length=Length(amount=10, unit="epochs"),
    batch_size=8,
    learning_rate=LearningRateConfig(
        schedule="step", base=0.5, warmup=EPOCH, drops=(Length(amount=21), Length(amount=30))
    ),
)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return tiny_dataset(input_shape=(1, 4, 4))


def network() -> nn.Module:
    """Multiplications when dense: 2 * 9 * 4 + 8 * 3 = 96."""
    with torch.random.fork_rng(devices=[]):
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))


def mask_with(convolution: int, linear: int) -> Mask:
    """A mask of `network` that keeps so many weights of each layer."""
    return Mask(
        {
            "0.weight": (torch.arange(18) < convolution).view(2, 1, 3, 3),
            "2.weight": (torch.arange(24) < linear).view(3, 8),
        }
    )


def trained(key: JobKey, mask: Mask, data: Dataset, **rewind: object) -> TrainingConfig:
    config = ExperimentConfig(training=TRAINING, method=Iterative(rewind=RewindConfig(**rewind)))  # type: ignore[arg-type]
    with patch.object(Supervised, "make_model", lambda _: network()):
        return job_training(key, mask, config=config, data=data)


@pytest.mark.parametrize(
    ("convolution", "linear", "factor"),
    [
        (18, 24, 1.0),
        (12, 24, 96 / 72),  # 12 * 4 + 24
        (18, 0, 96 / 72),  # 24 weights fewer are as few products as 6 fewer in the convolution
        (9, 12, 2.0),
        (1, 1, 2.0),
        (0, 0, 2.0),
    ],
)
def test_scratch_flops_makes_as_many_multiplications_up_to_twice_the_length(
    data: Dataset, convolution: int, linear: int, factor: float
) -> None:
    mask = mask_with(convolution, linear)
    found = trained(JobKey(0, "scratch-flops-1", 2), mask, data)

    assert found.length == Length(amount=round(40 * factor))
    rate = found.learning_rate
    assert rate.warmup == Length(amount=round(4 * factor))
    assert rate.drops == (Length(amount=round(21 * factor)), Length(amount=round(30 * factor)))
    assert (rate.base, rate.schedule, rate.factor) == (0.5, "step", 0.1)
    assert found.evaluate_every == TRAINING.evaluate_every


def test_a_stretched_schedule_has_the_same_rates_in_the_same_places() -> None:
    longer = stretch_training(TRAINING, 2.0, STEPS)
    for iteration in range(4, 40):
        ours, theirs = (
            learning_rate(config.learning_rate, at, total=total, steps_per_epoch=STEPS)
            for config, at, total in ((longer, 2 * iteration, 80), (TRAINING, iteration, 40))
        )
        assert ours == theirs


def test_everything_else_trains_as_the_dense_network(data: Dataset) -> None:
    mask = mask_with(5, 5)
    for branch in ("main", "reinit-1", "random-mask-1", "scratch-epochs-1", "signs-constant-1"):
        for rewind in ({}, {"kind": "learning-rate", "to": Length(amount=9)}):
            assert trained(JobKey(0, branch, 1), mask, data, **rewind) == TRAINING


def test_fine_tuning_goes_on_at_the_last_learning_rate(data: Dataset) -> None:
    rewind = {"kind": "fine-tune", "length": Length(amount=2, unit="epochs")}
    mask = mask_with(5, 5)
    assert trained(JobKey(0, "main", 0), mask, data, **rewind) == TRAINING
    assert trained(JobKey(0, "scratch-epochs-1", 1), mask, data, **rewind) == TRAINING
    for branch in ("main", "reinit-1"):
        found = trained(JobKey(0, branch, 1), mask, data, **rewind)
        assert found.length == Length(amount=48)
        assert found.learning_rate == LearningRateConfig(base=pytest.approx(0.005))  # type: ignore[arg-type]


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_the_last_learning_rate_is_that_of_the_last_step(schedule: str) -> None:
    config = TrainingConfig(
        length=Length(amount=100),
        learning_rate=LearningRateConfig(schedule=schedule, base=0.5),  # type: ignore[arg-type]
    )
    found = fine_tuning(config, Length(amount=7), STEPS).learning_rate
    last = learning_rate(config.learning_rate, 99, total=100, steps_per_epoch=STEPS)
    assert found == LearningRateConfig(base=last)
    assert found.base > 0


def test_where_tickets_start_and_how_many_steps_are_planned(data: Dataset) -> None:
    def config(**rewind: object) -> ExperimentConfig:
        return ExperimentConfig(training=TRAINING, method=Iterative(rewind=RewindConfig(**rewind)))  # type: ignore[arg-type]

    dense, ticket = JobKey(0, "main", 0), JobKey(0, "main", 1)
    cases = {
        (0, 40, False): config(),
        (8, 32, True): config(to=Length(amount=2, unit="epochs")),
        (9, 31, False): config(kind="learning-rate", to=Length(amount=9)),
        (40, 12, False): config(kind="fine-tune", length=Length(amount=3, unit="epochs")),
    }
    for (start, steps, snapshot), case in cases.items():
        assert iterations(case, data) == 40
        assert rewind_iteration(case, data) == start
        assert planned_iterations(dense, case, data) == 40
        assert planned_iterations(ticket, case, data) == steps
        assert planned_iterations(JobKey(0, "random-signs-1", 1), case, data) == steps
        assert planned_iterations(JobKey(0, "scratch-epochs-1", 1), case, data) == 40
        assert planned_iterations(JobKey(0, "scratch-flops-1", 1), case, data) == 80
        looks = [LookKey(0, "state", start)] if snapshot else []
        assert list(bound(case, data).looks(0)) == looks


def test_tickets_that_train_on_start_at_the_earliest_where_a_mask_can_settle(data: Dataset) -> None:
    bird = EarlyBird(every=Length(amount=3), window=4)
    config = ExperimentConfig(training=TRAINING, method=bird)
    assert mask_looks(config, data) == tuple(range(3, 40, 3))
    assert rewind_iteration(config, data) == 12
    dense, ticket = JobKey(0, "main", 0), JobKey(0, "main", 1)
    for key, steps, most in (
        (dense, 40, False),
        (ticket, 28, True),
        (JobKey(0, "reinit-1", 1), 28, True),
        (JobKey(0, "scratch-epochs-1", 1), 40, False),
        (JobKey(0, "scratch-flops-1", 1), 80, True),
        (JobKey(0, "supermask-1", 1), 40, False),
    ):
        assert planned_iterations(key, config, data) == steps
        assert planned_at_most(key, config) == most
    assert {look.kind for look in bound(config, data).looks(0)} == {"drawn"}
    rewound = replace(config, method=replace(bird, rewind=DrawnRewindConfig(kind="weights")))
    assert mask_looks(rewound, data) == tuple(range(3, 40, 3))
    assert not planned_at_most(ticket, rewound)
    assert mask_looks(replace(rewound, training=replace(TRAINING, length=EPOCH)), data) == (3,)
    whole = replace(TRAINING, length=Length(amount=12))
    assert mask_looks(replace(rewound, training=whole), data) == (3, 6, 9, 12)
    assert mask_looks(replace(config, training=whole), data) == (3, 6, 9)
