"""The iterations at which each job starts and ends, as far as the config tells."""

from __future__ import annotations

from lottery.data import steps_per_epoch
from lottery.experiments.config import ExperimentConfig
from lottery.experiments.experiment import Experiment
from lottery.experiments.plan import training_variant
from lottery.methods import CONTROLS, Iterative, mask_search
from lottery.store import JobKey
from lottery.store.jobs import SEARCH
from lottery.tasks.schedule import MOST_STRETCH


def planned_span(key: JobKey, experiment: Experiment) -> tuple[int, int] | None:
    """The iterations that a job starts and ends at, at most where `planned_at_most` says so.

    None if the length of the training is not known before it has ended.
    """
    steps = experiment.task.steps()
    if steps is None or not isinstance(experiment.config, ExperimentConfig):
        return None
    first = 0 if _from_the_start(key) else experiment.context.rewind_iteration
    if key.kind == SEARCH and (searches := mask_search(experiment.method)):
        first = experiment.context.iterations(searches.step)
    return first, last_iteration_of(key, experiment.config, steps.per_epoch)


def last_iteration_of(key: JobKey, config: ExperimentConfig, steps_per_epoch: int) -> int:
    """The iteration that a job ends at, at most where `planned_at_most` says so.

    Args:
        key: the job.
        config: the experiment.
        steps_per_epoch: batches in one pass over the data.
    """
    total, variant = (
        config.training.length.iterations(steps_per_epoch),
        training_variant(key, config),
    )
    if variant.same_multiplications:
        return round(total * MOST_STRETCH)
    if variant.fine_tune is not None:
        return total + variant.fine_tune.iterations(steps_per_epoch)
    return total


def planned_at_most(key: JobKey, config: ExperimentConfig) -> bool:
    """Whether a job's steps depend on what is pruned, or on when its mask is drawn."""
    drawn = config.method.rewinding == "drawn" and not _from_the_start(key)
    variant = training_variant(key, config)
    return variant.same_multiplications or variant.until_drawn or drawn


def _from_the_start(key: JobKey) -> bool:
    return key.level == 0 or (key.kind in CONTROLS and CONTROLS[key.kind].starts_over)


def last_iteration(config: ExperimentConfig, training_examples: int) -> int:
    """An upper bound of the iterations at which the experiment's trainings end."""
    steps = steps_per_epoch(training_examples, config.training.batch_size)
    total = config.training.length.iterations(steps)
    tuned = total
    if isinstance(config.method, Iterative):
        tuned += config.method.rewind.length.iterations(steps)
    return max(tuned, round(total * MOST_STRETCH)) if config.controls.scratch_flops else tuned
