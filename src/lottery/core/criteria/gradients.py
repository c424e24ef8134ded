"""Criteria of first order: what the loss on the probe's examples says about a weight.

Gradients are taken at the masked weights, with dropout off, and with respect to every prunable
weight, pruned ones too. In the formulas ``w`` is the context's weight and ``g`` the gradient of the
mean loss over all examples. Scores are float64; gradients are summed up in float64 and are as
exact as the model's own type.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lottery.core.criteria.batches import example_count, single_examples
from lottery.core.criteria.context import ScoreContext, Scores
from lottery.core.criteria.network import (
    as_double,
    mean_loss,
    needed_probe,
    scored_network,
    scored_parameters,
    weighted_batches,
    zeros,
)


def snip(context: ScoreContext) -> Scores:
    """``|w g|``: sensitivity of the loss to the connection (Lee et al. 2019, arXiv:1810.02340).

    Section 4.1, without the division by the sum over all weights, which changes no order. Made for
    networks at initialization. There batch norm uses its running statistics, mean 0 and variance
    1, as in the authors' code; with ``Probe.batch_statistics`` those of each batch, which then
    depend on how examples are cut into batches.
    """
    batch_statistics = needed_probe(context).batch_statistics
    gradient = mean_gradient(context, batch_statistics=batch_statistics)
    return {name: (as_double(context.weights[name]) * g).abs() for name, g in gradient.items()}


def taylor(context: ScoreContext) -> Scores:
    """``(g w)^2``: squared change of the loss (Molchanov et al. 2019, arXiv:1906.10771, eq. 8).

    The gradient is that of all examples together; the paper also averages over steps of a training.
    Weight by weight the order is that of `snip`; summed over a unit it is not. Batch norm uses its
    running statistics.
    """
    gradient = mean_gradient(context)
    return {name: (as_double(context.weights[name]) * g).square() for name, g in gradient.items()}


def movement_pruning(context: ScoreContext) -> Scores:
    """``-w g``: positive where a step would lead away from zero (Sanh et al., arXiv:2005.07683).

    One term of the sum in section 4, at the weights as they are: the paper adds the terms up over
    the steps of a fine-tuning, in which the mask follows them. Batch norm uses its running
    statistics.
    """
    gradient = mean_gradient(context)
    return {name: -as_double(context.weights[name]) * g for name, g in gradient.items()}


def fisher(context: ScoreContext) -> Scores:
    """``w^2 / 2 * mean of g_n^2`` over examples n (Theis et al. 2018, arXiv:1801.05787, section 2).

    ``g_n`` is the gradient of one example's loss, so this takes one backward pass per example. It
    is the second-order term with the empirical Fisher information in place of the Hessian. Batch
    norm uses its running statistics.
    """
    probe = needed_probe(context)
    model = scored_network(context)
    parameters = scored_parameters(context, model)
    mean_square = zeros(parameters)
    for batch, share in weighted_batches(probe):
        for one in single_examples(batch):
            with torch.enable_grad():
                loss = mean_loss(probe, model, one)
                found = torch.autograd.grad(loss, [*parameters.values()], materialize_grads=True)
            for name, g in zip(parameters, found, strict=True):
                mean_square[name] += as_double(g).square() * (share / example_count(batch))
    return {
        name: as_double(context.weights[name]).square() / 2 * m for name, m in mean_square.items()
    }


def mean_gradient(context: ScoreContext, *, batch_statistics: bool = False) -> dict[str, Tensor]:
    """The gradient of the mean loss over all examples, at the masked weights, batch by batch.

    Args:
        context: with a probe.
        batch_statistics: see `scored_network`.

    Returns:
        name -> float64 CPU tensor; exactly zero for a weight that the loss does not depend on.
    """
    probe = needed_probe(context)
    model = scored_network(context, batch_statistics=batch_statistics)
    parameters = scored_parameters(context, model)
    mean = zeros(parameters)
    for batch, share in weighted_batches(probe):
        with torch.enable_grad():
            loss = mean_loss(probe, model, batch)
            found = torch.autograd.grad(loss, [*parameters.values()], materialize_grads=True)
        for name, g in zip(parameters, found, strict=True):
            mean[name] += as_double(g) * share
    return mean
