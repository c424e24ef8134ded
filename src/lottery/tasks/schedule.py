"""Training configs derived from the dense network's: longer ones, and fine-tuning."""

from __future__ import annotations

from dataclasses import replace

from lottery.training import LearningRateConfig, Length, TrainingConfig, learning_rate

MOST_STRETCH = 2.0
"""How much longer a training is made at most for the sake of the dense one's multiplications, as in
arXiv:1810.05270, section 3: where a network saves more than half of them, it is twice as long."""


def stretch_training(
    training: TrainingConfig, factor: float, steps_per_epoch: int
) -> TrainingConfig:
    """The same training, made longer by a factor.

    Its length, warm-up and drops of the learning rate are multiplied by ``factor``, each rounded to
    whole iterations; the number of iterations between evaluations stays.

    Args:
        training: the training to make longer.
        factor: above 0; 2 doubles the length.
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


def fine_tuning(training: TrainingConfig, length: Length, steps_per_epoch: int) -> TrainingConfig:
    """Fine-tuning: a training that goes on after its end, at the learning rate of its last step.

    The count of iterations goes on: fine-tuning starts at the iteration where training ended, and
    its epochs have new numbers, and so new orders of the examples.

    Args:
        training: the training that ended.
        length: how long to fine-tune.
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
