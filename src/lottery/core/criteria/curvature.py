"""Criteria of second order: the Hessian of the loss on the probe's examples.

``H`` is the Hessian of the mean loss over all examples with respect to the prunable weights, at the
masked weights, with dropout off. It is never written out: a product ``H v`` is the gradient of
``g . v`` (Pearlmutter 1994), and the Gauss-Newton diagonal a sum of squared gradients of outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lottery.core.criteria.batches import (
    call_model,
    example_count,
    map_tensors,
    single_examples,
)
from lottery.core.criteria.context import Probe, ScoreContext, Scores
from lottery.core.criteria.gradients import mean_gradient
from lottery.core.criteria.network import (
    as_double,
    loss_of_outputs,
    mean_loss,
    needed_probe,
    probe_of_outputs,
    scored_network,
    scored_parameters,
    weighted_batches,
    zeros,
)
from lottery.errors import UsageError

GRASP_TEMPERATURE: Final = 200.0
"""What the criterion ``grasp`` divides the network's outputs by."""

_BYTES_AT_ONCE: Final = 2**28
"""The most memory, in bytes, for the gradients that `hessian` holds at the same time."""


def grasp(context: ScoreContext) -> Scores:
    """``w (H g)``: effect of the weight on the gradient flow (Wang et al., arXiv:2002.07376).

    Section 4 and algorithm 1: setting ``w`` to zero changes the squared norm of the
    gradient by about ``2 * (-w H g)``, and those with the largest ``-w H g`` are pruned. ``g`` is
    the gradient with respect to the surviving prunable weights. As in the authors' code, the loss
    is that of the outputs divided by a temperature of 200: at 1, GraSP keeps what makes gradients
    grow a thousandfold, and networks then train badly. Made for networks at initialization, so
    batch norm uses the statistics of each batch; without batch norm the cut into batches does not
    matter.
    """
    context = replace(context, probe=_at_temperature(probe_of_outputs(context), GRASP_TEMPERATURE))
    gradient = mean_gradient(context, batch_statistics=True)
    surviving = context.mask.apply(gradient)
    model = scored_network(context, batch_statistics=True)
    product = hessian_product(context, model, surviving)
    return {name: as_double(context.weights[name]) * p for name, p in product.items()}


def _at_temperature(probe: Probe, temperature: float) -> Probe:
    return replace(probe, loss=lambda outputs, targets: probe.loss(outputs / temperature, targets))


def hessian(context: ScoreContext) -> Scores:
    """``h_ii w^2 / 2``: Optimal Brain Damage (LeCun, Denker & Solla 1990, section 2).

    ``h_ii`` is the diagonal of the generalized Gauss-Newton matrix (Schraudolph 2002): the mean
    over examples of ``J' L J``, with ``J`` the derivatives of the network's outputs by its weights
    and ``L`` the Hessian of the loss by these outputs. Where outputs are linear in each weight as
    long as no ReLU or maximum changes, this is the Hessian's diagonal exactly: so it is in networks
    that are piecewise linear and use a weight once on any way. Elsewhere (tanh, attention) it
    leaves out the curvature of the network itself, as LeCun et al. do. With a loss that is convex
    in the outputs, such as cross-entropy or squared error, scores are 0 or more.

    For each example it takes as many backward passes as there are outputs, several at a time. Batch
    norm uses its running statistics.
    """
    return {
        name: h * as_double(context.weights[name]).square() / 2
        for name, h in gauss_newton_diagonal(context).items()
    }


def gauss_newton_diagonal(context: ScoreContext) -> dict[str, Tensor]:
    """The diagonal of the Gauss-Newton matrix of the mean loss over all examples; see `hessian`.

    Args:
        context: with a probe.

    Returns:
        name -> float64 CPU tensor, exactly zero for a weight that no output depends on.

    Raises:
        UsageError: the loss of an example has no finite second derivatives.
    """
    probe, model = probe_of_outputs(context), scored_network(context)
    parameters = scored_parameters(context, model)
    diagonal = zeros(parameters)
    for batch, share in weighted_batches(probe):
        for inputs, target in single_examples(batch):
            with torch.enable_grad():
                outputs = call_model(model, inputs)
            if not outputs.requires_grad:
                continue
            curvatures, directions = _output_curvature(probe, outputs, target)
            found = _gradients_along(outputs, [*parameters.values()], directions)
            for curvature, gradients in zip(curvatures, found, strict=True):
                value = float(curvature) * share / example_count(batch)
                for name, gradient in zip(parameters, map(as_double, gradients), strict=True):
                    diagonal[name].addcmul_(gradient, gradient, value=value)
    return diagonal


