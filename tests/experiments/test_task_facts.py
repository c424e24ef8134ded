"""What is known of a run's task without the task."""

from __future__ import annotations

from lottery.data import DataConfig
from lottery.experiments import ExperimentConfig, VerdictConfig, task_facts
from lottery.experiments.config import OwnConfig
from lottery.score import Score
from lottery.training import Length, TrainingConfig

DATA = {"training_examples": 600, "test_examples": 1000, "classes": 10, "input_shape": [1, 28, 28]}


def test_a_classification() -> None:
    config = ExperimentConfig(
        data=DataConfig(name="mnist-5k"),
        training=TrainingConfig(batch_size=60, evaluate_every=Length(amount=2, unit="epochs")),
        verdict=VerdictConfig(margin=0.01),
    )
    facts = task_facts(config, {"data": DATA})
    assert facts.title == "lenet-300-100 on mnist-5k"
    assert facts.score == Score(name="accuracy", higher=True, unit="%", margin=0.01)
    assert (facts.evaluation_interval, facts.test_examples, facts.classes) == (20, 1000, 10)
    assert (facts.mask_updates, facts.pruned_values, facts.dense_kind) == ("none", "zero", "main")
    assert (facts.model, facts.input_shape) == ("lenet-300-100", (1, 28, 28))


def test_an_own_loop() -> None:
    score = Score(name="perplexity", higher=False, margin=0.5)
    facts = task_facts(OwnConfig(title="LSTM on letters", score=score), {})
    assert (facts.title, facts.score) == ("LSTM on letters", score)
    unknown = {facts.evaluation_interval, facts.test_examples, facts.classes, facts.model}
    assert unknown == {None}
    assert facts.dense_kind == "main"
