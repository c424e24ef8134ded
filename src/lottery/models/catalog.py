"""Networks by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from torch import nn

from lottery.models.convnet import convnet
from lottery.models.inception import inception_v3
from lottery.models.mlp import lenet_300_100
from lottery.models.resnet import IMAGENET_DEPTHS, cifar_resnet, imagenet_resnet
from lottery.models.vgg import VGG_DEPTHS, vgg
from lottery.models.vit import vision_transformer
from lottery.models.wide_resnet import wide_resnet

ModelBuilder = Callable[[Sequence[int], int], nn.Module]
"""(shape of one input, number of classes) -> a network that maps a batch to logits."""

Task = tuple[tuple[int, ...], int]
"""Shape of one input and number of classes."""

MNIST: Final[Task] = ((1, 28, 28), 10)
CIFAR: Final[Task] = ((3, 32, 32), 10)
IMAGENET: Final[Task] = ((3, 224, 224), 1000)


@dataclass(frozen=True)
class ModelEntry:
    """A named network.

    Args:
        about: what it is, in one line.
        build: builds it.
        task: shape of one input and number of classes that it was made for; it can be built for
            others.
    """

    about: str
    build: ModelBuilder
    task: Task


def _conv(depth: int) -> ModelEntry:
    about = f"Conv-{depth}: {depth} convolutions and two hidden layers of 256 units"
    return ModelEntry(about, partial(convnet, depth=depth), CIFAR)


def _small_resnet(depth: int) -> ModelEntry:
    return ModelEntry(f"ResNet-{depth}, for CIFAR", partial(cifar_resnet, depth=depth), CIFAR)


def _large_resnet(depth: int) -> ModelEntry:
    build = partial(imagenet_resnet, depth=depth)
    return ModelEntry(f"ResNet-{depth}, for ImageNet", build, IMAGENET)


def _wide(depth: int, width: int) -> ModelEntry:
    about = f"Wide residual network of {depth} layers, {width} times as wide, for CIFAR"
    return ModelEntry(about, partial(wide_resnet, depth=depth, width=width), CIFAR)


def _vgg(depth: int) -> ModelEntry:
    about = f"VGG-{depth} with batch normalization and one fully connected layer, for CIFAR"
    return ModelEntry(about, partial(vgg, depth=depth), CIFAR)


def _vit(size: str, patch: int, task: Task) -> ModelEntry:
    about = f"Vision Transformer, {size}, patches of {patch}x{patch} pixels"
    return ModelEntry(about, partial(vision_transformer, size=size, patch=patch), task)


MODELS: Final[dict[str, ModelEntry]] = {
    "lenet-300-100": ModelEntry(
        "LeNet-300-100: two hidden layers of 300 and 100 units", lenet_300_100, MNIST
    ),
    **{f"conv-{depth}": _conv(depth) for depth in (2, 4, 6)},
    **{f"resnet-{depth}": _small_resnet(depth) for depth in (20, 32, 44, 56, 110)},
    **{f"wrn-{depth}-{width}": _wide(depth, width) for depth, width in ((16, 8), (28, 10))},
    **{f"vgg-{depth}": _vgg(depth) for depth in VGG_DEPTHS},
    "vit-mini-4": _vit("mini", 4, CIFAR),
    **{f"resnet-{depth}": _large_resnet(depth) for depth in IMAGENET_DEPTHS},
    "inception-v3": ModelEntry(
        "Inception-v3 without its auxiliary classifier", inception_v3, ((3, 299, 299), 1000)
    ),
    "vit-tiny-16": _vit("tiny", 16, IMAGENET),
    "vit-small-16": _vit("small", 16, IMAGENET),
}
"""Name in a config -> network; besides these there are the names of `MODEL_FAMILIES` and networks
of libraries or the user's own, see `build_model`."""
