"""Losses of 64 examples side by side, and their gradients."""

from __future__ import annotations

import math

from lottery.training.engines.sparse_cpu.compiled import compiled
from lottery.training.engines.sparse_cpu.kernels import Floats, Integers, clear

CROSS_ENTROPY, MSE = 0, 1


@compiled
def grad_outputs(
    loss: int, outputs: Floats, targets: Integers, lanes: int, examples: int, out: Floats
) -> float:
    """The sum of the examples' losses; writes the gradients of the batch's mean loss to ``out``.

    Args:
        loss: `CROSS_ENTROPY` or `MSE`.
        outputs: ``[classes, 64]``.
        targets: classes, int64 ``[64]``.
        lanes: how many of the 64 are examples.
        examples: how many the batch has, in all blocks.
        out: the gradients, ``[classes, 64]``; zero beyond ``lanes``.
    """
    classes = len(outputs)
    clear(out)
    total = 0.0
    for lane in range(lanes):
        target = targets[lane]
        if loss == CROSS_ENTROPY:
            total += _shares(outputs, lane, out) - outputs[target, lane]
            share = outputs.dtype.type(1 / examples)
            for c in range(classes):
                out[c, lane] *= share
            out[target, lane] -= share
        else:
            total += _squares(outputs, lane, target)
            share = outputs.dtype.type(2 / (examples * classes))
            for c in range(classes):
                out[c, lane] = outputs[c, lane] * share
            out[target, lane] -= share
    return total


@compiled
def loss_and_correct(
    loss: int, outputs: Floats, targets: Integers, lanes: int
) -> tuple[float, int]:
    """The sum of the examples' losses, and how many are classified correctly.

    Args:
        loss: `CROSS_ENTROPY` or `MSE`.
        outputs: ``[classes, 64]``.
        targets: classes, int64 ``[64]``.
        lanes: how many of the 64 are examples.
    """
    total, right = 0.0, 0
    for lane in range(lanes):
        if loss == CROSS_ENTROPY:
            total += _log_sum(outputs, lane) - outputs[targets[lane], lane]
        else:
            total += _squares(outputs, lane, targets[lane])
        best = 0
        for c in range(1, len(outputs)):
            if outputs[c, lane] > outputs[best, lane]:
                best = c
        right += best == targets[lane]
    return total, right


@compiled
def _log_sum(outputs: Floats, lane: int) -> float:
    """The logarithm of the sum of the exponentials; the largest is taken out first."""
    largest = outputs[0, lane]
    for c in range(1, len(outputs)):
        largest = max(largest, outputs[c, lane])
    total = outputs.dtype.type(0)
    for c in range(len(outputs)):
        total += math.exp(outputs[c, lane] - largest)
    return float(largest + math.log(total))


@compiled
def _shares(outputs: Floats, lane: int, out: Floats) -> float:
    """Softmax of one lane into ``out``; returns `_log_sum`."""
    largest = outputs[0, lane]
    for c in range(1, len(outputs)):
        largest = max(largest, outputs[c, lane])
    total = outputs.dtype.type(0)
    for c in range(len(outputs)):
        out[c, lane] = math.exp(outputs[c, lane] - largest)
        total += out[c, lane]
    for c in range(len(outputs)):
        out[c, lane] /= total
    return float(largest + math.log(total))


@compiled
def _squares(outputs: Floats, lane: int, target: int) -> float:
    """Mean over the classes."""
    total = 0.0
    for c in range(len(outputs)):
        error = outputs[c, lane] - (1 if c == target else 0)
        total += error * error
    return total / len(outputs)
