"""The network as a criterion looks at it, and its loss over the probe's examples."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lottery.core.criteria.batches import call_model, example_count, tensors
from lottery.core.criteria.context import Probe, ScoreContext
from lottery.errors import UsageError


def needed_probe(context: ScoreContext) -> Probe:
    """The context's probe, for a criterion that needs one.

    Raises:
        UsageError: there is none, or it has no example.
    """
    probe = context.probe
    if probe is None:
        raise UsageError(
            "this criterion looks at the network: expected ScoreContext.probe to be a Probe, got "
            "None; pass one, with a model, batches and a loss"
        )
    if not probe.batches or not all(map(example_count, probe.batches)):
        raise UsageError(
            "the probe has no batch, or an empty one; expected one batch or more, each with one "
            "example or more"
        )
    return probe


def probe_of_outputs(context: ScoreContext) -> Probe:
    """The context's probe, for a criterion that needs the network's outputs and the loss apart.

    Raises:
        UsageError: there is none, it has no example, or its loss is one of model and batch.
    """
    probe = needed_probe(context)
    if probe.batch_loss is not None:
        raise UsageError(
            "this criterion changes the network's outputs before the loss, or looks at how the "
            "loss curves in them: expected batches of (inputs, targets) and a loss of (outputs, "
            "targets), got a loss of (model, batch); choose a criterion such as 'snip' or 'taylor'"
        )
    return probe


def scored_network(context: ScoreContext, *, batch_statistics: bool = False) -> nn.Module:
    """A copy of the probe's model that holds the context's weights under the context's mask.

    What the mask prunes is zero, or what the probe's ``pruned`` says.

    It is in evaluation mode (no dropout, batch norm with its running statistics), and only the
    prunable weights require gradients. Nothing that is done to the copy changes the probe's model:
    neither its hooks nor its gradients nor its buffers.

    Args:
        context: with a probe.
        batch_statistics: put batch norm, and nothing else, into training mode: it then uses the
            statistics of each batch, as suits a network whose running statistics mean nothing
            yet. What is computed then depends on how examples are cut into batches.

    Raises:
        UsageError: there is no probe; or batch norm would see a batch of one example.
        MaskError: the mask is not one of this model.
    """
    probe = needed_probe(context)
    model = copy.deepcopy(probe.model).eval().requires_grad_(False)
    if batch_statistics:
        _use_batch_statistics(model, probe)
    parameters = dict(model.named_parameters())
    context.mask.check({name: parameters[name] for name in context.mask if name in parameters})
    masked = context.mask.apply({n: context.weights[n] for n in context.mask}, probe.pruned)
    with torch.no_grad():
        for name, weight in masked.items():
            parameters[name].copy_(weight)
            parameters[name].requires_grad_(True)
    return model


def _use_batch_statistics(model: nn.Module, probe: Probe) -> None:
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if norms and any(example_count(batch) < 2 for batch in probe.batches):
        raise UsageError(
            "this criterion lets batch norm use the statistics of each batch; expected batches of "
            "2 examples or more, got one of 1: use larger batches"
        )
    for norm in norms:
        norm.train()


def scored_parameters(context: ScoreContext, model: nn.Module) -> dict[str, Tensor]:
    """The prunable parameters of a `scored_network`, by name, in the mask's order."""
    parameters = dict(model.named_parameters())
    return {name: parameters[name] for name in context.mask}


def weighted_batches(probe: Probe) -> Iterator[tuple[Any, float]]:
    """Every batch, and its share of all examples, in (0, 1]."""
    examples = sum(map(example_count, probe.batches))
    for batch in probe.batches:
        yield batch, example_count(batch) / examples


def mean_loss(probe: Probe, model: nn.Module, batch: Any) -> Tensor:
    """The mean loss of a batch, a scalar.

    Raises:
        UsageError: the probe's loss gives something else.
    """
    # cuDNN differentiates recurrent layers in training mode alone, and not twice.
    cuda = any(tensor.is_cuda for tensor in tensors(batch))
    recurrent = cuda and any(isinstance(m, nn.RNNBase) for m in model.modules())
    with torch.backends.cudnn.flags(enabled=False) if recurrent else nullcontext():
        if probe.batch_loss is not None:
            return _scalar(probe.batch_loss(model, batch))
        inputs, targets = batch
        outputs = call_model(model, inputs)
    return loss_of_outputs(probe, outputs, targets)


def loss_of_outputs(probe: Probe, outputs: Tensor, targets: Any) -> Tensor:
    """The mean loss of a batch, a scalar, from its outputs."""
    return _scalar(probe.loss(outputs, targets))


def _scalar(loss: object) -> Tensor:
    if not isinstance(loss, Tensor) or loss.dim():
        got = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
        raise UsageError(
            f"the probe's loss gave {got}; expected the mean over the batch, a scalar tensor"
        )
    return loss


def pass_batch(probe: Probe, model: nn.Module, batch: Any) -> None:
    """Pass a batch through a model, so that the hooks on its layers are called."""
    if probe.batch_loss is not None:
        probe.batch_loss(model, batch)
    else:
        call_model(model, batch[0])


def zeros(parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    """Zeros of the parameters' shapes to sum into: float64, on the CPU since MPS has none."""
    return {name: torch.zeros(p.shape, dtype=torch.float64) for name, p in parameters.items()}


def as_double(tensor: Tensor) -> Tensor:
    """A detached float64 copy or view on the CPU."""
    return tensor.detach().cpu().double()
