"""Networks by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from torch import nn

from lottery.errors import UsageError, unknown_name
from lottery.models.mlp import glorot_normal_, mlp

__all__ = ["MODELS", "ModelBuilder", "build_model", "check_model", "glorot_normal_", "mlp"]

ModelBuilder = Callable[[Sequence[int], int], nn.Module]
"""(shape of one input, number of classes) -> a network that maps a batch to logits."""


def lenet_300_100(input_shape: Sequence[int], classes: int) -> nn.Module:
    """LeNet-300-100: two hidden layers of 300 and 100 units."""
    return mlp(input_shape, (300, 100), classes)


MODELS: Final[dict[str, ModelBuilder]] = {"lenet-300-100": lenet_300_100}
"""Name in a config -> builder; besides these there is ``mlp-A-B-C``, see `build_model`."""

# A network has one name: widths without leading zeros, a share of dropout without trailing ones.
_MLP = re.compile(r"mlp((?:-[1-9]\d{0,5}){1,16})(-tanh)?(?:-dropout(0\.\d{0,8}[1-9]))?", re.ASCII)


def check_model(name: str) -> str | None:
    """What is wrong with a model's name, or None."""
    if name in MODELS or _MLP.fullmatch(name):
        return None
    return unknown_name("model", name, [*MODELS, "mlp-A-B-C"]) + (
        " (any hidden widths, such as mlp-300-100; -tanh and -dropoutP may follow in this order, "
        "P between 0 and 1 without zeros at its end: mlp-300-100-tanh-dropout0.5)"
    )


def build_model(name: str, input_shape: Sequence[int], classes: int) -> nn.Module:
    """Build a network by name; its weights are not yet those of any experiment.

    Args:
        name: one of `MODELS`, or ``mlp-A-B-C`` for hidden layers of A, B and C units. After the
            widths, ``-tanh`` stands for tanh instead of ReLU, and then ``-dropoutP`` for dropout
            of a share P after every hidden layer: ``mlp-300-100-tanh-dropout0.5``.
        input_shape: shape of one example, such as ``(1, 28, 28)``.
        classes: number of classes, 2 or more.

    Raises:
        UsageError: no such model.
    """
    problem = check_model(name)
    if problem:
        raise UsageError(problem)
    if name in MODELS:
        return MODELS[name](input_shape, classes)
    matched = _MLP.fullmatch(name)
    assert matched is not None, "checked above"
    widths, tanh, dropout = matched.groups()
    return mlp(
        input_shape,
        [int(width) for width in widths.split("-")[1:]],
        classes,
        activation="tanh" if tanh else "relu",
        dropout=float(dropout or 0),
    )
