"""Means over trainings and how much these differ; None where there is nothing to say."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from scipy.special import stdtrit


def mean(values: Sequence[float]) -> float | None:
    """The mean; None of nothing."""
    return statistics.fmean(values) if values else None


def spread(values: Sequence[float]) -> float | None:
    """The sample's standard deviation; None of fewer than two."""
    return statistics.stdev(values) if len(values) > 1 else None


def half_interval(values: Sequence[float], *, resolution: float = 0.0) -> float | None:
    """Half the two-sided 95% t-interval of the mean; None of fewer than two.

    Args:
        values: any.
        resolution: the step of the grid that values lie on: a few of them can land on one point of
            it, which is no certainty. What the grid hides deviates by ``step / sqrt(12)``, and no
            interval ends nearer than a step. 0: not known; then None of values that are equal.
    """
    deviation = spread(values)
    if deviation is None or not (deviation or resolution):
        return None
    quantile = float(stdtrit(len(values) - 1, 0.975))
    deviation = max(deviation, resolution / math.sqrt(12))
    return max(resolution, quantile * deviation / math.sqrt(len(values)))
