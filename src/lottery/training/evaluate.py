"""Evaluation of a network on a whole split."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from lottery.data.dataset import Split

# Large batches cost the least per example; this bounds what their activations take.
_EVALUATION_BATCH = 2_500


def evaluate(model: nn.Module, split: Split) -> tuple[float, float]:
    """Mean cross-entropy (nats) and accuracy (fraction in [0, 1]) over all of ``split``.

    Batch losses are added up in float64. The model's training mode is put back afterwards.

    Args:
        model: on the split's device.
        split: one example or more.
    """
    was_training = model.training
    model.eval()
    loss, correct = 0.0, 0
    with torch.inference_mode():
        for inputs, targets in zip(
            split.inputs.split(_EVALUATION_BATCH),
            split.targets.split(_EVALUATION_BATCH),
            strict=True,
        ):
            logits = model(inputs)
            loss += float(F.cross_entropy(logits, targets, reduction="sum"))
            correct += int((logits.argmax(dim=1) == targets).sum())
    model.train(was_training)
    return loss / len(split), correct / len(split)
