"""Fully connected networks: LeNet-300-100 and its relatives."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import torch
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


def glorot_normal_(model: nn.Module, generator: torch.Generator) -> None:
    """Initialize in place: Gaussian Glorot weights, zero biases.

    Every weight of two or more dimensions is drawn from N(0, 2 / (fan_in + fan_out)) (Glorot &
    Bengio 2010, section 4.2; the Gaussian form is that of Frankle & Carbin, arXiv:1803.03635,
    figure 2). Vectors named ``bias`` become zero; others (normalization scales) keep their value.

    Args:
        model: parameters are drawn in the model's own order.
        generator: a CPU generator.
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() >= 2:
                nn.init.xavier_normal_(parameter, generator=generator)
            elif name.rpartition(".")[2] == "bias":
                parameter.zero_()
