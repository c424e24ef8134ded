"""Intervals of means of a few values."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from lottery.inside.spread import half_interval, mean, spread


def test_the_interval_is_students() -> None:
    values = [0.1, 0.3, 0.2, 0.6]
    low, high = stats.t.interval(0.95, 3, 0.3, stats.sem(values))
    assert half_interval(values) == pytest.approx((high - low) / 2)
    assert (mean([]), spread([1.0]), half_interval([1.0])) == (None, None, None)


def test_values_on_one_point_of_a_grid_are_no_certainty() -> None:
    assert half_interval([0.5, 0.5]) is None
    hidden = 0.01 / math.sqrt(12) * float(stats.t.ppf(0.975, 1)) / math.sqrt(2)
    assert half_interval([0.5, 0.5], resolution=0.01) == pytest.approx(hidden)
    assert half_interval([0.5] * 50, resolution=0.01) == pytest.approx(0.01)
