"""Conv-2, Conv-4 and Conv-6 on CIFAR-10, as in the Lottery Ticket Hypothesis.

Frankle & Carbin, arXiv:1803.03635, figures 2 and 5.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lottery.data import DataConfig
from lottery.experiments.config import ExperimentConfig
from lottery.experiments.recipes.entry import RecipeEntry
from lottery.tickets import ControlsConfig, PruneConfig
from lottery.training import LearningRateConfig, Length, TrainingConfig

_LEVELS: Final = 15


def conv_2() -> ExperimentConfig:
    """Conv-2 on CIFAR-10, as in the Lottery Ticket Hypothesis, figure 5.

    Frankle & Carbin (arXiv:1803.03635), figure 2 and section 3: 20,000 iterations of Adam at 2e-4
    with batches of 60, Gaussian Glorot initialization, 10% of the surviving weights of each
    convolution, 20% of each fully connected layer and half that of the output layer removed per
    level, 5,000 examples held out, measured every 100 iterations, 5 trials with 3
    reinitializations of each ticket. No augmentation. The paper does not state an input
    normalization; each channel's mean and deviation over the training images are used here. 15
    levels keep about 3.7% of the weights.
    """
    return _conv("conv-2", iterations=20_000, rate=2e-4, convolutions=0.1)


def conv_4() -> ExperimentConfig:
    """Conv-4 on CIFAR-10, as in the Lottery Ticket Hypothesis, figure 5.

    ``conv-2/cifar-10`` with another network, 25,000 iterations and a learning rate of 3e-4
    (arXiv:1803.03635, figure 2).
    """
    return _conv("conv-4", iterations=25_000, rate=3e-4, convolutions=0.1)


def conv_6() -> ExperimentConfig:
    """Conv-6 on CIFAR-10, as in the Lottery Ticket Hypothesis, figure 5.

    ``conv-2/cifar-10`` with another network, 30,000 iterations, a learning rate of 3e-4 and 15% of
    each convolution removed per level (arXiv:1803.03635, figure 2).
    """
    return _conv("conv-6", iterations=30_000, rate=3e-4, convolutions=0.15)


def conv_2_dropout() -> ExperimentConfig:
    """Conv-2 with dropout on CIFAR-10, as in the Lottery Ticket Hypothesis.

    ``conv-2/cifar-10``, where a training step leaves out half of the units of both hidden fully
    connected layers (arXiv:1803.03635, section 3). Nothing else is changed.
    """
    return _with_dropout(conv_2())


def conv_4_dropout() -> ExperimentConfig:
    """Conv-4 with dropout on CIFAR-10, as in the Lottery Ticket Hypothesis.

    ``conv-4/cifar-10`` with dropout as in ``conv-2-dropout0.5/cifar-10``.
    """
    return _with_dropout(conv_4())


def conv_6_dropout() -> ExperimentConfig:
    """Conv-6 with dropout on CIFAR-10, as in the Lottery Ticket Hypothesis.

    ``conv-6/cifar-10`` with dropout as in ``conv-2-dropout0.5/cifar-10``.
    """
    return _with_dropout(conv_6())


def _conv(model: str, *, iterations: int, rate: float, convolutions: float) -> ExperimentConfig:
    return ExperimentConfig(
        name=f"{model}/cifar-10",
        replicates=5,
        levels=_LEVELS,
        model=model,
        data=DataConfig(name="cifar-10", validation=5_000),
        training=TrainingConfig(
            length=Length(amount=iterations),
            batch_size=60,
            evaluate_every=Length(amount=100),
            learning_rate=LearningRateConfig(base=rate),
        ),
        prune=PruneConfig(
            fraction=0.2, fractions={"conv*.weight": convolutions, "output.weight": 0.1}
        ),
        controls=ControlsConfig(reinit=3),
    )


def _with_dropout(config: ExperimentConfig) -> ExperimentConfig:
    model = f"{config.model}-dropout0.5"
    return replace(config, name=f"{model}/cifar-10", model=model)


_SOURCE: Final = "arXiv:1803.03635, figures 2 and 5"
_SHOWS: Final = (
    "Tickets stop sooner than the dense network and are more accurate, over a wide range of "
    "densities; reinitialized ones fall behind as they get sparser."
)
_DROPOUT_SOURCE: Final = "arXiv:1803.03635, section 3"
_DROPOUT_SHOWS: Final = (
    "Dropout raises the accuracy of the dense network, and that of tickets beyond it; the two "
    "improvements add up."
)

ENTRIES: Final[dict[str, RecipeEntry]] = {
    "conv-2/cifar-10": RecipeEntry(make=conv_2, source=_SOURCE, shows=_SHOWS),
    "conv-4/cifar-10": RecipeEntry(make=conv_4, source=_SOURCE, shows=_SHOWS),
    "conv-6/cifar-10": RecipeEntry(make=conv_6, source=_SOURCE, shows=_SHOWS),
    "conv-2-dropout0.5/cifar-10": RecipeEntry(
        make=conv_2_dropout, source=_DROPOUT_SOURCE, shows=_DROPOUT_SHOWS
    ),
    "conv-4-dropout0.5/cifar-10": RecipeEntry(
        make=conv_4_dropout, source=_DROPOUT_SOURCE, shows=_DROPOUT_SHOWS
    ),
    "conv-6-dropout0.5/cifar-10": RecipeEntry(
        make=conv_6_dropout, source=_DROPOUT_SOURCE, shows=_DROPOUT_SHOWS
    ),
}
"""The recipes of this file."""
