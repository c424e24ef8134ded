"""The statistics of estimates and comparisons: pure functions on numbers.

Few replicates are the normal case, so everything here is exact for small samples of normally
distributed values, and gives None where there is nothing to compute from.

Measurements lie on a grid: accuracies on multiples of 1 / test examples, early stops on multiples
of the evaluation interval. A few replicates can fall on the same point of it, and a sample standard
deviation of 0 would then claim a certainty that such a measurement cannot give. Rounding to a grid
of step r adds an error that is uniform over one step, whose standard deviation is ``r / sqrt(12)``.
So a sample standard deviation is never taken to be smaller than that, and no interval ends nearer
to its mean than r.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.special import stdtr, stdtrit

from lottery.analysis.types import Bound, Estimate

SMALLEST_DEVIATION = 1e-12
"""Differences that vary less than this vary by the rounding of floating point alone."""


def estimate(
    values: Mapping[int, float],
    confidence: float,
    *,
    resolution: float = 0.0,
    bounds: Mapping[int, Bound] | None = None,
) -> Estimate:
    """The mean over replicates and its two-sided t-interval.

    The interval is ``mean +- max(r, t * s / sqrt(n))`` with s the sample standard deviation (at
    least ``r / sqrt(12)``), r the resolution and t the quantile ``(1 + confidence) / 2`` of
    Student's distribution with n - 1 degrees of freedom (Student 1908, Biometrika 6). It is not
    clipped: the interval of an accuracy may reach above 1.

    Args:
        values: replicate -> finite value, at least one.
        confidence: in (0, 1).
        resolution: the step of the grid that values lie on, 0 or more; 0 when it is not known.
        bounds: replicates whose value is only a bound, and which; passed on.

    Returns:
        The estimate; without an interval when there is a single value, or when values do not vary
        and the resolution is not known.

    Raises:
        ValueError: there are no values, one is not finite, or an argument is out of range.

    >>> found = estimate({0: 1.0, 1: 3.0}, 0.5)
    >>> found.mean, round(found.low, 6), round(found.high, 6)
    (2.0, 1.0, 3.0)
    """
    ordered = {replicate: float(values[replicate]) for replicate in sorted(values)}
    found = paired_difference(list(ordered.values()), resolution=resolution, confidence=confidence)
    return Estimate(
        mean=found.mean, low=found.low, high=found.high, values=ordered, bounds=dict(bounds or {})
    )


def estimate_ratio(
    ratios: Mapping[int, float],
    confidence: float,
    *,
    resolution: float = 0.0,
    bounds: Mapping[int, Bound] | None = None,
) -> Estimate:
    """The geometric mean of ratios and its interval: `estimate` of their logarithms.

    Args:
        ratios: replicate -> finite ratio above 0, at least one.
        confidence: in (0, 1).
        resolution: the smallest relative change that could be measured, 0 or more.
        bounds: replicates whose ratio is only a bound, and which; passed on.

    Raises:
        ValueError: there are no ratios, one is not finite or not positive, or an argument is out
            of range.

    >>> found = estimate_ratio({0: 0.5, 1: 2.0}, 0.5)
    >>> round(found.mean, 6), round(found.low, 6), round(found.high, 6)
    (1.0, 0.5, 2.0)
    """
    if not all(0 < ratio < math.inf for ratio in ratios.values()):
        raise ValueError(f"expected finite ratios above 0, got {dict(ratios)}")
    logs = {replicate: math.log(ratio) for replicate, ratio in ratios.items()}
    found = estimate(logs, confidence, resolution=math.log1p(resolution), bounds=bounds)
    low, high = (None if end is None else math.exp(end) for end in (found.low, found.high))
    return Estimate(
        mean=math.exp(found.mean),
        low=low,
        high=high,
        values={replicate: ratios[replicate] for replicate in sorted(ratios)},
        bounds=found.bounds,
    )


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
    return _tested(mean, deviation / math.sqrt(n), n - 1, confidence, resolution)


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
    deviations = max(spread, least), max(other_spread, least)
    largest = max(deviations)
    if largest < SMALLEST_DEVIATION:
        return Difference(mean=mean - other)
    # Shares of the largest, since squares of small or large numbers do not fit.
    a, b = ((s / largest) ** 2 / len(of) for s, of in zip(deviations, (left, right), strict=True))
    error = largest * math.sqrt(a + b)
    x, y = a / (a + b), b / (a + b)
    degrees = 1 / (x**2 / (len(left) - 1) + y**2 / (len(right) - 1))
    return _tested(mean - other, error, degrees, confidence, resolution)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction for several tests (Holm 1979, Scand. J. Statist. 6, 65-70).

    The k-th smallest of m p-values becomes the largest of ``(m - j + 1) * p_j`` over j = 1..k, at
    most 1. Rejecting where the result is below alpha keeps the chance of even one false rejection
    below alpha, however the tests depend on one another.

    Args:
        p_values: each in [0, 1], or None for a test that could not be made.

    Returns:
        The corrected p-values in the same order; None stays None and does not count.

    Raises:
        ValueError: a p-value lies outside [0, 1].

    >>> holm([0.25, None, 0.125])
    [0.25, None, 0.25]
    """
    made = [(p, place) for place, p in enumerate(p_values) if p is not None]
    if any(not 0 <= p <= 1 for p, _ in made):
        raise ValueError(f"expected p-values in [0, 1], got {list(p_values)}")
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(sorted(made)):
        largest = max(largest, min(1.0, (len(made) - rank) * p))
        corrected[place] = largest
    return corrected


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n - 1), the same in any order of the values.

    The deviation is None for a single value.

    Raises:
        ValueError: there are no values, or one is not finite.
    """
    if not values or not all(math.isfinite(value) for value in values):
        raise ValueError(f"expected one or more finite numbers, got {list(values)}")
    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return mean, None
    # hypot scales, so that squares of large numbers do not overflow.
    return mean, math.hypot(*sorted(value - mean for value in values)) / math.sqrt(n - 1)


def check_confidence(confidence: float) -> None:
    """Raise ValueError unless the confidence lies between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence between 0 and 1, got {confidence}")


def _tested(
    mean: float, error: float, degrees: float, confidence: float, resolution: float
) -> Difference:
    if error < SMALLEST_DEVIATION:
        return Difference(mean=mean)
    quantile = float(stdtrit(degrees, (1 + confidence) / 2))
    # The same error for both, so that an interval leaves out 0 exactly where the test passes.
    error = max(error, resolution / quantile)
    t, half = mean / error, quantile * error
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
