"""The losses that training minimizes and evaluation measures."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lottery.training.config import LossName


def batch_loss(
    name: LossName,
    outputs: Tensor,
    targets: Tensor,
    *,
    reduction: Literal["mean", "sum"] = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The loss of a batch, a scalar of the outputs' type; of 16-bit outputs in float32.

    An example's cross-entropy is in nats. Its squared error is the mean over the outputs of the
    squared difference between output and target, which is 1 for the right class and 0 for others.

    Args:
        name: which loss.
        outputs: what the network gives, ``[N, classes]``.
        targets: class numbers, int64 ``[N]``.
        reduction: over the examples.
        label_smoothing: for cross-entropy, the share of each target that is spread evenly over all
            classes, in [0, 1): the loss becomes (1 - share) of the target's plus share of the mean
            over all classes (Szegedy et al. 2015, arXiv:1512.00567, section 7).
    """
    if outputs.dtype in (torch.bfloat16, torch.float16):
        outputs = outputs.float()
    if name == "mse":
        classes = outputs.shape[1]
        wanted = F.one_hot(targets, classes).to(outputs.dtype)
        loss = F.mse_loss(outputs, wanted, reduction=reduction)
        return loss if reduction == "mean" else loss / classes
    return F.cross_entropy(outputs, targets, reduction=reduction, label_smoothing=label_smoothing)
