"""Means over trainings and how much these differ; None where there are too few of them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from lottery.analysis.statistics import paired_difference


def mean(values: Sequence[float]) -> float | None:
    """The mean; None if there are no values."""
    return statistics.fmean(values) if values else None


def spread(values: Sequence[float]) -> float | None:
    """The sample standard deviation (n - 1); None for fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else None


def half_interval(
    values: Sequence[float], *, confidence: float = 0.95, resolution: float = 0.0
) -> float | None:
    """Half the two-sided t-interval of the mean; None for fewer than two values, and for equal
    ones.

    Args:
        values: finite numbers.
        confidence: in (0, 1).
        resolution: the step of the grid that values lie on, see `lottery.analysis.statistics`; 0 if
            it is not known. If it is known, equal values have an interval, too.
    """
    if not values:
        return None
    found = paired_difference(values, resolution=resolution, confidence=confidence)
    return None if found.low is None else found.mean - found.low
