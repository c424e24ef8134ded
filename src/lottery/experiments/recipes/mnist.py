"""Fully connected networks on small images: the demo, and the Lottery Ticket Hypothesis on MNIST.

Frankle & Carbin, arXiv:1803.03635.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lottery.data import DataConfig
from lottery.experiments.config import ExperimentConfig, VerdictConfig
from lottery.experiments.recipes.entry import RecipeEntry
from lottery.tickets import ControlsConfig, PruneConfig
from lottery.training import LearningRateConfig, Length, TrainingConfig


def demo() -> ExperimentConfig:
    """A winning ticket in LeNet-300-100 on 5,000 bundled MNIST digits, in a minute or two.

    The settings of ``lenet-300-100/mnist``, shortened to fit a small dataset: 600 iterations
    instead of 50,000, and half of the weights removed per level (three of the paper's levels at
    once) down to 6% density. Few levels and many replicates, so that the tests can tell something.
    The margin of 1 percentage point is about the standard error of the difference between two
    accuracies near 94%, each measured on 1,000 examples.
    """
    return ExperimentConfig(
        name="demo",
        replicates=8,
        levels=4,
        model="lenet-300-100",
        data=DataConfig(name="mnist-5k", validation=500),
        training=TrainingConfig(
            length=Length(amount=600),
            batch_size=60,
            evaluate_every=Length(amount=20),
            learning_rate=LearningRateConfig(base=1.2e-3),
        ),
        prune=PruneConfig(fraction=0.5, fractions={"output.weight": 0.25}),
        controls=ControlsConfig(reinit=1, random_mask=1),
        verdict=VerdictConfig(margin=0.01),
    )


def lenet_300_100_mnist() -> ExperimentConfig:
    """LeNet-300-100 on MNIST, as in the Lottery Ticket Hypothesis, figures 1 to 4.

    Frankle & Carbin (arXiv:1803.03635), figure 2 and appendix G: 50,000 iterations of Adam at
    1.2e-3 with batches of 60, Gaussian Glorot initialization, 20% of the surviving weights of each
    layer removed per level and half that in the output layer, 5,000 examples held out, measured
    every 100 iterations, 5 trials with 3 reinitializations of each ticket. The paper does not
    state an input normalization; mean 0.1307 and deviation 0.3081 are used here.
    """
    return ExperimentConfig(
        name="lenet-300-100/mnist",
        replicates=5,
        levels=12,
        model="lenet-300-100",
        data=DataConfig(name="mnist", validation=5_000),
        training=TrainingConfig(
            length=Length(amount=50_000),
            batch_size=60,
            evaluate_every=Length(amount=100),
            learning_rate=LearningRateConfig(base=1.2e-3),
        ),
        prune=PruneConfig(fraction=0.2, fractions={"output.weight": 0.1}),
        controls=ControlsConfig(reinit=3),
    )


def lenet_300_100_fashion_mnist() -> ExperimentConfig:
    """The same experiment on Fashion-MNIST, a harder drop-in for MNIST.

    Not in the paper: the settings of ``lenet-300-100/mnist`` with other images (Xiao et al. 2017,
    arXiv:1708.07747).
    """
    mnist = lenet_300_100_mnist()
    return replace(
        mnist,
        name="lenet-300-100/fashion-mnist",
        data=replace(mnist.data, name="fashion-mnist"),
    )


ENTRIES: Final[dict[str, RecipeEntry]] = {
    "demo": RecipeEntry(
        make=demo,
        source="arXiv:1803.03635, shortened",
        shows="A quarter of the weights learns as well as all of them, and sooner; with new random "
        "weights, or with other weights, it does not.",
    ),
    "lenet-300-100/mnist": RecipeEntry(
        make=lenet_300_100_mnist,
        source="arXiv:1803.03635, figures 1 to 4",
        shows="Down to a few percent of the weights tickets are no less accurate and stop sooner; "
        "reinitialized ones are neither.",
    ),
    "lenet-300-100/fashion-mnist": RecipeEntry(
        make=lenet_300_100_fashion_mnist,
        source="arXiv:1803.03635 on other images",
        shows="Whether what holds on MNIST holds on a harder task of the same form.",
    ),
}
"""The recipes of this file."""
