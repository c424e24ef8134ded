"""Fully connected networks: LeNet-300-100 and its relatives."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from torch import nn

Activation = Literal["relu", "tanh"]

_ACTIVATIONS: Final[Mapping[Activation, type[nn.Module]]] = {"relu": nn.ReLU, "tanh": nn.Tanh}


def mlp(
    input_shape: Sequence[int],
    hidden: Sequence[int],
    classes: int,
    *,
    activation: Activation = "relu",
    dropout: float = 0.0,
) -> nn.Sequential:
    """A fully connected network: layers ``fc1``, ``relu1``, ``fc2``, ..., then ``output``.

    With tanh the activations are called ``tanh1``, ...; with dropout each of them is followed by
    ``dropout1``, .... The names of the parameters are the same for all.

    LeNet-300-100 (LeCun et al. 1998, section III.C.4) is ``mlp((1, 28, 28), (300, 100), 10)``:
    266,200 weights and 410 biases.

    Args:
        input_shape: shape of one example; flattened first.
        hidden: width of each hidden layer, 1 or more; empty for logistic regression.
        classes: number of outputs (logits).
        activation: of every hidden layer.
        dropout: share of each hidden layer's units that a training step leaves out, in [0, 1).
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    width = math.prod(input_shape)
    for number, size in enumerate(hidden, start=1):
        layers[f"fc{number}"] = nn.Linear(width, size)
        layers[f"{activation}{number}"] = _ACTIVATIONS[activation]()
        if dropout:
            layers[f"dropout{number}"] = nn.Dropout(dropout)
        width = size
    layers["output"] = nn.Linear(width, classes)
    return nn.Sequential(layers)


def lenet_300_100(input_shape: Sequence[int], classes: int) -> nn.Sequential:
    """LeNet-300-100: two hidden layers of 300 and 100 units."""
    return mlp(input_shape, (300, 100), classes)
