"""ResNet-20 on CIFAR-10 with masks that change while the network trains.

RigL (arXiv:1911.11134) and, in the same training, SET (arXiv:1707.04780).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lottery.experiments.config import ExperimentConfig
from lottery.experiments.recipes.deep import resnet_20
from lottery.experiments.recipes.entry import RecipeEntry
from lottery.tickets import ControlsConfig, PruneConfig
from lottery.training import (
    LearningRateConfig,
    Length,
    MaskUpdatesConfig,
    OptimizerConfig,
    TrainingConfig,
)

_DENSITIES: Final = (0.5, 0.2, 0.1, 0.05)
_ITERATIONS: Final = 97_656


def rigl() -> ExperimentConfig:
    """ResNet-20 on CIFAR-10 trained from a random mask by RigL.

    Evci, Gale, Menick, Castro & Elsen (arXiv:1911.11134), section 4.3: 97,656 iterations of SGD
    with batches of 128 at 0.1, divided by 5 every 30,000; momentum 0.9, weight decay 5e-4; random
    masks with the densities of Erdos-Renyi-Kernel, updated every 100 iterations until 75,000, at
    first 30% of a layer. From the authors' code come Nesterov's form of momentum and a first
    convolution that stays dense.

    Departs from the paper in the network, which is WideResNet-22-2 there: this one is to be
    compared with the other recipes for ResNet-20. The densities are of all weights, the first
    convolution included. Kaiming initialization; 5,000 examples held out; measured once per epoch;
    3 replicates. No controls: the mask of a ticket is random as it is.
    """
    return _from_random_masks(
        "rigl",
        MaskUpdatesConfig(method="rigl", every=Length(amount=100), until=0.768, fraction=0.3),
    )


def set_masks() -> ExperimentConfig:
    """ResNet-20 on CIFAR-10 trained from a random mask by SET.

    Mocanu et al. (arXiv:1707.04780): after each epoch that is followed by more training, every
    layer drops 30% of its weights, the smallest, and grows as many at random. At the end of the
    training the mask stays, as in the authors' code, since what grew there would never be trained;
    the paper drops weights there and grows none, which would leave fewer than the density says.
    Everything else is ``resnet-20/cifar-10/rigl``, with which it is to be compared.

    Departures: the paper trains fully connected and small convolutional networks of its own on
    CIFAR-10, at a constant learning rate. It drops that share of the positive and of the negative
    weights, here it is of all by magnitude; new weights start at zero; densities are listed instead
    of following from the number of connections per neuron.
    """
    return _from_random_masks(
        "set",
        MaskUpdatesConfig(
            method="set", every=Length(amount=1, unit="epochs"), until=1.0, fraction=0.3
        ),
    )


def _from_random_masks(variant: str, updates: MaskUpdatesConfig) -> ExperimentConfig:
    base = resnet_20()
    return replace(
        base,
        name=f"{base.name}/{variant}",
        replicates=3,
        levels=len(_DENSITIES),
        initialization="kaiming-normal",
        training=TrainingConfig(
            length=Length(amount=_ITERATIONS),
            batch_size=128,
            evaluate_every=Length(amount=1, unit="epochs"),
            optimizer=OptimizerConfig(name="sgd", momentum=0.9, nesterov=True, weight_decay=5e-4),
            learning_rate=LearningRateConfig(
                schedule="step",
                base=0.1,
                drops=tuple(Length(amount=at) for at in (30_000, 60_000, 90_000)),
                factor=0.2,
            ),
            mask_updates=updates,
        ),
        prune=PruneConfig(
            criterion="random",
            by="rewound",
            scope="erk",
            schedule="one-shot",
            densities=_DENSITIES,
            fractions={"conv1.weight": 0.0},
        ),
        controls=ControlsConfig(reinit=0),
    )


ENTRIES: Final[dict[str, RecipeEntry]] = {
    "resnet-20/cifar-10/rigl": RecipeEntry(
        make=rigl,
        source="arXiv:1911.11134, section 4.3",
        shows="Half of the weights are as accurate as all of them, and sparser networks stay "
        "close, although they are never trained dense.",
    ),
    "resnet-20/cifar-10/set": RecipeEntry(
        make=set_masks,
        source="arXiv:1707.04780, in the training of arXiv:1911.11134",
        shows="How far a mask gets that grows at random; less far than by RigL.",
    ),
}
"""The recipes of this file."""
