"""ResNet-50 and Inception-v3 on a folder of ImageNet's images, pruned at once.

Frankle, Dziugaite, Roy & Carbin, arXiv:1903.01611.
"""

from __future__ import annotations

from typing import Final

from lottery.data import AugmentationConfig, DataConfig
from lottery.experiments.config import ExperimentConfig
from lottery.experiments.recipes.entry import RecipeEntry
from lottery.tickets import ControlsConfig, PruneConfig, RewindConfig
from lottery.training import LearningRateConfig, Length, OptimizerConfig, TrainingConfig

_FALLS: Final = 18
"""In how many steps the learning rate of Inception-v3 falls."""


def resnet_50_imagenet() -> ExperimentConfig:
    """ResNet-50 on ImageNet, pruned at once and rewound to epoch 4.

    Frankle et al. (arXiv:1903.01611): 90 epochs with batches of 1,024; a learning rate that rises
    to 0.4 over 5 epochs, and is divided by 10 at epochs 30, 60 and 80; the network pruned once to
    each density, survivors as they were after epoch 4. Flips and resized crops of 224 pixels.

    The images are those of ``folder:imagenet``, a folder with ``train/CLASS/`` and ``val/CLASS/``
    below where the command is run; another one by ``--set data.name=folder:PATH``, with
    ``data.image_size`` and ``data.augmentation.resized_crop`` for other sizes. They are decoded
    once, to squares of 256 pixels, which takes about 260 GB of disk for all of ImageNet.

    Departures: 10,000 training images are held out, as early stopping needs some; random crops
    are of the square in the middle of an image; SGD with momentum 0.9 and weight decay 1e-4 on
    every parameter, and Kaiming initialization, are what is usual with such a schedule. All
    convolutions compete with one another but for shortcuts, and the output layer is never pruned,
    as in the recipes for CIFAR-10. Measured once per epoch, 3 replicates, one reinitialization.
    """
    rate = LearningRateConfig(
        schedule="step",
        base=0.4,
        warmup=_epochs(5),
        drops=(_epochs(30), _epochs(60), _epochs(80)),
    )
    return _one_shot(
        "resnet-50",
        data=_images(stored=256, seen=224),
        training=_training(_epochs(90), rate),
        exempt=("*.shortcut.*", "output.weight"),
        rewind=_epochs(4),
    )


def inception_v3_imagenet() -> ExperimentConfig:
    """Inception-v3 on ImageNet, pruned at once and rewound to epoch 6.

    Frankle et al. (arXiv:1903.01611): 171 epochs at a learning rate that falls from 0.03 to 0.005;
    the network pruned once to each density, survivors as they were after epoch 6. Crops of 299
    pixels; the rest, images and departures are as in ``resnet-50/imagenet``, but images are stored
    as squares of 320 pixels, about 410 GB for all of ImageNet.

    Further departures: the learning rate falls by equal factors every 9 epochs, in 18 steps, and
    the batches are of 1,024; the network has no auxiliary classifier. All convolutions compete
    with one another, and the output layer is never pruned.
    """
    drops = tuple(_epochs(9 * number) for number in range(1, _FALLS + 1))
    rate = LearningRateConfig(
        schedule="step", base=0.03, drops=drops, factor=(0.005 / 0.03) ** (1 / _FALLS)
    )
    return _one_shot(
        "inception-v3",
        data=_images(stored=320, seen=299),
        training=_training(_epochs(171), rate),
        exempt=("output.weight",),
        rewind=_epochs(6),
    )


def _epochs(amount: int) -> Length:
    return Length(amount=amount, unit="epochs")


def _images(*, stored: int, seen: int) -> DataConfig:
    return DataConfig(
        name="folder:imagenet",
        validation=10_000,
        image_size=stored,
        augmentation=AugmentationConfig(flip=True, resized_crop=seen),
    )


def _training(length: Length, rate: LearningRateConfig) -> TrainingConfig:
    return TrainingConfig(
        length=length,
        batch_size=1024,
        evaluate_every=_epochs(1),
        optimizer=OptimizerConfig(name="sgd", momentum=0.9, weight_decay=1e-4),
        learning_rate=rate,
    )


def _one_shot(
    model: str,
    *,
    data: DataConfig,
    training: TrainingConfig,
    exempt: tuple[str, ...],
    rewind: Length,
) -> ExperimentConfig:
    densities = (0.4, 0.3, 0.2)
    return ExperimentConfig(
        name=f"{model}/imagenet",
        replicates=3,
        levels=len(densities),
        model=model,
        initialization="kaiming-normal",
        data=data,
        training=training,
        prune=PruneConfig(
            scope="global",
            schedule="one-shot",
            densities=densities,
            fractions=dict.fromkeys(exempt, 0.0),
        ),
        rewind=RewindConfig(to=rewind),
        controls=ControlsConfig(reinit=1),
    )


_SHOWS: Final = (
    "With well over half of the weights pruned at once, tickets rewound to an early epoch match "
    "the dense network; reinitialized ones do not."
)

ENTRIES: Final[dict[str, RecipeEntry]] = {
    "resnet-50/imagenet": RecipeEntry(
        make=resnet_50_imagenet, source="arXiv:1903.01611", shows=_SHOWS
    ),
    "inception-v3/imagenet": RecipeEntry(
        make=inception_v3_imagenet, source="arXiv:1903.01611", shows=_SHOWS
    ),
}
"""The recipes of this file."""
