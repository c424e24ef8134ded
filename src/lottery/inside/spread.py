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


def half_interval(values: Sequence[float], confidence: float = 0.95) -> float | None:
    """Half the two-sided t-interval of the mean; None of fewer than two."""
    deviation = spread(values)
    if deviation is None:
        return None
    quantile = float(stdtrit(len(values) - 1, (1 + confidence) / 2))
    return quantile * deviation / math.sqrt(len(values))
