"""Criteria for whole output units from the batch norm after a layer, and how that is found."""

from __future__ import annotations

import math
from collections.abc import Container
from typing import Final, get_args

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lottery.core.criteria.batches import single_examples
from lottery.core.criteria.context import ScoreContext, Scores
from lottery.core.criteria.network import (
    as_double,
    needed_probe,
    pass_batch,
    scored_network,
    scored_parameters,
)
from lottery.layers import Kind, matrix_kinds


def bn_scale(context: ScoreContext) -> Scores:
    """``|gamma|`` of the batch norm that takes the layer's output (Liu et al., arXiv:1708.06519).

    Section 3: the scale of a channel stands for its importance. One number per output unit,
    repeated over the unit's weights. A layer whose output no batch norm takes, or whose outputs are
    not the rows of its weight, has scores of infinity: the paper never prunes such a layer, so a
    config must give it a prune fraction of 0, or let layers compete globally. For what that comes
    to where channels go, see `lottery.core.unit_scores.score_units`.
    """
    model = scored_network(context)
    norms = following_norms(context, model)
    scores = {}
    for name in context.mask:
        shape = context.weights[name].shape
        norm = norms.get(name)
        if norm is None or norm.weight is None:
            scores[name] = torch.full(shape, math.inf, dtype=torch.float64)
        else:
            scores[name] = per_unit(as_double(norm.weight).abs(), shape)
    return scores


def per_unit(values: Tensor, shape: torch.Size) -> Tensor:
    """``values`` ``[outputs]`` repeated over the weights of each output unit, as ``shape``."""
    return values.view(-1, *[1] * (len(shape) - 1)).expand(shape).clone()


def layers_of(
    context: ScoreContext, model: nn.Module, kinds: Container[Kind] = get_args(Kind)
) -> dict[str, list[nn.Module]]:
    """The modules that use each prunable weight as their one ``weight``; several if it is shared.

    Args:
        context: with a probe.
        model: its `scored_network`.
        kinds: kinds of layers to look at.

    Returns:
        parameter name -> modules; empty where no layer of these kinds has the weight as its
        ``weight``.
    """
    parameters = scored_parameters(context, model)
    layers = [m for m in model.modules() if matrix_kinds(m).get("weight") in kinds]
    return {
        name: [layer for layer in layers if layer.weight is parameter]
        for name, parameter in parameters.items()
    }


WITH_UNITS: Final[tuple[Kind, ...]] = ("linear", "convolution")
"""Kinds of layers whose weight has one output in each row."""


def unit_dim(layer: nn.Module) -> int:
    """The dimension of a layer's output along which its output units lie."""
    return -1 if matrix_kinds(layer).get("weight") == "linear" else 1


def following_norms(context: ScoreContext, model: nn.Module) -> dict[str, _BatchNorm]:
    """For each layer the batch norm whose input is the layer's output, unchanged.

    Found by passing one example through the network, not by names. If there are several such norms
    or the layer is called several times, the first counts; with any operation in between there is
    none.

    Args:
        context: with a probe.
        model: its `scored_network`.

    Returns:
        parameter name -> the module in ``model``, for the layers that have one.
    """
    made: list[tuple[str, Tensor]] = []
    found: dict[str, _BatchNorm] = {}

    def note(name: str, layer: nn.Module, output: Tensor) -> None:
        # A batch norm numbers units by dimension 1, which is a sequence's position elsewhere.
        if output.dim() == 2 or unit_dim(layer) == 1:
            made.append((name, output))

    def compare(norm: nn.Module, given: Tensor) -> None:
        assert isinstance(norm, _BatchNorm), "hooks are put on batch norms alone"
        for name, output in made:
            if output is given:
                found.setdefault(name, norm)

    hooks = [
        layer.register_forward_hook(lambda layer, _, output, name=name: note(name, layer, output))
        for name, layers in layers_of(context, model, WITH_UNITS).items()
        for layer in layers
    ]
    hooks += [
        module.register_forward_pre_hook(lambda norm, given: compare(norm, given[0]))
        for module in model.modules()
        if isinstance(module, _BatchNorm)
    ]
    probe = needed_probe(context)
    with torch.no_grad():
        pass_batch(probe, model, next(single_examples(probe.batches[0])))
    for hook in hooks:
        hook.remove()
    return found
