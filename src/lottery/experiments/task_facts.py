"""Facts about an experiment's task, for the verdict and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lottery.data import steps_per_epoch
from lottery.experiments.config import ExperimentConfig, OwnConfig, PlanConfig, stops_early
from lottery.experiments.plan import trains_dense_again
from lottery.score import ACCURACY, Score
from lottery.store.jobs import DENSE_REWOUND, DENSE_WHOLE, MAIN
from lottery.training import MaskUpdateMethod, PrunedValues


@dataclass(frozen=True, kw_only=True)
class TaskFacts:
    """What was trained and how it was measured, known without the task's code."""

    title: str
    """What is trained, in a few words, for headings."""
    score: Score
    """The score it is judged by, with the experiment's margin."""
    evaluation_interval: int | None = None
    """Iterations between two evaluations; None when unknown."""
    test_examples: int | None = None
    """Size of the test set; None when unknown."""
    classes: int | None = None
    """The number of classes, which gives the accuracy of guessing; None if there are none."""
    mask_updates: MaskUpdateMethod = "none"
    """How masks changed while tickets trained."""
    pruned_values: PrunedValues = "zero"
    """What pruned weights were held at."""
    dense_kind: str = MAIN
    """The kind of the branch whose level 0 counts as the dense network."""
    model: str | None = None
    """The network's name in a config; None for a network of the user's own code."""
    input_shape: tuple[int, ...] | None = None
    """Of one example; None when unknown."""


def task_facts(config: PlanConfig, experiment: Mapping[str, Any]) -> TaskFacts:
    """Facts about a run's task.

    Args:
        config: the experiment.
        experiment: the contents of ``experiment.json``.
    """
    if isinstance(config, ExperimentConfig):
        return _classification(config, experiment["data"])
    score = task_score(config)
    title = config.title if isinstance(config, OwnConfig) else config.name
    return TaskFacts(title=title, score=score, dense_kind=_dense_kind(config))


def task_score(config: PlanConfig) -> Score:
    """The score that an experiment is judged by, with its margin."""
    if isinstance(config, OwnConfig):
        return config.score
    return replace(ACCURACY, margin=config.verdict.margin)


def _classification(config: ExperimentConfig, data: Mapping[str, Any]) -> TaskFacts:
    training = config.training
    steps = steps_per_epoch(data["training_examples"], training.batch_size)
    return TaskFacts(
        title=f"{config.model} on {config.data.name}",
        score=task_score(config),
        evaluation_interval=training.evaluate_every.iterations(steps),
        test_examples=data["test_examples"],
        classes=data["classes"],
        mask_updates=config.method.variant(1, config.prune, 1).updates.method,
        pruned_values=config.method.pruned,
        model=config.model,
        input_shape=tuple(data["input_shape"]),
        dense_kind=DENSE_WHOLE if stops_early(config) else MAIN,
    )


def _dense_kind(config: PlanConfig) -> str:
    """With late rewinding of a loop that starts over, the dense network trained the same way."""
    return DENSE_REWOUND if trains_dense_again(config) else MAIN