def _output_curvature(probe: Probe, outputs: Tensor, target: Any) -> tuple[Tensor, Tensor]:
    """Where the loss of one example curves: eigenvalues of its Hessian by outputs, and directions.

    Args:
        outputs: of one example, C numbers in all.
        target: its own.

    Returns:
        Of the K eigenvalues that are more than rounding, for a loss about as large as 1: float64 of
        shape [K], and unit vectors of shape [K, *outputs.shape] in the outputs' type and on their
        device.
    """
    count = outputs.numel()
    with torch.enable_grad():
        # Of a sure classification's curvature single precision leaves noise of either sign.
        leaf = as_double(outputs).requires_grad_()
        loss = loss_of_outputs(probe, leaf, map_tensors(target, Tensor.cpu))
        (slope,) = torch.autograd.grad(loss, leaf, create_graph=True, materialize_grads=True)
    if not slope.requires_grad:  # the loss is linear in the outputs
        return torch.zeros(0), outputs.detach().expand(0, *outputs.shape)
    unit = torch.eye(count, dtype=leaf.dtype).view(count, *outputs.shape)
    rows = [row for (row,) in _gradients_along(slope, [leaf], unit)]
    matrix = torch.stack(rows).view(count, count)
    if not matrix.isfinite().all():
        raise UsageError(
            "criterion 'hessian': the loss of an example has second derivatives that are not "
            "finite; the network may have diverged: choose another criterion, or train it better"
        )
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    kept = values.abs() > count * torch.finfo(leaf.dtype).eps * values.abs().max().clamp(min=1.0)
    return values[kept], vectors.T[kept].to(outputs).view(-1, *outputs.shape)


def _gradients_along(
    outputs: Tensor, inputs: Sequence[Tensor], directions: Tensor
) -> Iterator[Sequence[Tensor]]:
    """For each direction the gradient of ``direction . outputs`` with respect to the inputs."""
    size = sum(value.numel() * value.element_size() for value in inputs)
    for part in directions.split(max(1, _BYTES_AT_ONCE // size)) if len(directions) else ():
        try:
            found = _gradients(outputs, inputs, part, is_grads_batched=True)
        except RuntimeError:  # an operation whose backward pass takes one direction at a time
            yield from (_gradients(outputs, inputs, one) for one in part)
        else:
            yield from zip(*found, strict=True)


def _gradients(
    outputs: Tensor, inputs: Sequence[Tensor], along: Tensor, *, is_grads_batched: bool = False
) -> tuple[Tensor, ...]:
    return torch.autograd.grad(
        outputs,
        inputs,
        along,
        retain_graph=True,
        is_grads_batched=is_grads_batched,
        materialize_grads=True,
    )


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
    for batch, share in weighted_batches(probe):
        found = _batch_product(probe, model, batch, [*parameters.values()], along)
        for name, product in zip(parameters, found, strict=True):
            mean[name] += as_double(product) * share
    return mean


def _batch_product(
    probe: Probe,
    model: nn.Module,
    batch: Any,
    parameters: list[Tensor],
    along: list[Tensor],
) -> Iterable[Tensor]:
    # Of torch's kernels for attention only the plain one can be differentiated twice.
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        loss = mean_loss(probe, model, batch)
        gradient = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
        slope = torch.stack([(g * v).sum() for g, v in zip(gradient, along, strict=True)]).sum()
        if not slope.requires_grad:  # the loss is linear in the weights
            return [torch.zeros_like(p) for p in parameters]
        return torch.autograd.grad(slope, parameters, materialize_grads=True)
