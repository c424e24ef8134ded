"""The data-free criterion of Synaptic Flow."""

from __future__ import annotations

import torch
from torch import Tensor

from lottery.core.criteria.batches import call_model
from lottery.core.criteria.context import ScoreContext, Scores
from lottery.core.criteria.network import (
    as_double,
    needed_probe,
    scored_network,
    scored_parameters,
)
from lottery.errors import UsageError


def synflow(context: ScoreContext) -> Scores:
    """``|w| dR/d|w|``, R the sum of the outputs for an input of ones (arXiv:2006.05467, section 6).

    As in the authors' procedure (Tanaka et al. 2020, algorithm 1), every parameter and buffer is
    replaced by its magnitude first, biases and batch norm's running statistics too; batch norm is
    in evaluation mode. Where these are as at initialization, the scores into a hidden unit and
    those out of it have the same sum. Computed in double precision on the CPU. Meant for many
    rounds: see `prune_in_rounds`. Scores are 0 or more where a larger signal never makes another
    one smaller, as layer normalization and attention do.

    Raises:
        UsageError: R is not finite, or the network's inputs are not one tensor of real numbers.
    """
    probe = needed_probe(context)
    inputs = None if probe.batch_loss is not None else probe.batches[0][0]
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        raise UsageError(
            "synflow gives the network an input of ones: expected batches of (inputs, targets), "
            "the inputs one tensor of real numbers; choose another criterion for a network of "
            "tokens or of several inputs"
        )
    model = scored_network(context).cpu().double()
    for value in (*model.parameters(), *model.buffers()):
        if value.is_floating_point():
            value.detach().abs_()
    parameters = scored_parameters(context, model)
    with torch.enable_grad():
        flow = call_model(model, torch.ones(1, *inputs.shape[1:], dtype=torch.float64)).sum()
        found = torch.autograd.grad(flow, [*parameters.values()], materialize_grads=True)
    if not flow.isfinite():
        raise UsageError(
            f"synflow: the outputs of the network with absolute weights sum up to {flow.item()}, "
            "beyond double precision; initialize its weights smaller, or choose another criterion"
        )
    return {
        name: as_double(context.weights[name]).abs() * g
        for name, g in zip(parameters, map(as_double, found), strict=True)
    }
