"""ResNet-20 and VGG-19 on CIFAR-10, as in the Lottery Ticket Hypothesis.

Frankle & Carbin, arXiv:1803.03635, figures 2, 7 and 8.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lottery.data import AugmentationConfig, DataConfig
from lottery.experiments.config import ExperimentConfig
from lottery.experiments.recipes.entry import RecipeEntry
from lottery.tickets import ControlsConfig, PruneConfig
from lottery.training import LearningRateConfig, Length, OptimizerConfig, TrainingConfig

_SGD: Final = OptimizerConfig(name="sgd", momentum=0.9, weight_decay=1e-4)


def resnet_20() -> ExperimentConfig:
    """ResNet-20 on CIFAR-10 at a high learning rate, as in the Lottery Ticket Hypothesis, figure 8.

    Frankle & Carbin (arXiv:1803.03635), figure 2 and section 4, where the network is called
    ResNet-18: 30,000 iterations of SGD with batches of 128 at 0.1, a tenth of that from 20,000
    and a hundredth from 25,000 on; momentum 0.9, weight decay 1e-4, random flips and crops of
    images padded by 4 pixels; Gaussian Glorot initialization. 20% of all surviving convolutional
    weights are removed per level, wherever they are; shortcuts and the output layer are never
    pruned. 5,000 examples held out, measured every 100 iterations, 5 trials with 3
    reinitializations of each ticket. Weight decay is on every parameter, which the paper does not
    state. 12 levels keep about 8.0% of the weights.
    """
    return ExperimentConfig(
        name="resnet-20/cifar-10",
        replicates=5,
        levels=12,
        model="resnet-20",
        data=_augmented_cifar(),
        training=TrainingConfig(
            length=Length(amount=30_000),
            batch_size=128,
            evaluate_every=Length(amount=100),
            optimizer=_SGD,
            learning_rate=LearningRateConfig(
                schedule="step", base=0.1, drops=(Length(amount=20_000), Length(amount=25_000))
            ),
        ),
        prune=PruneConfig(
            scope="global", fraction=0.2, fractions={"*.shortcut.*": 0.0, "output.weight": 0.0}
        ),
        controls=ControlsConfig(reinit=3),
    )


def resnet_20_low() -> ExperimentConfig:
    """ResNet-20 on CIFAR-10 at a low learning rate, as in the Lottery Ticket Hypothesis, figure 8.

    ``resnet-20/cifar-10`` from a learning rate of 0.01, with the same drops (arXiv:1803.03635,
    section 4).
    """
    return _at_rate(resnet_20(), "low-rate", rate=0.01)


def resnet_20_warmup() -> ExperimentConfig:
    """ResNet-20 on CIFAR-10 with warm-up, as in the Lottery Ticket Hypothesis, figure 8.

    ``resnet-20/cifar-10`` with a learning rate that rises to 0.03 over 20,000 iterations
    (arXiv:1803.03635, section 4). The drops stay where they are, so that it falls as soon as it
    has got there.
    """
    return _at_rate(resnet_20(), "warmup", rate=0.03, warmup=20_000)


def vgg_19() -> ExperimentConfig:
    """VGG-19 on CIFAR-10 at a high learning rate, as in the Lottery Ticket Hypothesis, figure 7.

    As ``resnet-20/cifar-10`` (arXiv:1803.03635, figure 2 and section 4), but 112,000 iterations
    with batches of 64, and drops of the learning rate at epochs 80 and 120. 20% of all surviving
    convolutional weights are removed per level; the output layer is never pruned. 15 levels keep
    about 3.5% of the weights.
    """
    base = resnet_20()
    rate = LearningRateConfig(
        schedule="step",
        base=0.1,
        drops=(Length(amount=80, unit="epochs"), Length(amount=120, unit="epochs")),
    )
    return replace(
        base,
        name="vgg-19/cifar-10",
        levels=15,
        model="vgg-19",
        training=replace(
            base.training, length=Length(amount=112_000), batch_size=64, learning_rate=rate
        ),
        prune=replace(base.prune, fractions={"output.weight": 0.0}),
    )


def vgg_19_low() -> ExperimentConfig:
    """VGG-19 on CIFAR-10 at a low learning rate, as in the Lottery Ticket Hypothesis, figure 7.

    ``vgg-19/cifar-10`` from a learning rate of 0.01, with the same drops (arXiv:1803.03635,
    section 4).
    """
    return _at_rate(vgg_19(), "low-rate", rate=0.01)


def vgg_19_warmup() -> ExperimentConfig:
    """VGG-19 on CIFAR-10 with warm-up, as in the Lottery Ticket Hypothesis, figure 7.

    ``vgg-19/cifar-10`` with a learning rate that rises to 0.1 over 10,000 iterations
    (arXiv:1803.03635, section 4).
    """
    return _at_rate(vgg_19(), "warmup", rate=0.1, warmup=10_000)


def _augmented_cifar() -> DataConfig:
    return DataConfig(
        name="cifar-10",
        validation=5_000,
        augmentation=AugmentationConfig(flip=True, crop_padding=4),
    )


def _at_rate(
    config: ExperimentConfig, variant: str, *, rate: float, warmup: int = 0
) -> ExperimentConfig:
    changed = replace(config.training.learning_rate, base=rate, warmup=Length(amount=warmup))
    return replace(
        config,
        name=f"{config.name}/{variant}",
        training=replace(config.training, learning_rate=changed),
    )


_HIGH: Final = (
    "At this learning rate tickets rewound to the initialization are no winning tickets: they do "
    "no better than reinitialized ones."
)
_LOW: Final = (
    "Tickets rewound to the initialization stay close to the dense network and beat reinitialized "
    "ones, but the dense network is worse than at the high rate."
)
_WARMUP: Final = (
    "Warm-up lets tickets rewound to the initialization win at a higher learning rate than "
    "without it."
)

ENTRIES: Final[dict[str, RecipeEntry]] = {
    "resnet-20/cifar-10": RecipeEntry(
        make=resnet_20, source="arXiv:1803.03635, figures 2 and 8", shows=_HIGH
    ),
    "resnet-20/cifar-10/low-rate": RecipeEntry(
        make=resnet_20_low, source="arXiv:1803.03635, figure 8", shows=_LOW
    ),
    "resnet-20/cifar-10/warmup": RecipeEntry(
        make=resnet_20_warmup, source="arXiv:1803.03635, figure 8", shows=_WARMUP
    ),
    "vgg-19/cifar-10": RecipeEntry(
        make=vgg_19, source="arXiv:1803.03635, figures 2 and 7", shows=_HIGH
    ),
    "vgg-19/cifar-10/low-rate": RecipeEntry(
        make=vgg_19_low, source="arXiv:1803.03635, figure 7", shows=_LOW
    ),
    "vgg-19/cifar-10/warmup": RecipeEntry(
        make=vgg_19_warmup, source="arXiv:1803.03635, figure 7", shows=_WARMUP
    ),
}
"""The recipes of this file."""
