"""The statistics against scipy's, against definitions and in closed form."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from lottery.analysis.statistics import (
    estimate,
    estimate_ratio,
    holm,
    independent_difference,
    mean_and_deviation,
    paired_difference,
)

quick = settings(max_examples=60, deadline=None)
numbers = st.floats(-100, 100).map(lambda x: round(x, 4))
samples = st.lists(numbers, min_size=2, max_size=12)
dyadic = st.integers(0, 1024).map(lambda k: k / 1024)


@given(samples, st.floats(0.5, 0.999))
def test_estimate_is_scipys_interval(values: list[float], confidence: float) -> None:
    assume(np.ptp(values) > 1e-3)
    found = estimate(dict(enumerate(values)), confidence)
    low, high = stats.t.interval(
        confidence, len(values) - 1, loc=np.mean(values), scale=stats.sem(values)
    )
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert found.low == pytest.approx(low, abs=1e-7)
    assert found.high == pytest.approx(high, abs=1e-7)


@given(samples.flatmap(lambda values: st.permutations(list(enumerate(values)))))
def test_estimate_does_not_depend_on_order(items: list[tuple[int, float]]) -> None:
    found = estimate(dict(items), 0.95)
    assert found == estimate(dict(sorted(items)), 0.95)
    assert list(found.values) == sorted(found.values)


@given(samples, st.sampled_from([1e-4, 0.1, 5.0]), st.floats(0.5, 0.999))
def test_no_interval_is_narrower_than_the_resolution(
    values: list[float], resolution: float, confidence: float
) -> None:
    found = estimate(dict(enumerate(values)), confidence, resolution=resolution)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.mean >= resolution * (1 - 1e-6) - 1e-9
    assert found.mean - found.low >= resolution * (1 - 1e-6) - 1e-9


def test_one_value_has_no_interval() -> None:
    found = estimate({3: 0.98}, 0.95)
    assert (found.mean, found.low, found.high, found.values) == (0.98, None, None, {3: 0.98})


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=9), st.floats(0.5, 0.99))
def test_a_ratio_is_estimated_by_its_logarithm(ratios: list[float], confidence: float) -> None:
    assume(np.ptp(np.log(ratios)) > 1e-3)
    found = estimate_ratio(dict(enumerate(ratios)), confidence)
    upside = estimate_ratio(dict(enumerate(1 / x for x in ratios)), confidence)
    assert found.mean == pytest.approx(stats.gmean(ratios))
    assert found.low is not None
    assert upside.high is not None
    assert found.low == pytest.approx(1 / upside.high)


@pytest.mark.parametrize(
    ("values", "confidence"),
    [({}, 0.95), ({0: math.nan}, 0.95), ({0: math.inf, 1: 0.0}, 0.95), ({0: 1.0}, 1.0)],
)
def test_estimate_refuses(values: dict[int, float], confidence: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        estimate(values, confidence)


@pytest.mark.parametrize("ratio", [0.0, -1.0, math.inf, math.nan])
def test_a_ratio_is_finite_and_positive(ratio: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        estimate_ratio({0: 1.0, 1: ratio}, 0.95)


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
    """Both samples of 16 are taken to have a deviation of 0.1 / sqrt(12), or the step as error."""
    found = independent_difference([0.5] * 4, [0.4] * 4, resolution=0.1, confidence=0.95)
    error = max(math.sqrt(2 * (0.1**2 / 12) / 4), 0.1 / stats.t.ppf(0.975, 6))
    assert found.degrees == pytest.approx(6)
    assert found.p == pytest.approx(2 * stats.t.sf(0.1 / error, 6), rel=1e-6)
    assert independent_difference([0.5] * 4, [0.4] * 4, resolution=0.0, confidence=0.9).p is None


@pytest.mark.parametrize(("left", "right"), [([1.0], [2.0, 3.0]), ([1.0, 2.0], [3.0])])
def test_one_value_on_a_side_is_not_tested(left: list[float], right: list[float]) -> None:
    found = independent_difference(left, right, resolution=0.1, confidence=0.95)
    assert found.mean == np.mean(left) - np.mean(right)
    assert (found.low, found.high, found.p, found.p_above) == (None, None, None, None)


def test_equal_differences_on_an_unknown_grid_are_not_tested() -> None:
    # 0.3 - 0.2 and 0.2 - 0.1 differ in floating point and are equal as measurements.
    found = paired_difference([0.3 - 0.2, 0.2 - 0.1], resolution=0.0, confidence=0.95)
    assert (found.p, found.low) == (None, None)


def test_p_is_never_zero() -> None:
    found = paired_difference([1e6] * 400, resolution=1e-3, confidence=0.95)
    assert found.p is not None
    assert 0 < found.p < 1e-300


@pytest.mark.parametrize(("resolution", "confidence"), [(-1.0, 0.95), (math.nan, 0.95), (0.0, 1.0)])
def test_what_is_out_of_range_is_refused(resolution: float, confidence: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        paired_difference([1.0, 2.0], resolution=resolution, confidence=confidence)
    with pytest.raises(ValueError, match="expected"):
        independent_difference([1.0, 2.0], [1.0, 2.0], resolution=resolution, confidence=confidence)


def rejected_by_definition(p_values: list[float], alpha: Fraction) -> set[int]:
    """Holm's procedure as he states it: go up from the smallest p, stop at the first failure."""
    rejected: set[int] = set()
    ascending = sorted(range(len(p_values)), key=lambda place: p_values[place])
    for step, place in enumerate(ascending):
        if Fraction(p_values[place]) > alpha / (len(p_values) - step):
            break
        rejected.add(place)
    return rejected


