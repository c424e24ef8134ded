"""Evaluation of a network on a whole split."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from lottery.data.dataset import Dataset, SplitName
from lottery.training.config import LossName
from lottery.training.loss import batch_loss

# A GPU has the most to do with large batches. A CPU is fastest where activations fit its caches.
_ON_A_CPU, _ON_A_GPU = 100, 2_500
# Bounds what activations take: 2,500 images of CIFAR's size or smaller, 51 of 224 x 224.
_MOST_NUMBERS = 2_500 * 3 * 32 * 32


def evaluate(
    model: nn.Module, data: Dataset, name: SplitName, loss: LossName = "cross-entropy"
) -> tuple[float, float]:
    """Mean loss and accuracy (fraction in [0, 1]) over all of a split, never augmented.

    Batch losses are added up in float64. The model's training mode is put back afterwards.

    Args:
        model: on the data's device.
        data: one example or more in the split.
        name: of the split.
        loss: cross-entropy, in nats; or the squared error, a mean over the outputs as well.
    """
    was_training = model.training
    model.eval()
    total, correct, examples = 0.0, 0, len(data.split(name))
    dtype = input_dtype(model)
    most = evaluation_batch(data.input_shape, data.test.targets.device)
    with torch.inference_mode():
        for first in range(0, examples, most):
            inputs, targets = data.batch(name, slice(first, first + most), dtype)
            outputs = model(inputs)
            total += float(batch_loss(loss, outputs, targets, reduction="sum"))
            correct += int((outputs.argmax(dim=1) == targets).sum())
    model.train(was_training)
    return total / examples, correct / examples


def evaluation_batch(input_shape: Sequence[int], device: torch.device) -> int:
    """How many examples are evaluated in one batch, 1 or more.

    Args:
        input_shape: of one example.
        device: where.

    >>> evaluation_batch((3, 32, 32), torch.device("cpu"))
    100
    """
    fastest = _ON_A_CPU if device.type == "cpu" else _ON_A_GPU
    return max(1, min(fastest, _MOST_NUMBERS // math.prod(input_shape)))


def input_dtype(model: nn.Module) -> torch.dtype:
    """The dtype of a network's inputs: that of its first floating-point parameter, else float32."""
    return next(
        (weight.dtype for weight in model.parameters() if weight.is_floating_point()),
        torch.float32,
    )
