"""The statistics against scipy's, against definitions and in closed form."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from lottery.analysis import estimate, holm, one_sided_t

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


def test_one_value_has_no_interval() -> None:
    found = estimate({3: 0.98}, 0.95)
    assert (found.mean, found.low, found.high, found.values) == (0.98, None, None, {3: 0.98})


@pytest.mark.parametrize(
    ("values", "confidence"),
    [({}, 0.95), ({0: math.nan}, 0.95), ({0: math.inf, 1: 0.0}, 0.95), ({0: 1.0}, 1.0)],
)
def test_estimate_refuses(values: dict[int, float], confidence: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        estimate(values, confidence)


@given(samples, st.floats(-10, 10))
def test_one_sided_t_is_scipys(differences: list[float], margin: float) -> None:
    assume(np.std(differences) > 1e-3)
    expected = stats.ttest_1samp(differences, -margin, alternative="greater").pvalue
    found = one_sided_t(differences, margin, resolution=0.0)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=12))
def test_one_sided_t_is_scipys_paired_test(pairs: list[tuple[float, float]]) -> None:
    left, right = np.array(pairs).T
    assume(np.std(left - right) > 1e-3)
    expected = stats.ttest_rel(left, right, alternative="greater").pvalue
    found = one_sided_t(list(left - right), 0.0, resolution=0.0)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_two_differences_in_closed_form() -> None:
    """With one degree of freedom Student's distribution is Cauchy's; here t = 2 / 1 = 2."""
    found = one_sided_t([1.0, 3.0], 0.0, resolution=0.0)
    assert found == pytest.approx(0.5 - math.atan(2.0) / math.pi)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
@pytest.mark.parametrize("difference", [0.0, 0.3, 0.9])
def test_equal_differences_have_the_deviation_of_the_grid(n: int, difference: float) -> None:
    found = one_sided_t([difference] * n, margin=0.1, resolution=0.1)
    t = (difference + 0.1) * math.sqrt(n) / (0.1 / math.sqrt(12))
    assert found == pytest.approx(stats.t.sf(t, n - 1), rel=1e-6)
    assert found is not None
    assert found > 0


def test_equal_differences_on_an_unknown_grid_are_not_tested() -> None:
    # 0.3 - 0.2 and 0.2 - 0.1 differ in floating point and are equal as measurements.
    assert one_sided_t([0.3 - 0.2, 0.2 - 0.1], 0.0, resolution=0.0) is None


@given(st.lists(numbers, max_size=1), numbers)
def test_fewer_than_two_differences_are_not_tested(values: list[float], margin: float) -> None:
    assert one_sided_t(values, margin, resolution=0.1) is None


@given(samples, st.floats(0, 5), st.floats(0.01, 1))
def test_claim_and_opposite_share_the_evidence(
    differences: list[float], margin: float, resolution: float
) -> None:
    claim = one_sided_t(differences, margin, resolution)
    opposite = one_sided_t([-d for d in differences], -margin, resolution)
    assert claim is not None
    assert opposite is not None
    assert claim + opposite == pytest.approx(1.0)


@given(samples, st.floats(0, 5), st.floats(0.01, 5))
def test_a_larger_margin_is_easier(differences: list[float], margin: float, more: float) -> None:
    small = one_sided_t(differences, margin, 0.1)
    large = one_sided_t(differences, margin + more, 0.1)
    assert small is not None
    assert large is not None
    assert large <= small


def test_p_is_never_zero() -> None:
    found = one_sided_t([1e6] * 400, 0.0, resolution=1e-3)
    assert found is not None
    assert 0 < found < 1e-300


@pytest.mark.parametrize(
    ("differences", "resolution"), [([math.nan, 0.0], 0.0), ([0.0, 1.0], -1.0), ([1.0], math.nan)]
)
def test_one_sided_t_refuses(differences: list[float], resolution: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        one_sided_t(differences, 0.0, resolution)


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
