"""Initial weights, drawn from a given generator.

Each function sets a network's parameters in place, in the network's own order, and draws from the
given generator alone: copies of a network, wherever they were built, end with equal states. Each
says which parameters it sets and which keep their value; in the networks of this package those are
only constants (scales of one).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

import torch
from torch import Tensor, nn

from lottery.layers import CONVOLUTIONS, NORMALIZATIONS, TRANSPOSED, fan_in, single_matrices

Initialization = Callable[[nn.Module, torch.Generator], None]
"""(network, CPU generator) -> nothing; the network's parameters are set in place."""

_DEVIATION: Final = 0.02
_CUT: Final = 2.0  # in standard deviations


def glorot_normal_(model: nn.Module, generator: torch.Generator) -> None:
    """Initialize in place: Gaussian Glorot weights, zero biases.

    Every weight of two or more dimensions is drawn from N(0, 2 / (fan_in + fan_out)) (Glorot &
    Bengio 2010, section 4.2; the Gaussian form is that of Frankle & Carbin, arXiv:1803.03635,
    figure 2). Where one weight is several matrices (gates of a recurrent layer, queries, keys and
    values of attention, experts), the fans are those of each. Biases become zero; other vectors
    (normalization scales) keep their value.

    Args:
        model: parameters are drawn in the model's own order.
        generator: a CPU generator.
    """
    with torch.no_grad():
        for owner, name, parameter in _owned(model):
            if parameter.dim() >= 2:
                for matrix in single_matrices(owner, name, parameter):
                    nn.init.xavier_normal_(matrix, generator=generator)
            elif _is_bias(name):
                parameter.zero_()


def kaiming_normal_(model: nn.Module, generator: torch.Generator) -> None:
    """Initialize in place: Gaussian weights for ReLU, zero biases, normalization of scale one.

    A convolution's weights, a transposed one's too, are drawn from N(0, 2 / fan_out), fan_out =
    outputs * kernel area / groups, which keeps the size of the gradients from layer to layer (He et
    al., arXiv:1502.01852, section 2.2, equation 14; either fan will do, they say, and this one is
    the custom for residual networks). Every other weight of two or more dimensions is drawn from
    N(0, 2 / fan_in) (equation 10), where fan_in is the number of entries for each output; a weight
    that is several matrices has the fans of each (see `glorot_normal_`). For the output layer
    fan_out would be the number of classes, which says nothing about the signal: with ten classes
    the first logits would be far from zero. Scales of normalization layers become one, their
    shifts and all biases zero; other vectors keep their value.

    Args:
        model: parameters are drawn in the model's own order.
        generator: a CPU generator.
    """

    def draw(owner: nn.Module, name: str, parameter: Tensor) -> None:
        if isinstance(owner, CONVOLUTIONS):
            fan = parameter.numel() // parameter.shape[1] // owner.groups
        elif isinstance(owner, TRANSPOSED):
            fan = parameter.numel() // parameter.shape[0]
        else:
            fan = fan_in(owner, name, parameter)
        parameter.normal_(0.0, math.sqrt(2 / fan), generator=generator)

    _initialize(model, draw)


def truncated_normal_(model: nn.Module, generator: torch.Generator) -> None:
    """Initialize in place: truncated Gaussian weights as in Vision Transformers, zero biases.

    Every weight of two or more dimensions, class tokens and position embeddings among them, is
    drawn from N(0, 0.02^2) cut off at two standard deviations (Touvron et al., arXiv:2012.12877,
    section 6, whose code cuts further out; the cut makes the deviation of what is left 0.0176).
    Scales of normalization layers become one, their shifts and all biases zero; other vectors keep
    their value.

    Args:
        model: parameters are drawn in the model's own order.
        generator: a CPU generator.
    """
    edge = math.erf(_CUT / math.sqrt(2))

    def draw(_owner: nn.Module, _name: str, parameter: Tensor) -> None:
        # By inversion, so that every release of torch draws the same numbers.
        parameter.uniform_(-edge, edge, generator=generator)
        parameter.erfinv_().mul_(math.sqrt(2) * _DEVIATION)
        parameter.clamp_(-_CUT * _DEVIATION, _CUT * _DEVIATION)

    _initialize(model, draw)


INITIALIZATIONS: Final[dict[str, Initialization]] = {
    "glorot-normal": glorot_normal_,
    "kaiming-normal": kaiming_normal_,
    "truncated-normal": truncated_normal_,
}
"""Name in a config -> initialization."""


def _initialize(model: nn.Module, draw: Callable[[nn.Module, str, Tensor], None]) -> None:
    """Set every parameter: ``draw`` is called for those of two or more dimensions."""
    with torch.no_grad():
        for owner, name, parameter in _owned(model):
            if isinstance(owner, NORMALIZATIONS):
                parameter.fill_(1.0 if name == "weight" else 0.0)
            elif parameter.dim() >= 2:
                draw(owner, name, parameter)
            elif _is_bias(name):
                parameter.zero_()


def _is_bias(name: str) -> bool:
    """Whether a layer's vector of this name is a bias: such as those of each layer of an LSTM."""
    return name.startswith("bias") or name.endswith("bias")


def _owned(model: nn.Module) -> Iterator[tuple[nn.Module, str, Tensor]]:
    """Every parameter once, with the first layer that has it and its name there."""
    seen: set[int] = set()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield module, name, parameter
