"""Criteria that use the inputs or outputs of a layer on the probe's examples.

The network is in evaluation mode. A layer's outputs are taken after the batch norm that follows it,
if there is one (see `following_norms`), and after a ReLU, whether the network has one there or not.
Every example and every position (of an image or a sequence) has the same weight, so it does not
matter how examples are cut into batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from lottery.core.criteria.context import ScoreContext, Scores
from lottery.core.criteria.network import (
    as_double,
    needed_probe,
    pass_batch,
    scored_network,
    scored_parameters,
    zeros,
)
from lottery.core.criteria.structures import (
    WITH_UNITS,
    following_norms,
    layers_of,
    per_unit,
    unit_dim,
)
from lottery.errors import UsageError


def mean_activation(context: ScoreContext) -> Scores:
    """Mean of a unit's output after ReLU (Molchanov et al. 2017, arXiv:1611.06440, section 2.2).

    One number per output unit, repeated over the unit's weights.
    """
    return _unit_means(context, torch.relu)


def apoz(context: ScoreContext) -> Scores:
    """``1 - APoZ``: share of a unit's outputs that a ReLU lets pass (Hu et al., arXiv:1607.03250).

    APoZ, the average percentage of zeros, is the share of outputs that are zero after ReLU. One
    number in [0, 1] per output unit, repeated over the unit's weights.
    """
    return _unit_means(context, lambda outputs: (outputs > 0).to(outputs.dtype))


def wanda(context: ScoreContext) -> Scores:
    """``|w| * ||x||``: the weight times the L2 norm of its inputs (Sun et al., arXiv:2306.11695).

    Section 3. The norm goes over all values that the weight is multiplied by: of its input feature
    in every example and position; for a convolution, at those positions that its place in the
    kernel meets. The paper compares weights within each output; here they compete where the
    config's scope says.
    """
    model = scored_network(context)
    squares = zeros(scored_parameters(context, model))
    seen = dict.fromkeys(squares, 0)

    def observe(name: str, layer: Any, given: Iterable[object]) -> None:
        # One input, or two of a bilinear layer.
        inputs = [one for one in given if isinstance(one, Tensor)]
        # A layer is linear in its weight, so the derivative of the sum of its outputs is, for each
        # weight, the sum of the inputs it meets: here of their squares.
        with torch.enable_grad():
            total = layer.forward(*(one.square() for one in inputs)).sum()
        (found,) = torch.autograd.grad(total, layer.weight)
        squares[name] += as_double(found)
        seen[name] += 1

    for name, layers in layers_of(context, model).items():
        for layer in layers:
            layer.register_forward_pre_hook(
                lambda layer, args, kwargs, name=name: observe(
                    name, layer, [*args, *kwargs.values()]
                ),
                with_kwargs=True,
            )
    _pass_examples(context, model, seen)
    return {
        name: as_double(context.weights[name]).abs() * total.sqrt()
        for name, total in squares.items()
    }


def _unit_means(context: ScoreContext, measure: Callable[[Tensor], Tensor]) -> Scores:
    """The mean of ``measure`` over examples and positions, for every output unit."""
    model = scored_network(context)
    norms = following_norms(context, model)
    sums = {n: torch.zeros(len(context.weights[n]), dtype=torch.float64) for n in context.mask}
    seen = dict.fromkeys(sums, 0)

    def observe(name: str, dim: int, outputs: Tensor) -> None:
        units = measure(outputs).movedim(dim, 0).flatten(1)
        sums[name] += as_double(units.sum(1))
        seen[name] += units.shape[1]

    for name, layers in layers_of(context, model, WITH_UNITS).items():
        norm = norms.get(name)
        for module in layers if norm is None else [norm]:
            module.register_forward_hook(
                lambda module, _args, output, name=name: observe(name, unit_dim(module), output)
            )
    _pass_examples(context, model, seen)
    return {
        name: per_unit(total / seen[name], context.weights[name].shape)
        for name, total in sums.items()
    }


def _pass_examples(context: ScoreContext, model: nn.Module, seen: dict[str, int]) -> None:
    """Pass every batch through the model, whose hooks count in ``seen`` what they saw."""
    probe = needed_probe(context)
    with torch.no_grad():
        for batch in probe.batches:
            pass_batch(probe, model, batch)
    unused = [name for name, count in seen.items() if not count]
    if unused:
        raise UsageError(
            f"this criterion looks at the layers of {', '.join(unused)}, but the network never "
            "calls them (it may use the weight itself), or the criterion does not know their kind, "
            "such as recurrent, attention or transposed; choose a criterion of weights or gradients"
        )
