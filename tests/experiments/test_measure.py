"""How fast an engine is, from when it had done some steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from tiny import tiny

from lottery.data import load_dataset
from lottery.errors import UsageError
from lottery.experiments import Experiment, ExperimentConfig, Listener
from lottery.experiments.measure import measure, seconds_apart
from lottery.tasks.protocol import TrainingVariant
from lottery.tasks.supervised import Supervised
from lottery.tickets import PruneConfig
from lottery.training import Engine, LearningRateConfig, Monitor, TrainingJob, TrainingResult
from lottery.training.engines.torch_engine import TorchEngine

STEP, EVALUATION = 0.25, 4.0


def calls_after(iterations: Sequence[int]) -> list[tuple[int, float]]:
    """When an engine would have called that takes an evaluation every 100 steps."""
    return [(i, 7.0 + i * STEP + i // 100 * EVALUATION) for i in iterations]


@pytest.mark.parametrize(
    "iterations",
    [
        range(1, 301),
        range(25, 301, 25),
        [10, 35, 60, 85, 100, 125, 150, 175, 199, 224, 249, 274, 299, 300],
    ],
)
def test_steps_and_evaluations_are_told_apart(iterations: Sequence[int]) -> None:
    assert seconds_apart(calls_after(iterations), 100) == pytest.approx((STEP, EVALUATION))


def test_a_moment_of_other_work_does_not_count() -> None:
    calls = calls_after(range(25, 301, 25))
    late = [(i, t + 60.0 * (i >= 50) + 60.0 * (i >= 200)) for i, t in calls]
    assert seconds_apart(late, 100) == pytest.approx((STEP, EVALUATION))


class Noting(TorchEngine):
    """Notes the masks it is given."""

    def __init__(self) -> None:
        super().__init__("cpu")
        self.densities = list[float]()

    def train(
        self, jobs: Sequence[TrainingJob], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        self.densities += [job.mask.density for job in jobs]
        assert torch.get_num_threads() == 1
        return super().train(jobs, monitors)


def measured(
    config: ExperimentConfig, engine: Engine, *listener: Listener
) -> dict[float, tuple[float, float]]:
    """What is measured with this engine."""

    class Task(Supervised):
        def engine(self, variant: TrainingVariant) -> Engine:
            assert variant.is_standard
            return engine

    task = Task(config, load_dataset(config.data))
    return measure(Experiment(config, task), task, *listener)


def test_dense_and_some_sparser_networks_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lottery.experiments.measure._SLOW", math.inf)
    config = tiny(levels=7, prune=PruneConfig(fraction=0.5))
    engine = Noting()
    found = measured(config, engine)
    assert list(found) == pytest.approx([0.5**level for level in (0, 2, 5, 7)], rel=0.05)
    assert engine.densities == [1.0, *found]
    assert all(step > 0 and evaluation >= 0 for step, evaluation in found.values())


def test_what_is_measured_is_told_and_slow_networks_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Hear(Listener):
        def preparing(self, message: str) -> None:
            heard.append(message)

    heard: list[str] = []
    config = tiny(levels=7, prune=PruneConfig(fraction=0.5))
    monkeypatch.setattr("lottery.experiments.measure._SLOW", math.inf)
    measured(config, Noting(), Hear())
    assert [text.split()[3] for text in heard] == ["100.0%", "25.0%", "3.1%", "0.8%"]
    heard.clear()
    monkeypatch.setattr("lottery.experiments.measure._SLOW", 0.0)
    measured(config, Noting(), Hear())
    assert [text.split()[3] for text in heard] == ["100.0%", "0.8%"]


def test_a_slow_step_is_measured_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lottery.experiments.measure._SECONDS", 1e-9)
    config, lengths = tiny(levels=0), list[int]()

    class Lengths(Noting):
        def train(
            self, jobs: Sequence[TrainingJob], monitors: Sequence[Monitor]
        ) -> list[TrainingResult]:
            lengths.extend(job.config.length.amount for job in jobs)
            lengths.extend(len(job.data.test) for job in jobs)
            return super().train(jobs, monitors)

    found = measured(config, Lengths())
    assert list(found) == [1.0]
    assert lengths == [8, len(load_dataset(config.data).test)] * 2


def test_levels_that_would_empty_a_layer_are_not_measured() -> None:
    config = tiny(levels=6, prune=PruneConfig(fraction=0.5, fractions={"output.weight": 0.99}))
    found = measured(config, Noting())
    assert list(found) == [1.0]


def test_a_training_that_diverges_at_once_is_said() -> None:
    training = replace(tiny().training, learning_rate=LearningRateConfig(base=1e30))
    config = tiny(training=training, levels=0)
    with pytest.raises(UsageError, match=r"diverged at once.*training\.learning_rate\.base"):
        measured(config, TorchEngine("cpu"))
