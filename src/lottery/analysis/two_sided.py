"""Two-sided t-tests of how far one mean lies from another, with their intervals.

As in `lottery.analysis.statistics`, a sample deviation is never taken to be smaller than what the
grid of measurements hides, r / sqrt(12) for a step of r. Test and interval use the same deviation,
so an interval leaves out 0 exactly where the test passes.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtr, stdtrit

from lottery.analysis.statistics import SMALLEST_DEVIATION, check_confidence, mean_and_deviation


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A difference between two means; all but the mean is None where nothing can be tested."""

    mean: float
    low: float | None = None
    """Lower end of the t-interval."""
    high: float | None = None
    degrees: float | None = None
    """Degrees of freedom of the t-distribution."""
    p: float | None = None
    """Two-sided p-value that the true difference is 0."""
    p_above: float | None = None
    """One-sided p-value, small where the difference lies above 0."""
    p_below: float | None = None
    """One-sided p-value, small where the difference lies below 0."""


def paired_difference(
    differences: Sequence[float], *, resolution: float, confidence: float
) -> Difference:
    """The mean of paired differences: ``t = mean * sqrt(n) / s`` with n - 1 degrees (Student 1908).

    Args:
        differences: one a pair, finite, at least one.
        resolution: the step of the grid they lie on, 0 or more; 0 when it is not known.
        confidence: of the interval, in (0, 1).

    Raises:
        ValueError: an argument is out of range.

    >>> found = paired_difference([1.0, 3.0], resolution=0.0, confidence=0.5)
    >>> found.mean, round(found.low, 6), round(found.p, 4)
    (2.0, 1.0, 0.2952)
    """
    _check(resolution, confidence)
    mean, deviation = mean_and_deviation(differences)
    if deviation is None:
        return Difference(mean=mean)
    n = len(differences)
    deviation = max(deviation, resolution / math.sqrt(12))
    return _tested(mean, deviation / math.sqrt(n), n - 1, confidence)


def independent_difference(
    left: Sequence[float], right: Sequence[float], *, resolution: float, confidence: float
) -> Difference:
    """The mean of ``left`` minus that of ``right``, after Welch (1947, Biometrika 34).

    With ``a = s^2 / n`` of the left sample and b of the right, ``t = difference / sqrt(a + b)`` and
    the degrees of freedom are ``(a + b)^2 / (a^2 / (n - 1) + b^2 / (m - 1))``. The samples may have
    different sizes and deviations.

    Args:
        left: finite, at least one.
        right: the same, independent of ``left``.
        resolution: the step of the grid they lie on, 0 or more; 0 when it is not known.
        confidence: of the interval, in (0, 1).

    Raises:
        ValueError: an argument is out of range.

    >>> independent_difference([1.0, 3.0], [0.0, 2.0], resolution=0.0, confidence=0.9).degrees
    2.0
    """
    _check(resolution, confidence)
    (mean, spread), (other, other_spread) = mean_and_deviation(left), mean_and_deviation(right)
    if spread is None or other_spread is None:
        return Difference(mean=mean - other)
    least = resolution / math.sqrt(12)
    a = max(spread, least) ** 2 / len(left)
    b = max(other_spread, least) ** 2 / len(right)
    if math.sqrt(a + b) < SMALLEST_DEVIATION:
        return Difference(mean=mean - other)
    # Shares of the variance, since the squares of small variances would underflow.
    x, y = a / (a + b), b / (a + b)
    degrees = 1 / (x**2 / (len(left) - 1) + y**2 / (len(right) - 1))
    return _tested(mean - other, math.sqrt(a + b), degrees, confidence)


def _tested(mean: float, error: float, degrees: float, confidence: float) -> Difference:
    if error < SMALLEST_DEVIATION:
        return Difference(mean=mean)
    t = mean / error
    half = float(stdtrit(degrees, (1 + confidence) / 2)) * error
    above, below = (max(float(stdtr(degrees, x)), sys.float_info.min) for x in (-t, t))
    return Difference(
        mean=mean,
        low=mean - half,
        high=mean + half,
        degrees=degrees,
        p=min(1.0, 2 * min(above, below)),
        p_above=above,
        p_below=below,
    )


def _check(resolution: float, confidence: float) -> None:
    check_confidence(confidence)
    if not (resolution >= 0 and math.isfinite(resolution)):
        raise ValueError(f"expected resolution >= 0 and finite, got {resolution}")
