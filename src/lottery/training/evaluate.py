"""Evaluation of a network on a whole split."""

from __future__ import annotations

import torch
from torch import nn

from lottery.data.dataset import Split
from lottery.training.config import LossName
from lottery.training.loss import batch_loss

# Large batches cost the least per example; this bounds what their activations take.
_EVALUATION_BATCH = 2_500


def evaluate(
    model: nn.Module, split: Split, loss: LossName = "cross-entropy"
) -> tuple[float, float]:
    """Mean loss and accuracy (fraction in [0, 1]) over all of ``split``.

    Batch losses are added up in float64. The model's training mode is put back afterwards.

    Args:
        model: on the split's device.
        split: one example or more.
        loss: cross-entropy, in nats; or the squared error, a mean over the outputs as well.
    """
    was_training = model.training
    model.eval()
    total, correct = 0.0, 0
    with torch.inference_mode():
        for inputs, targets in zip(
            split.inputs.split(_EVALUATION_BATCH),
            split.targets.split(_EVALUATION_BATCH),
            strict=True,
        ):
            outputs = model(inputs)
            total += float(batch_loss(loss, outputs, targets, reduction="sum"))
            correct += int((outputs.argmax(dim=1) == targets).sum())
    model.train(was_training)
    return total / len(split), correct / len(split)
