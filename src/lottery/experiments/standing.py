"""How far the trainings of a run are that have begun and not ended."""

from __future__ import annotations

from dataclasses import dataclass

from lottery.data import steps_per_epoch
from lottery.experiments.config import ExperimentConfig
from lottery.experiments.lengths import last_iteration_of, planned_at_most
from lottery.experiments.plan import plan
from lottery.store import JobKey, Store


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A training with a checkpoint on disk.

    Args:
        key: the job.
        iteration: of its newest checkpoint, counted from the start of the dense training.
        last: the iteration it ends at.
        at_most: whether it may end before ``last``.
    """

    key: JobKey
    iteration: int
    last: int
    at_most: bool

    def __str__(self) -> str:
        most = "at most " if self.at_most else ""
        return f"{self.key}: iteration {self.iteration:,} of {most}{self.last:,}"


def begun(store: Store, config: ExperimentConfig, training_examples: int) -> list[Begun]:
    """The trainings that go on from a checkpoint when the run does, in the order of the plan.

    Args:
        store: the run's.
        config: the experiment.
        training_examples: how many there are, by which epochs are counted.
    """
    steps = steps_per_epoch(training_examples, config.training.batch_size)
    return [
        Begun(
            key=key,
            iteration=iteration,
            last=last_iteration_of(key, config, steps),
            at_most=planned_at_most(key, config),
        )
        for key in plan(config)
        if not store.is_finished(key) and (iteration := store.checkpoint_iteration(key)) is not None
    ]
