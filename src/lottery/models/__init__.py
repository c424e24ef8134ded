"""Networks by name, and how their weights are initialized."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from lottery.errors import UsageError, unknown_name
from lottery.models.catalog import MODELS, ModelBuilder, ModelEntry, Task
from lottery.models.convnet import convnet
from lottery.models.families import MODEL_FAMILIES, ModelFamily
from lottery.models.inception import inception_v3
from lottery.models.initialize import (
    INITIALIZATIONS,
    Initialization,
    glorot_normal_,
    kaiming_normal_,
    truncated_normal_,
)
from lottery.models.mlp import mlp
from lottery.models.outside import OUTSIDE_FORMS, build_outside, check_outside, is_outside
from lottery.models.resnet import cifar_resnet, imagenet_resnet
from lottery.models.vgg import vgg
from lottery.models.vit import vision_transformer
from lottery.models.wide_resnet import wide_resnet

__all__ = [
    "INITIALIZATIONS",
    "MODELS",
    "MODEL_FAMILIES",
    "OUTSIDE_FORMS",
    "Initialization",
    "ModelBuilder",
    "ModelEntry",
    "ModelFamily",
    "Task",
    "build_model",
    "check_model",
    "cifar_resnet",
    "convnet",
    "glorot_normal_",
    "imagenet_resnet",
    "inception_v3",
    "is_outside",
    "kaiming_normal_",
    "mlp",
    "truncated_normal_",
    "vgg",
    "vision_transformer",
    "wide_resnet",
]


def check_model(name: str) -> str | None:
    """What is wrong with a model's name, or None.

    Nothing is imported: whether a network from outside can be built is known only by building it.
    """
    try:
        _builder(name)
    except UsageError as error:
        return str(error)
    return None


def build_model(name: str, input_shape: Sequence[int], classes: int) -> nn.Module:
    """Build a network by name; an experiment initializes its weights later.

    Args:
        name: one of `MODELS`; of the form of one of `MODEL_FAMILIES`, such as
            ``mlp-300-100-tanh-dropout0.5``; or from outside. ``package.module:factory`` imports
            the module and calls ``factory(input_shape, classes)``: that runs the code it names, so
            use such names only from people you trust. ``timm:NAME``, ``torchvision:NAME`` and
            ``hf:NAME`` are networks of these libraries, with random weights.
        input_shape: shape of one example, such as ``(1, 28, 28)``.
        classes: number of classes, 2 or more.

    Raises:
        UsageError: no such model, or it cannot take such examples.
        MissingPackageError: the network is from a library that is not installed.
    """
    return _builder(name)(input_shape, classes)


def _builder(name: str) -> ModelBuilder:
    """What builds the network with this name.

    Raises:
        UsageError: there is none.
    """
    if is_outside(name):
        problem = check_outside(name)
        if problem:
            raise UsageError(problem)
        return partial(build_outside, name)
    if name in MODELS:
        return MODELS[name].build
    for family in MODEL_FAMILIES:
        matched = family.pattern.fullmatch(name)
        if matched:
            return family.parse(matched)
    forms = [*(family.form for family in MODEL_FAMILIES), *OUTSIDE_FORMS]
    kin = name.partition("-")[0]
    rules = [f"{f.form}: {f.about}" for f in MODEL_FAMILIES if f.form.startswith(f"{kin}-")]
    rule = f" ({rules[0]})" if rules else ""
    known = [*MODELS, *forms]
    raise UsageError(unknown_name("model", name, known, listed_by="lottery list models") + rule)
