"""The few statistics a verdict needs: pure functions on numbers.

Few replicates is the normal case, so everything here is exact for small samples of normally
distributed differences, and says None where there is nothing to compute from.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence

from scipy.special import stdtr, stdtrit

from lottery.analysis.types import Estimate

SMALLEST_DEVIATION = 1e-12
"""Differences that vary less than this vary by the rounding of floating point alone."""


def estimate(values: Mapping[int, float], confidence: float) -> Estimate:
    """The mean over replicates and its two-sided t-interval.

    The interval is ``mean +- t * s / sqrt(n)`` with s the sample deviation and t the quantile
    ``(1 + confidence) / 2`` of Student's distribution with n - 1 degrees of freedom (Student 1908,
    Biometrika 6). It is not clipped: the interval of an accuracy may reach above 1.

    Args:
        values: replicate -> finite value, at least one.
        confidence: in (0, 1).

    Returns:
        The estimate; without an interval when there is a single value.

    Raises:
        ValueError: there are no values, one is not finite, or the confidence is out of range.

    >>> found = estimate({0: 1.0, 1: 3.0}, 0.5)
    >>> found.mean, round(found.low, 6), round(found.high, 6)
    (2.0, 1.0, 3.0)
    """
    check_confidence(confidence)
    ordered = {replicate: float(values[replicate]) for replicate in sorted(values)}
    mean, deviation = mean_and_deviation(list(ordered.values()))
    if deviation is None:
        return Estimate(mean=mean, low=None, high=None, values=ordered)
    n = len(ordered)
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * deviation / math.sqrt(n)
    return Estimate(mean=mean, low=mean - half, high=mean + half, values=ordered)


def one_sided_t(differences: Sequence[float], margin: float, resolution: float) -> float | None:
    """The p-value of a paired one-sided t-test that the mean difference lies above ``-margin``.

    ``t = (mean + margin) * sqrt(n) / s``, and p is the chance of a larger t when the true mean is
    exactly ``-margin``. With a margin above 0 this is a non-inferiority test: it shows "not worse
    by more than the margin" (Schuirmann 1987, J. Pharmacokinet. Biopharm. 15, one of his two
    one-sided tests).

    Measurements lie on a grid: accuracies on multiples of 1 / test examples, early-stop iterations
    on multiples of the evaluation interval. A few replicates can land on the same grid point, and
    their sample deviation of 0 would claim a certainty that the grid cannot give. What a grid of
    step r hides is uniform over one step and has the deviation ``r / sqrt(12)``; s is never taken
    to be smaller than that.

    Args:
        differences: one a replicate, finite.
        margin: what is added to the mean difference in favour of the claim; finite.
        resolution: the step of the grid, 0 or more; 0 when it is not known.

    Returns:
        p in (0, 1]; None with fewer than two differences, or when they do not vary at all and the
        resolution is not known.

    Raises:
        ValueError: a value is not finite or the resolution is negative.

    >>> round(one_sided_t([0.0, 0.0, 0.0], margin=1.0, resolution=1.0), 4)
    0.0133
    """
    if not resolution >= 0 or not math.isfinite(resolution + margin):
        raise ValueError(f"expected resolution >= 0 and finite, got {resolution=}, {margin=}")
    if not differences:
        return None
    mean, deviation = mean_and_deviation(differences)
    if deviation is None:
        return None
    deviation = max(deviation, resolution / math.sqrt(12))
    if deviation < SMALLEST_DEVIATION:
        return None
    n = len(differences)
    t = (mean + margin) * math.sqrt(n) / deviation
    return max(float(stdtr(n - 1, -t)), sys.float_info.min)


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
    """The mean and the sample deviation, the same in any order; no deviation of a single value."""
    if not values or not all(math.isfinite(value) for value in values):
        raise ValueError(f"expected one or more finite numbers, got {list(values)}")
    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return mean, None
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))


def check_confidence(confidence: float) -> None:
    """Raise ValueError unless the confidence lies between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence between 0 and 1, got {confidence}")
