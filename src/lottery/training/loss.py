"""What a training minimizes, and what is measured."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from lottery.training.config import LossName


def batch_loss(
    name: LossName,
    outputs: Tensor,
    targets: Tensor,
    *,
    reduction: Literal["mean", "sum"] = "mean",
) -> Tensor:
    """The loss of a batch, a scalar of the outputs' type.

    An example's cross-entropy is in nats. Its squared error is the mean over the outputs of the
    squared difference between output and target, which is 1 for the right class and 0 for others.

    Args:
        name: which loss.
        outputs: what the network gives, ``[N, classes]``.
        targets: class numbers, int64 ``[N]``.
        reduction: over the examples.
    """
    if name == "mse":
        classes = outputs.shape[1]
        wanted = F.one_hot(targets, classes).to(outputs.dtype)
        loss = F.mse_loss(outputs, wanted, reduction=reduction)
        return loss if reduction == "mean" else loss / classes
    return F.cross_entropy(outputs, targets, reduction=reduction)
