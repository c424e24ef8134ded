"""What a way of training makes of the dense network's training: its length and learning rate."""

from __future__ import annotations

from dataclasses import replace

from lottery.training import LearningRateConfig, Length, TrainingConfig, learning_rate

MOST_STRETCH = 2.0
"""How much longer a training is made at most for the sake of the dense one's multiplications, as in
arXiv:1810.05270, section 3: where a network saves more than half of them, it is twice as long."""


def stretch_training(
    training: TrainingConfig, factor: float, steps_per_epoch: int
) -> TrainingConfig:
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


def fine_tuning(training: TrainingConfig, length: Length, steps_per_epoch: int) -> TrainingConfig:
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
