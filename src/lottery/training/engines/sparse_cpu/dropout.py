"""Dropout without state: each decision is a hash of key, step, layer and position.

The state of a random generator would have to be kept in checkpoints, and blocks could not be
computed independently.
"""

from __future__ import annotations

import numpy as np

from lottery.training.engines.sparse_cpu.compiled import compiled
from lottery.training.engines.sparse_cpu.kernels import Floats


@compiled
def stream_key(key: int, iteration: int, layer: int) -> np.uint64:
    """The key of one layer in one step.

    Args:
        key: of the training, uint64.
        iteration: the step.
        layer: its number.
    """
    return _mixed(_mixed(np.uint64(key) + np.uint64(iteration)) + np.uint64(layer))


@compiled
def apply_dropout(key: np.uint64, share: float, block: int, outputs: Floats) -> None:
    """Set a share of the outputs to zero and scale the others up to keep the mean.

    Args:
        key: of the layer and step, uint64.
        share: in (0, 1).
        block: which 64 examples of the batch.
        outputs: ``[outputs, 64]``, changed in place.
    """
    scale = outputs.dtype.type(1 / (1 - share))
    for row in range(outputs.shape[0]):
        for lane in range(outputs.shape[1]):
            kept = _kept(key, share, block, row, lane, outputs.shape[0])
            outputs[row, lane] = outputs[row, lane] * scale if kept else outputs.dtype.type(0)


@compiled
def backward_dropout(
    key: np.uint64, share: float, block: int, outputs: Floats, grad_outputs: Floats
) -> None:
    """Gradients of dropout's inputs from those of its outputs; ``outputs`` are scaled back."""
    scale = outputs.dtype.type(1 / (1 - share))
    for row in range(outputs.shape[0]):
        for lane in range(outputs.shape[1]):
            kept = _kept(key, share, block, row, lane, outputs.shape[0])
            grad_outputs[row, lane] = (
                grad_outputs[row, lane] * scale if kept else grad_outputs.dtype.type(0)
            )
            outputs[row, lane] /= scale


@compiled
def _kept(key: np.uint64, share: float, block: int, row: int, lane: int, rows: int) -> bool:
    place = np.uint64((block * rows + row) * 64 + lane)
    return bool((_mixed(key + place) >> np.uint64(11)) >= np.uint64(share * 2.0**53))


@compiled
def _mixed(value: np.uint64) -> np.uint64:
    """A 64-bit hash: the output function of SplitMix64 (Steele, Lea & Flood 2014, figure 17)."""
    value = value * np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
