"""Networks whose names contain numbers: one pattern and one parser for each family."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from torch import nn

from lottery.errors import UsageError
from lottery.models.catalog import CIFAR, MNIST, ModelBuilder, Task
from lottery.models.convnet import convnet
from lottery.models.mlp import Activation, mlp
from lottery.models.resnet import IMAGENET_DEPTHS, cifar_resnet
from lottery.models.vit import VIT_SIZES, vision_transformer
from lottery.models.wide_resnet import wide_resnet

# A network has one name: numbers without leading zeros, a share of dropout without trailing ones.
_SHARE: Final = r"0\.\d{0,8}[1-9]"


@dataclass(frozen=True, kw_only=True)
class ModelFamily:
    """Networks that differ in the numbers in their names.

    Args:
        form: the form of their names, with capital letters in place of the numbers.
        about: what they are and what the letters stand for, in one line.
        example: one of their names.
        task: shape of one input and number of classes that they were made for.
        pattern: regular expression that matches their names; each network has exactly one name.
        parse: a match of the pattern -> what builds the network. Raises a `UsageError` if there
            is no network with these numbers.
    """

    form: str
    about: str
    example: str
    task: Task
    pattern: re.Pattern[str]
    parse: Callable[[re.Match[str]], ModelBuilder]


def _mlp(matched: re.Match[str]) -> ModelBuilder:
    widths, tanh, dropout = matched.groups()
    hidden = [int(width) for width in widths.split("-")[1:]]

    def build(input_shape: Sequence[int], classes: int) -> nn.Module:
        activation: Activation = "tanh" if tanh else "relu"
        share = float(dropout or 0)
        return mlp(input_shape, hidden, classes, activation=activation, dropout=share)

    return build


def _conv(matched: re.Match[str]) -> ModelBuilder:
    return partial(convnet, depth=int(matched[1]), dropout=float(matched[2]))


def _resnet(matched: re.Match[str]) -> ModelBuilder:
    depth, width = int(matched[1]), int(matched[2] or 1)
    if depth in IMAGENET_DEPTHS:
        raise UsageError(
            f"model '{matched[0]}': resnet-{depth} is the network for ImageNet, which has no "
            "-widthK; take one for CIFAR, such as resnet-20-width2"
        )
    if depth % 6 != 2 or not 8 <= depth <= 1202:
        # 50 and 152 are also 6n + 2, but those names are taken.
        possible = [d for d in range(8, 1203, 6) if d not in IMAGENET_DEPTHS]
        nearest = min(possible, key=lambda other: abs(other - depth))
        taken = ", ".join(map(str, IMAGENET_DEPTHS))
        raise UsageError(
            f"model '{matched[0]}': a ResNet's depth is 6n + 2 from 8 to 1202 for CIFAR, such as "
            f"resnet-{nearest}, or {taken} for ImageNet"
        )
    return partial(cifar_resnet, depth=depth, width=width)


def _wide(matched: re.Match[str]) -> ModelBuilder:
    depth, width = int(matched[1]), int(matched[2])
    if depth % 6 != 4 or not 10 <= depth <= 1204:
        nearest = min(range(10, 1205, 6), key=lambda other: abs(other - depth))
        raise UsageError(
            f"model '{matched[0]}': a wide residual network's depth is 6n + 4 from 10 to 1204, "
            f"such as wrn-{nearest}-{width}"
        )
    return partial(wide_resnet, depth=depth, width=width)


def _vit(matched: re.Match[str]) -> ModelBuilder:
    return partial(vision_transformer, size=matched[1], patch=int(matched[2]))


_MLP: Final = re.compile(
    rf"mlp((?:-[1-9]\d{{0,5}}){{1,16}})(-tanh)?(?:-dropout({_SHARE}))?", re.ASCII
)


def with_widths(name: str, widths: Sequence[int]) -> str | None:
    """A fully connected network's name with other hidden widths; None for any other network.

    >>> with_widths("mlp-300-100-tanh", [20, 10]), with_widths("lenet-300-100", [9, 5])
    ('mlp-20-10-tanh', 'mlp-9-5')
    """
    matched = _MLP.fullmatch("mlp-300-100" if name == "lenet-300-100" else name)
    if matched is None:
        return None
    _, tanh, dropout = matched.groups()
    share = f"-dropout{dropout}" if dropout else ""
    return f"mlp-{'-'.join(map(str, widths))}{tanh or ''}{share}"


MODEL_FAMILIES: Final[tuple[ModelFamily, ...]] = (
    ModelFamily(
        form="mlp-A-B-C",
        about="Fully connected, any hidden widths, such as mlp-300-100; -tanh and -dropoutP may "
        "follow in this order, P between 0 and 1 without zeros at its end: "
        "mlp-300-100-tanh-dropout0.5",
        example="mlp-100",
        task=MNIST,
        pattern=_MLP,
        parse=_mlp,
    ),
    ModelFamily(
        form="conv-N-dropoutP",
        about="conv-2, conv-4 or conv-6 with dropout of a share P after both hidden fully "
        "connected layers, P between 0 and 1 without zeros at its end",
        example="conv-2-dropout0.5",
        task=CIFAR,
        pattern=re.compile(rf"conv-([246])-dropout({_SHARE})", re.ASCII),
        parse=_conv,
    ),
    ModelFamily(
        form="resnet-D-widthK",
        about="ResNet for CIFAR of any depth D = 6n + 2 from 8 to 1202 but 50 and 152, which are "
        "ImageNet's; with -widthK, K from 2 to 99, K times as wide",
        example="resnet-20-width2",
        task=CIFAR,
        pattern=re.compile(r"resnet-([1-9]\d{0,3})(?:-width([2-9]|[1-9]\d))?", re.ASCII),
        parse=_resnet,
    ),
    ModelFamily(
        form="wrn-D-K",
        about="Wide residual network of depth D = 6n + 4 from 10 to 1204, K times as wide, K from "
        "1 to 99",
        example="wrn-40-4",
        task=CIFAR,
        pattern=re.compile(r"wrn-([1-9]\d{0,3})-([1-9]\d?)", re.ASCII),
        parse=_wide,
    ),
    ModelFamily(
        form="vit-SIZE-P",
        about=f"Vision Transformer of SIZE {', '.join(VIT_SIZES)} with patches of P x P pixels, P "
        "from 1 to 99",
        example="vit-tiny-4",
        task=CIFAR,
        pattern=re.compile(rf"vit-({'|'.join(VIT_SIZES)})-([1-9]\d?)", re.ASCII),
        parse=_vit,
    ),
)
"""Every family of networks whose names have numbers in them."""
