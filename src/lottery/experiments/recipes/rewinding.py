"""Rewinding to an early iteration, learning-rate rewinding and fine-tuning, on CIFAR-10.

Frankle, Dziugaite, Roy & Carbin, arXiv:1903.01611; Renda, Frankle & Carbin, arXiv:2003.02389.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lottery.experiments.config import ExperimentConfig
from lottery.experiments.recipes.deep import resnet_20, vgg_19
from lottery.experiments.recipes.entry import RecipeEntry
from lottery.tickets import ControlsConfig, RewindConfig
from lottery.training import Length


def resnet_20_rewind_500() -> ExperimentConfig:
    """ResNet-20 on CIFAR-10 with tickets rewound to iteration 500.

    Frankle et al. (arXiv:1903.01611): ``resnet-20/cifar-10`` with its high learning rate and
    without warm-up, but survivors go back to what they were after 500 iterations. Controls are
    one reinitialization and one random mask of each ticket.
    """
    return _rewound(resnet_20(), 500)


def vgg_19_rewind_100() -> ExperimentConfig:
    """VGG-19 on CIFAR-10 with tickets rewound to iteration 100.

    Frankle et al. (arXiv:1903.01611): ``vgg-19/cifar-10`` with its high learning rate and without
    warm-up, but survivors go back to what they were after 100 iterations. Controls are one
    reinitialization and one random mask of each ticket.
    """
    return _rewound(vgg_19(), 100)


def resnet_20_rewind_learning_rate() -> ExperimentConfig:
    """ResNet-20 on CIFAR-10 with learning-rate rewinding, by Renda et al.

    Renda, Frankle & Carbin (arXiv:2003.02389): weights stay as they were trained, and the whole
    training, with its learning rates, is run again after each pruning. Departs from the paper in
    the training and in what is pruned, which are those of ``resnet-20/cifar-10``, so that it can
    be compared with that and with ``resnet-20/cifar-10/rewind-500``. No controls.
    """
    rewind = RewindConfig(method="learning-rate")
    return _retrained(resnet_20(), "rewind-learning-rate", rewind)


def resnet_20_fine_tune() -> ExperimentConfig:
    """ResNet-20 on CIFAR-10 with fine-tuning, the baseline of Renda et al.

    Renda, Frankle & Carbin (arXiv:2003.02389): weights stay as they were trained, and are trained
    on at the last learning rate, here 0.001, for as long as the training took. Departs from the
    paper as ``resnet-20/cifar-10/rewind-learning-rate`` does, with which it is to be compared. No
    controls.
    """
    config = resnet_20()
    rewind = RewindConfig(method="fine-tune", length=config.training.length)
    return _retrained(config, "fine-tune", rewind)


def _rewound(config: ExperimentConfig, iteration: int) -> ExperimentConfig:
    return replace(
        config,
        name=f"{config.name}/rewind-{iteration}",
        rewind=RewindConfig(to=Length(amount=iteration)),
        controls=ControlsConfig(reinit=1, random_mask=1),
    )


def _retrained(config: ExperimentConfig, variant: str, rewind: RewindConfig) -> ExperimentConfig:
    return replace(
        config,
        name=f"{config.name}/{variant}",
        rewind=rewind,
        controls=ControlsConfig(reinit=0),
    )


_REWOUND: Final = (
    "Rewound to an early iteration instead of the initialization, tickets match the dense network "
    "at a high learning rate; reinitialized ones and random masks do not."
)

ENTRIES: Final[dict[str, RecipeEntry]] = {
    "resnet-20/cifar-10/rewind-500": RecipeEntry(
        make=resnet_20_rewind_500, source="arXiv:1903.01611", shows=_REWOUND
    ),
    "vgg-19/cifar-10/rewind-100": RecipeEntry(
        make=vgg_19_rewind_100, source="arXiv:1903.01611", shows=_REWOUND
    ),
    "resnet-20/cifar-10/rewind-learning-rate": RecipeEntry(
        make=resnet_20_rewind_learning_rate,
        source="arXiv:2003.02389",
        shows="At every density it is as accurate as rewinding weights, or more so.",
    ),
    "resnet-20/cifar-10/fine-tune": RecipeEntry(
        make=resnet_20_fine_tune,
        source="arXiv:2003.02389",
        shows="It is less accurate than either form of rewinding.",
    ),
}
"""The recipes of this file."""
