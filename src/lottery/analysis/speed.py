"""How long a training takes to become as accurate as the dense network.

An early stop says when the validation loss was lowest, which scatters widely and hides how much
sooner a ticket gets to a given accuracy. This measure asks for the first evaluation at which test
accuracy, averaged over 5 evaluations, reaches what the dense network of the same replicate has at
its early stop (averaged in the same way) less the margin. The dense network's own time is found in
the same way, so that a ratio of 1 means: as fast as dense. Simulated error rates: docs/verdict.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lottery.training.curve import CurvePoint

WINDOW: Final = 5
"""Evaluations that are averaged, two before and two after; fewer at the ends."""


def test_accuracies(curve: Sequence[CurvePoint]) -> tuple[NDArray[np.float64], ...]:
    """Iterations and test accuracies of a training, without the one at initialization."""
    points = [(p.iteration, p.accuracy) for p in curve if p.split == "test" and p.iteration > 0]
    return tuple(np.array(points, float).reshape(-1, 2).T)


def smoothed(accuracies: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over `WINDOW` evaluations around each, along the last axis.

    >>> smoothed(np.array([0.0, 3.0, 6.0, 9.0, 12.0, 30.0])).tolist()
    [3.0, 4.5, 6.0, 12.0, 14.25, 17.0]
    """
    n, reach = accuracies.shape[-1], WINDOW // 2
    sums = np.concatenate([np.zeros_like(accuracies[..., :1]), accuracies.cumsum(-1)], -1)
    first, last = np.maximum(np.arange(n) - reach, 0), np.minimum(np.arange(n) + reach + 1, n)
    means: NDArray[np.float64] = (sums[..., last] - sums[..., first]) / (last - first)
    return means


def target_accuracy(dense: Sequence[CurvePoint], early_stop: int, margin: float) -> float | None:
    """What has to be reached: the dense network's smoothed accuracy at early stop, less the margin.

    None where the curve has no test accuracy at that iteration.
    """
    iterations, accuracies = test_accuracies(dense)
    [at] = np.nonzero(iterations == early_stop)
    return float(smoothed(accuracies)[at[0]]) - margin if len(at) else None


def time_to_reach(curve: Sequence[CurvePoint], target: float) -> float:
    """The first iteration at which the smoothed test accuracy is the target; infinity if never."""
    iterations, accuracies = test_accuracies(curve)
    if not len(iterations):
        return math.inf
    reached = smoothed(accuracies) >= target
    return float(iterations[reached.argmax()]) if reached.any() else math.inf
