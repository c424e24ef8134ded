"""Criteria of second order: products with the Hessian of the loss on the probe's examples.

``H`` is the Hessian of the mean loss over all examples with respect to the prunable weights, at the
masked weights, with dropout off. It is never written out: a product ``H v`` is the gradient of
``g . v`` (Pearlmutter 1994).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lottery.core.criteria.context import Probe, ScoreContext, Scores
from lottery.core.criteria.gradients import mean_gradient
from lottery.core.criteria.network import (
    as_double,
    mean_loss,
    needed_probe,
    scored_network,
    scored_parameters,
    weighted_batches,
    zeros,
)

HUTCHINSON_PROBES: Final = 16
"""How many random sign vectors the criterion ``hessian`` averages over."""

GRASP_TEMPERATURE: Final = 200.0
"""What the criterion ``grasp`` divides the network's outputs by."""


def grasp(context: ScoreContext) -> Scores:
    """``w (H g)``: how much of the gradient flow goes with it (Wang et al., arXiv:2002.07376).

    Section 4 and algorithm 1: setting ``w`` to zero changes the squared norm of the
    gradient by about ``2 * (-w H g)``, and those with the largest ``-w H g`` are pruned. ``g`` is
    the gradient with respect to the surviving prunable weights. As in the authors' code, the loss
    is that of the outputs divided by a temperature of 200: at 1, GraSP keeps what makes gradients
    grow a thousandfold, and networks then train badly. Made for networks at initialization, so
    batch norm uses the statistics of each batch; without batch norm the cut into batches does not
    matter.
    """
    context = replace(context, probe=_at_temperature(needed_probe(context), GRASP_TEMPERATURE))
    gradient = mean_gradient(context, batch_statistics=True)
    surviving = context.mask.apply(gradient)
    model = scored_network(context, batch_statistics=True)
    product = hessian_product(context, model, surviving)
    return {name: as_double(context.weights[name]) * p for name, p in product.items()}


def _at_temperature(probe: Probe, temperature: float) -> Probe:
    return replace(probe, loss=lambda outputs, targets: probe.loss(outputs / temperature, targets))


def hessian(context: ScoreContext) -> Scores:
    """``h_ii w^2 / 2``: Optimal Brain Damage (LeCun, Denker & Solla 1990, section 2).

    The diagonal is estimated: the mean of ``z * H z`` over `HUTCHINSON_PROBES` vectors of random
    signs from the context's generator (Hutchinson's method; Bekas et al. 2007), exact in
    expectation; the error of ``h_ii`` has variance ``sum over j != i of h_ij^2 / 16``. Negative
    curvature gives negative scores. Signs are drawn for the surviving weights alone: scores
    elsewhere are zero. Batch norm uses its running statistics.
    """
    diagonal = hessian_diagonal(context, _random_signs(context, HUTCHINSON_PROBES))
    return {name: h * as_double(context.weights[name]).square() / 2 for name, h in diagonal.items()}


def hessian_diagonal(
    context: ScoreContext, vectors: Iterable[Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """The mean of ``z * H z`` over the vectors ``z``: the diagonal of H if they are all there are.

    Args:
        context: with a probe.
        vectors: name -> tensor of +1 and -1 of the weight's shape; one vector or more. Over all
            sign vectors the mean is exactly the diagonal.

    Returns:
        name -> float64 CPU tensor.
    """
    model = scored_network(context)
    total, count = zeros(scored_parameters(context, model)), 0
    for vector in vectors:
        count += 1
        for name, product in hessian_product(context, model, vector).items():
            total[name] += as_double(vector[name]) * product
    return {name: value / count for name, value in total.items()}


def hessian_product(
    context: ScoreContext, model: nn.Module, vector: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """``H v`` for the mean loss over all examples, batch by batch.

    Args:
        context: with a probe.
        model: its `scored_network`.
        vector: parameter name -> tensor of the parameter's shape.

    Returns:
        name -> float64 CPU tensor.
    """
    probe = needed_probe(context)
    parameters = scored_parameters(context, model)
    along = [vector[name].to(p.device, p.dtype) for name, p in parameters.items()]
    mean = zeros(parameters)
    for inputs, targets, share in weighted_batches(probe):
        found = _batch_product(probe, model, inputs, targets, [*parameters.values()], along)
        for name, product in zip(parameters, found, strict=True):
            mean[name] += as_double(product) * share
    return mean


def _batch_product(
    probe: Probe,
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    parameters: list[Tensor],
    along: list[Tensor],
) -> Iterable[Tensor]:
    # Of torch's kernels for attention only the plain one can be differentiated twice.
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        loss = mean_loss(probe, model, inputs, targets)
        gradient = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
        slope = torch.stack([(g * v).sum() for g, v in zip(gradient, along, strict=True)]).sum()
        if not slope.requires_grad:  # the loss is linear in the weights
            return [torch.zeros_like(p) for p in parameters]
        return torch.autograd.grad(slope, parameters, materialize_grads=True)


def _random_signs(context: ScoreContext, count: int) -> Iterator[dict[str, Tensor]]:
    """Vectors of independent signs for the surviving weights, zero elsewhere."""
    for _ in range(count):
        yield {name: _signs(context.mask[name], context.generator) for name in context.mask}


def _signs(kept: Tensor, generator: torch.Generator) -> Tensor:
    signs = torch.randint(0, 2, kept.shape, generator=generator) * 2.0 - 1.0
    return signs.masked_fill(~kept, 0.0)
