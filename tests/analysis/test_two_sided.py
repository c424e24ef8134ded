"""Two-sided tests against scipy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from lottery.analysis import one_sided_t
from lottery.analysis.two_sided import independent_difference, paired_difference

quick = settings(max_examples=60, deadline=None)
numbers = st.floats(-100, 100).map(lambda x: round(x, 4))
samples = st.lists(numbers, min_size=2, max_size=9)


@quick
@given(samples, samples, st.floats(0.5, 0.99))
def test_welch_is_scipys(left: list[float], right: list[float], confidence: float) -> None:
    assume(min(np.std(left), np.std(right)) > 1e-2)
    expected = stats.ttest_ind(left, right, equal_var=False)
    interval = expected.confidence_interval(confidence)
    found = independent_difference(left, right, resolution=0.0, confidence=confidence)
    assert found.mean == pytest.approx(np.mean(left) - np.mean(right), abs=1e-9)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert found.degrees == pytest.approx(expected.df, rel=1e-6)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6)


@quick
@given(samples, st.floats(0.5, 0.99))
def test_paired_is_scipys(differences: list[float], confidence: float) -> None:
    assume(np.std(differences) > 1e-2)
    expected = stats.ttest_1samp(differences, 0.0)
    interval = expected.confidence_interval(confidence)
    found = paired_difference(differences, resolution=0.0, confidence=confidence)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert found.degrees == len(differences) - 1
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6)


@quick
@given(samples, samples, st.sampled_from([0.0, 0.1, 5.0]))
def test_the_two_sides_mirror_each_other(
    left: list[float], right: list[float], resolution: float
) -> None:
    assume(np.std(left) > 1e-2)
    one = independent_difference(left, right, resolution=resolution, confidence=0.9)
    other = independent_difference(right, left, resolution=resolution, confidence=0.9)
    assert one.mean == -other.mean
    assert (one.p_above, one.p_below) == (other.p_below, other.p_above)
    assert one.p == pytest.approx(min(1.0, 2 * min(one.p_above or 2, one.p_below or 2)))


@quick
@given(samples, st.sampled_from([0.0, 0.1, 5.0]))
def test_the_sides_of_a_paired_test_are_the_verdicts(
    differences: list[float], resolution: float
) -> None:
    found = paired_difference(differences, resolution=resolution, confidence=0.9)
    above = one_sided_t(differences, 0.0, resolution)
    below = one_sided_t([-x for x in differences], 0.0, resolution)
    assert found.p_above == (above if above is None else pytest.approx(above))
    assert found.p_below == (below if below is None else pytest.approx(below))


@quick
@given(samples, samples, st.sampled_from([0.0, 0.1, 5.0]), st.floats(0.5, 0.99))
def test_the_interval_leaves_out_zero_where_the_test_passes(
    left: list[float], right: list[float], resolution: float, confidence: float
) -> None:
    paired = left[: len(right)]
    for found in (
        independent_difference(left, right, resolution=resolution, confidence=confidence),
        paired_difference(paired, resolution=resolution, confidence=confidence),
    ):
        if found.p is None or abs(found.p - (1 - confidence)) < 1e-9:
            continue
        assert found.low is not None
        assert found.high is not None
        assert (found.p < 1 - confidence) == (not found.low <= 0 <= found.high)


def test_values_on_one_grid_point_have_the_deviation_of_the_grid() -> None:
    """Both samples of 4 are taken to have a deviation of 0.1 / sqrt(12)."""
    found = independent_difference([0.5] * 4, [0.4] * 4, resolution=0.1, confidence=0.95)
    error = math.sqrt(2 * (0.1**2 / 12) / 4)
    assert found.degrees == pytest.approx(6)
    assert found.p == pytest.approx(2 * stats.t.sf(0.1 / error, 6), rel=1e-6)
    assert independent_difference([0.5] * 4, [0.4] * 4, resolution=0.0, confidence=0.9).p is None


@pytest.mark.parametrize(("left", "right"), [([1.0], [2.0, 3.0]), ([1.0, 2.0], [3.0])])
def test_one_value_on_a_side_is_not_tested(left: list[float], right: list[float]) -> None:
    found = independent_difference(left, right, resolution=0.1, confidence=0.95)
    assert found.mean == np.mean(left) - np.mean(right)
    assert (found.low, found.high, found.p, found.p_above) == (None, None, None, None)


def test_one_pair_is_not_tested() -> None:
    found = paired_difference([0.3], resolution=0.1, confidence=0.95)
    assert (found.mean, found.low, found.p) == (0.3, None, None)


@pytest.mark.parametrize(("resolution", "confidence"), [(-1.0, 0.95), (math.nan, 0.95), (0.0, 1.0)])
def test_what_is_out_of_range_is_refused(resolution: float, confidence: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        paired_difference([1.0, 2.0], resolution=resolution, confidence=confidence)
    with pytest.raises(ValueError, match="expected"):
        independent_difference([1.0, 2.0], [1.0, 2.0], resolution=resolution, confidence=confidence)