@given(st.lists(dyadic, max_size=10), st.integers(1, 1023))
def test_holm_rejects_what_the_definition_rejects(p_values: list[float], k: int) -> None:
    corrected = holm(list(p_values))
    found = {place for place, p in enumerate(corrected) if p is not None and p <= k / 1024}
    assert found == rejected_by_definition(p_values, Fraction(k, 1024))


@given(st.lists(st.one_of(st.none(), dyadic), max_size=10))
def test_none_passes_through_and_does_not_count(p_values: list[float | None]) -> None:
    corrected = holm(p_values)
    assert [p is None for p in corrected] == [p is None for p in p_values]
    made = [p for p in p_values if p is not None]
    assert [p for p in corrected if p is not None] == holm(list(made))


@given(
    st.lists(dyadic, min_size=1, max_size=8).flatmap(
        lambda p: st.tuples(st.just(p), st.permutations(range(len(p))))
    )
)
def test_holm_follows_a_reordering(case: tuple[list[float], list[int]]) -> None:
    p_values, order = case
    corrected = holm(list(p_values))
    assert holm([p_values[place] for place in order]) == [corrected[place] for place in order]


@given(st.lists(dyadic, min_size=1, max_size=8))
def test_holm_lies_between_the_raw_and_bonferronis(p_values: list[float]) -> None:
    for raw, corrected in zip(p_values, holm(list(p_values)), strict=True):
        assert corrected is not None
        assert raw <= corrected <= 1
    smallest = min(p_values)
    assert min(p for p in holm(list(p_values)) if p is not None) == min(
        1.0, len(p_values) * smallest
    )


def test_holm_refuses_what_is_no_probability() -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        holm([0.5, 1.5])


def test_the_largest_numbers_have_a_deviation() -> None:
    """Squares of them do not fit a float."""
    large = [1e300, -1e300, 0.0]
    mean, deviation = mean_and_deviation(large)
    assert mean == 0
    assert deviation == pytest.approx(1e300)
    found = independent_difference(large, large, resolution=0.0, confidence=0.95)
    assert found.degrees == pytest.approx(4)
    small = independent_difference(
        [value / 1e300 for value in large], [-1.0, 1.0, 0.0], resolution=0.0, confidence=0.95
    )
    assert found.p == pytest.approx(small.p)
