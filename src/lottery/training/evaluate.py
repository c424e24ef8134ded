"""Evaluation of a network on a whole split."""

from __future__ import annotations

import math

import torch
from torch import nn

from lottery.data.dataset import Dataset, SplitName
from lottery.training.config import LossName
from lottery.training.loss import batch_loss

# Large batches cost the least per example; this bounds what their activations take, which grow
# with the size of an image: 2,500 of CIFAR's or smaller, 51 of 224 x 224.
_MOST_EXAMPLES = 2_500
_MOST_NUMBERS = _MOST_EXAMPLES * 3 * 32 * 32


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
    most = max(1, min(_MOST_EXAMPLES, _MOST_NUMBERS // math.prod(data.input_shape)))
    with torch.inference_mode():
        for first in range(0, examples, most):
            inputs, targets = data.batch(name, slice(first, first + most), dtype)
            outputs = model(inputs)
            total += float(batch_loss(loss, outputs, targets, reduction="sum"))
            correct += int((outputs.argmax(dim=1) == targets).sum())
    model.train(was_training)
    return total / examples, correct / examples


def input_dtype(model: nn.Module) -> torch.dtype:
    """What a network wants its inputs in: the type of its first parameter of floats."""
    return next(
        (weight.dtype for weight in model.parameters() if weight.is_floating_point()),
        torch.float32,
    )
