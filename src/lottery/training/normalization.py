"""Running statistics of batch normalization, recomputed for given weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def running_norms(model: nn.Module) -> list[_BatchNorm]:
    """The layers of batch normalization that keep running statistics, in the model's order."""
    return [
        module
        for module in model.modules()
        if isinstance(module, _BatchNorm) and module.running_mean is not None
    ]


def recalibrate_batch_norm(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace running statistics in place by their mean over ``batches``, each batch counted alike.

    A batch's mean and unbiased variance of every channel are those of the layer's inputs when all
    layers of batch normalization use the statistics of the batch, and everything else, such as
    dropout, is as in evaluation. Pruned or averaged weights give other activations than those that
    the statistics come from; this adapts the statistics to the weights. The number of batches
    tracked and every module's training mode are not changed.

    Args:
        model: on the batches' device.
        batches: inputs ``[N, *input_shape]``; one batch or more, of one size if every example is
            to count alike.

    Raises:
        ValueError: there is no batch.
    """
    norms = running_norms(model)
    modes = [(module, module.training) for module in model.modules()]
    before = [(norm, norm.momentum, _tracked(norm)) for norm in norms]
    model.eval()
    for norm in norms:
        norm.train()
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for the mean over all batches so far
    count = 0
    try:
        with torch.no_grad():
            for batch in batches:
                model(batch)
                count += 1
    finally:
        for norm, momentum, tracked in before:
            norm.momentum = momentum
            if norm.num_batches_tracked is not None and tracked is not None:
                norm.num_batches_tracked.copy_(tracked)
        for module, training in modes:
            module.training = training
    if not count:
        raise ValueError("expected one batch or more to compute running statistics from, got none")


def _tracked(norm: _BatchNorm) -> Tensor | None:
    tracked = norm.num_batches_tracked
    return None if tracked is None else tracked.clone()
