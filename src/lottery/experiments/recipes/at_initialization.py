"""ResNet-20 on CIFAR-10, pruned before any training.

SNIP (arXiv:1810.02340), GraSP (arXiv:2002.07376), SynFlow (arXiv:2006.05467), and magnitude and
random pruning to compare them with, as in "Missing the Mark" (arXiv:2009.08576).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from lottery.experiments.config import ExperimentConfig
from lottery.experiments.recipes.deep import resnet_20
from lottery.experiments.recipes.entry import RecipeEntry
from lottery.tickets import ControlsConfig, PruneConfig

_DENSITIES: Final = (0.5, 0.2, 0.1, 0.05, 0.02)


def snip() -> ExperimentConfig:
    """ResNet-20 on CIFAR-10 pruned at initialization by SNIP.

    Lee, Ajanthan & Torr (arXiv:1810.02340): the connections that the loss feels most, by the
    gradient on one batch of 128 training examples; each density is made from the dense network, by
    the same batch. As in the authors' code, batch norm uses its running statistics there, which
    before training are mean 0 and variance 1; ``--set prune.batch_statistics=true`` lets it use
    those of the batch. The network is trained as in ``resnet-20/cifar-10``, from Kaiming
    initialization.

    Departures: all layers compete, shortcuts and the output layer too, so that the recipes of
    pruning at initialization differ in their criterion alone. The examples are not augmented. 3
    replicates, with one reinitialization and one shuffled mask, which are the controls of Frankle
    et al. (arXiv:2009.08576).
    """
    return _at_initialization("snip", examples=128, batch_size=128)


def grasp() -> ExperimentConfig:
    """ResNet-20 on CIFAR-10 pruned at initialization by GraSP.

    Wang, Zhang & Grosse (arXiv:2002.07376): the weights that go are those without which the
    gradient flow is largest, by one batch of 100 training examples, ten for each class. Departures
    are those of ``resnet-20/cifar-10/snip``; also, the examples are drawn at random, where the
    authors' code takes equally many of each class and looks at one half after the other.
    """
    return _at_initialization("grasp", examples=100, batch_size=100)


def synflow() -> ExperimentConfig:
    """ResNet-20 on CIFAR-10 pruned at initialization by SynFlow.

    Tanaka, Kunin, Yamins & Ganguli (arXiv:2006.05467): 100 rounds from the dense network to each
    density, on an exponential schedule, by the flow of an input of ones through absolute weights,
    in double precision; no data. Departures are those of ``resnet-20/cifar-10/snip``.
    """
    return _at_initialization("synflow", rounds=100, examples=1, batch_size=1)


def magnitude() -> ExperimentConfig:
    """ResNet-20 on CIFAR-10 pruned at initialization by magnitude.

    A baseline of Frankle et al. (arXiv:2009.08576): the largest initial weights stay. All else is
    ``resnet-20/cifar-10/snip``.
    """
    return _at_initialization("magnitude")


def random() -> ExperimentConfig:
    """ResNet-20 on CIFAR-10 pruned at initialization at random.

    A baseline of Frankle et al. (arXiv:2009.08576): every weight is as likely to stay. All else is
    ``resnet-20/cifar-10/snip``, without controls, for they would be the same again.
    """
    return replace(_at_initialization("random"), controls=ControlsConfig(reinit=0))


def _at_initialization(criterion: str, **looks: Any) -> ExperimentConfig:
    return replace(
        resnet_20(),
        name=f"resnet-20/cifar-10/{criterion}",
        replicates=3,
        levels=len(_DENSITIES),
        initialization="kaiming-normal",
        prune=PruneConfig(
            criterion=criterion,
            by="rewound",
            scope="global",
            schedule="one-shot",
            densities=_DENSITIES,
            **looks,
        ),
        controls=ControlsConfig(reinit=1, random_mask=1),
    )


_SHOWS: Final = (
    "More accurate than random pruning at low densities, less than tickets found after training; "
    "a shuffled mask or new weights hardly hurt."
)

ENTRIES: Final[dict[str, RecipeEntry]] = {
    "resnet-20/cifar-10/snip": RecipeEntry(
        make=snip, source="arXiv:1810.02340, arXiv:2009.08576", shows=_SHOWS
    ),
    "resnet-20/cifar-10/grasp": RecipeEntry(
        make=grasp, source="arXiv:2002.07376, arXiv:2009.08576", shows=_SHOWS
    ),
    "resnet-20/cifar-10/synflow": RecipeEntry(
        make=synflow, source="arXiv:2006.05467, arXiv:2009.08576", shows=_SHOWS
    ),
    "resnet-20/cifar-10/magnitude": RecipeEntry(
        make=magnitude, source="arXiv:2009.08576", shows=_SHOWS
    ),
    "resnet-20/cifar-10/random": RecipeEntry(
        make=random,
        source="arXiv:2009.08576",
        shows="What every method of pruning has to beat, at each density.",
    ),
}
"""The recipes of this file."""
