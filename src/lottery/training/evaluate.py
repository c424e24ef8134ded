"""Evaluation of a network on a whole split."""

from __future__ import annotations

import torch
from torch import nn

from lottery.data.dataset import Dataset, SplitName
from lottery.training.config import LossName
from lottery.training.loss import batch_loss

# Large batches cost the least per example; this bounds what their activations take.
_EVALUATION_BATCH = 2_500


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
    with torch.inference_mode():
        for first in range(0, examples, _EVALUATION_BATCH):
            inputs, targets = data.batch(name, slice(first, first + _EVALUATION_BATCH), dtype)
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
