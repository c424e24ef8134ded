"""How long each job trains, and from where: what its kind makes of the experiment's training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import nn

from lottery.core import Mask, multiplications, weight_uses
from lottery.data import Dataset, steps_per_epoch
from lottery.experiments.config import ExperimentConfig
from lottery.experiments.controls import mask_learning
from lottery.experiments.mask_updates import changes_mask
from lottery.store import MAIN, JobKey
from lottery.tickets import looks
from lottery.training import (
    LearningRateConfig,
    Length,
    MaskUpdatesConfig,
    TrainingConfig,
    learning_rate,
    scores_training,
)

MOST_STRETCH = 2.0
"""How much longer ``scratch-flops`` trains at most, as in arXiv:1810.05270, section 3: where a
network saves more than half of the multiplications, the training is twice as long."""


def iterations(config: ExperimentConfig, data: Dataset) -> int:
    """Iterations of the dense training."""
    return config.training.length.iterations(_steps(config, data))


def rewind_iteration(config: ExperimentConfig, data: Dataset) -> int:
    """The iteration of the dense training that tickets go back to; 0 is initialization.

    When fine-tuning they go on from its end. With ``drawn`` each ticket has an iteration of its
    own, which only the dense training tells: this is the first at which a mask can have settled.
    """
    if config.rewind.method == "fine-tune":
        return iterations(config, data)
    if config.rewind.method == "drawn":
        return mask_looks(config, data)[config.prune.early_bird.window - 1]
    return config.rewind.to.iterations(_steps(config, data))


def mask_looks(config: ExperimentConfig, data: Dataset) -> tuple[int, ...]:
    """The iterations of the dense training at which Early-Bird masks are made."""
    return looks(
        config.prune.early_bird,
        total=iterations(config, data),
        steps_per_epoch=_steps(config, data),
        trains_on=config.rewind.method == "drawn",
    )


def job_training(
    key: JobKey,
    mask: Mask,
    make_model: Callable[[], nn.Module],
    *,
    config: ExperimentConfig,
    data: Dataset,
) -> TrainingConfig:
    """How one job is trained: as the dense network, but for the kinds that say otherwise.

    - ``scratch-flops`` stretches the training until it makes as many multiplications as the dense
      one; see `lottery.core.multiplications` and `stretched`.
    - The other ``scratch`` kind has the dense network's training.
    - Kinds that learn a mask have the dense network's training, with an optimizer and a learning
      rate for scores.
    - Everything else at a pruned level is fine-tuned, if the experiment says so; see `tuning`.
    - The dense network's mask stays, whatever ``mask_updates`` says of the others.

    Args:
        key: the job.
        mask: what it trains.
        make_model: makes the network; it is run once where multiplications are counted.
        config: the experiment.
        data: its data.
    """
    if key.kind == "scratch-flops":
        uses = weight_uses(make_model(), data.input_shape)
        dense = multiplications({name: total for name, (_, total) in mask.layers.items()}, uses)
        sparse = multiplications({name: kept for name, (kept, _) in mask.layers.items()}, uses)
        factor = min(MOST_STRETCH, dense / sparse)
        return stretched(config.training, factor, _steps(config, data))
    learning = mask_learning(key)
    if learning is not None:
        return scores_training(config.training, config.masks.of(learning.method))
    if _tuned(key, config):
        return tuning(config.training, config.rewind.length, _steps(config, data))
    if not changes_mask(key, config.training):
        return replace(config.training, mask_updates=MaskUpdatesConfig())
    return config.training


def stretched(training: TrainingConfig, factor: float, steps_per_epoch: int) -> TrainingConfig:
    """The same training over a longer time.

    Its length, warm-up and drops of the learning rate are multiplied by ``factor``, each rounded to
    whole iterations; how often it is measured stays.

    Args:
        training: the training.
        factor: how much longer, above 0.
        steps_per_epoch: batches in one pass over the data.
    """

    def longer(length: Length) -> Length:
        return Length(amount=round(length.iterations(steps_per_epoch) * factor))

    rate = training.learning_rate
    drops = tuple(longer(drop) for drop in rate.drops)
    return replace(
        training,
        length=longer(training.length),
        learning_rate=replace(rate, warmup=longer(rate.warmup), drops=drops),
    )


def tuning(training: TrainingConfig, length: Length, steps_per_epoch: int) -> TrainingConfig:
    """A training that goes on after its end, at the learning rate of its last step.

    Iterations are counted on: fine-tuning starts where the training ended, and its epochs have
    numbers, and so orders of the examples, that the training did not use.

    Args:
        training: the training.
        length: how long to go on.
        steps_per_epoch: batches in one pass over the data.
    """
    total = training.length.iterations(steps_per_epoch)
    last = learning_rate(
        training.learning_rate, total - 1, total=total, steps_per_epoch=steps_per_epoch
    )
    return replace(
        training,
        length=Length(amount=total + length.iterations(steps_per_epoch)),
        learning_rate=LearningRateConfig(base=last),
    )


def planned_iterations(key: JobKey, config: ExperimentConfig, data: Dataset) -> int:
    """How many steps a job will take, at most where `planned_at_most` says so."""
    first, last = planned_span(key, config, data)
    return last - first


def planned_span(key: JobKey, config: ExperimentConfig, data: Dataset) -> tuple[int, int]:
    """The iterations that a job starts and ends at, where nothing but the plan is known of it."""
    over = key.level == 0 or _starts_over(key)
    first = 0 if over else rewind_iteration(config, data)
    return first, last_iteration_of(key, config, _steps(config, data))


def last_iteration_of(key: JobKey, config: ExperimentConfig, steps_per_epoch: int) -> int:
    """The iteration that a job ends at, at most where `planned_at_most` says so.

    Args:
        key: the job.
        config: the experiment.
        steps_per_epoch: batches in one pass over the data.
    """
    total = config.training.length.iterations(steps_per_epoch)
    if key.kind == "scratch-flops":
        return round(total * MOST_STRETCH)
    if _tuned(key, config):
        return total + config.rewind.length.iterations(steps_per_epoch)
    return total


def planned_at_most(key: JobKey, config: ExperimentConfig) -> bool:
    """Whether a job's steps depend on what is pruned, or on when its mask is drawn."""
    drawn = config.rewind.method == "drawn" and key.level > 0 and not _starts_over(key)
    return key.kind == "scratch-flops" or drawn


def _tuned(key: JobKey, config: ExperimentConfig) -> bool:
    return config.rewind.method == "fine-tune" and key.level > 0 and not _starts_over(key)


def _starts_over(key: JobKey) -> bool:
    """Whether a control is trained from the beginning, wherever its ticket starts."""
    return key.kind in ("scratch-epochs", "scratch-flops") or mask_learning(key) is not None


def rewinds_to_snapshot(key: JobKey, config: ExperimentConfig, data: Dataset) -> bool:
    """Whether a job keeps its state at the rewind iteration, for the tickets to go back to."""
    dense = key.branch == MAIN and key.level == 0
    return dense and config.rewind.method == "weights" and rewind_iteration(config, data) > 0


def last_iteration(config: ExperimentConfig, training_examples: int) -> int:
    """The iteration that the longest of all trainings ends at, at most."""
    steps = steps_per_epoch(training_examples, config.training.batch_size)
    total = config.training.length.iterations(steps)
    tuned = total + config.rewind.length.iterations(steps)
    return max(tuned, round(total * MOST_STRETCH)) if config.controls.scratch_flops else tuned


def _steps(config: ExperimentConfig, data: Dataset) -> int:
    return steps_per_epoch(len(data.train), config.training.batch_size)
