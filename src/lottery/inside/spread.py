"""Means over trainings and how much these differ; None where there is nothing to say."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from lottery.analysis.statistics import paired_difference


def mean(values: Sequence[float]) -> float | None:
    """The mean; None of nothing."""
    return statistics.fmean(values) if values else None


def spread(values: Sequence[float]) -> float | None:
    """The sample's standard deviation; None of fewer than two."""
    return statistics.stdev(values) if len(values) > 1 else None


def half_interval(
    values: Sequence[float], *, confidence: float = 0.95, resolution: float = 0.0
) -> float | None:
    """Half the two-sided t-interval of the mean; None of fewer than two, and of equal ones.

    Args:
        values: any.
        confidence: in (0, 1).
        resolution: the step of the grid that values lie on, see `lottery.analysis.statistics`; with
            one, equal values have an interval too. 0: not known.
    """
    if not values:
        return None
    found = paired_difference(values, resolution=resolution, confidence=confidence)
    return None if found.low is None else found.mean - found.low
