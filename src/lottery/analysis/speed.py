"""How long a training takes to become as accurate as the dense network.

The early stop, the iteration of lowest validation loss, scatters widely and hides how much sooner a
ticket reaches a given accuracy. The time measured here is the first evaluation at which the test
accuracy, averaged over 5 evaluations, reaches that of the dense network of the same replicate at
its early stop (averaged in the same way) less the margin. The dense network's own time is measured
in the same way, so that a ratio of 1 means: as fast as dense. Simulated error rates:
docs/verdict.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lottery.score import ACCURACY, Score
from lottery.training.curve import CurvePoint

WINDOW: Final = 5
"""Evaluations that are averaged, two before and two after; fewer at the ends."""


def test_scores(curve: Sequence[CurvePoint], score: Score) -> tuple[NDArray[np.float64], ...]:
    """Iterations and test scores of a training, float64 (evaluations,) each.

    The evaluation at initialization is left out. Scores are in their direction: more is better.
    """
    points = [
        (p.iteration, score.oriented(p.values[score.name]))
        for p in curve
        if p.split == "test" and p.iteration > 0 and score.name in p.values
    ]
    return tuple(np.array(points, float).reshape(-1, 2).T)


def moving_average(accuracies: NDArray[np.float64]) -> NDArray[np.float64]:
    """The centred moving average over `WINDOW` evaluations along the last axis; fewer at the ends.

    >>> moving_average(np.array([0.0, 3.0, 6.0, 9.0, 12.0, 30.0])).tolist()
    [3.0, 4.5, 6.0, 12.0, 14.25, 17.0]
    """
    n, reach = accuracies.shape[-1], WINDOW // 2
    sums = np.concatenate([np.zeros_like(accuracies[..., :1]), accuracies.cumsum(-1)], -1)
    first, last = np.maximum(np.arange(n) - reach, 0), np.minimum(np.arange(n) + reach + 1, n)
    means: NDArray[np.float64] = (sums[..., last] - sums[..., first]) / (last - first)
    return means


def target_score(dense: Sequence[CurvePoint], early_stop: int, score: Score) -> float | None:
    """The score to reach: the dense network's at early stop, smoothed, less the margin.

    None where the curve has no test score at that iteration, or there is no margin.
    """
    iterations, scores = test_scores(dense, score)
    [at] = np.nonzero(iterations == early_stop)
    if score.margin is None or not len(at):
        return None
    return float(moving_average(scores)[at[0]]) - score.margin


def time_to_reach(curve: Sequence[CurvePoint], target: float, score: Score = ACCURACY) -> float:
    """The first iteration at which the smoothed test score reaches the target; infinity if
    never."""
    iterations, scores = test_scores(curve, score)
    if not len(iterations):
        return math.inf
    reached = moving_average(scores) >= target
    return float(iterations[reached.argmax()]) if reached.any() else math.inf
