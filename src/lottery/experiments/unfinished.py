"""Trainings of a run that have begun and not ended, and how far they are."""

from __future__ import annotations

from dataclasses import dataclass

from lottery.data import steps_per_epoch
from lottery.experiments.config import ExperimentConfig, PlanConfig
from lottery.experiments.lengths import last_iteration_of, planned_at_most
from lottery.experiments.plan import plan
from lottery.store import JobKey, Store


@dataclass(frozen=True, kw_only=True)
class UnfinishedTraining:
    """A training with a checkpoint on disk.

    Args:
        key: the job.
        iteration: of its newest checkpoint, counted from the start of the dense training.
        last: the iteration it ends at; None if unknown.
        at_most: whether it may end before ``last``.
    """

    key: JobKey
    iteration: int
    last: int | None
    at_most: bool

    def __str__(self) -> str:
        most = "at most " if self.at_most else ""
        of = "" if self.last is None else f" of {most}{self.last:,}"
        return f"{self.key}: iteration {self.iteration:,}{of}"


def unfinished_trainings(
    store: Store, config: PlanConfig, training_examples: int | None
) -> list[UnfinishedTraining]:
    """The trainings that have a checkpoint and are not finished, in the order of the plan.

    Args:
        store: the run's store.
        config: the experiment.
        training_examples: their number, which gives the length of an epoch; None for own code.
    """
    spans = None
    if isinstance(config, ExperimentConfig) and training_examples is not None:
        spans = config, steps_per_epoch(training_examples, config.training.batch_size)
    return [
        UnfinishedTraining(
            key=key,
            iteration=iteration,
            last=last_iteration_of(key, *spans) if spans else None,
            at_most=planned_at_most(key, spans[0]) if spans else False,
        )
        for key in plan(config)
        if not store.is_finished(key) and (iteration := store.checkpoint_iteration(key)) is not None
    ]
