"""Families of tests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lottery.analysis import holm, one_sided_t
from lottery.analysis.compare import Claim, all_true, any_true, compare, over_levels

maybe = st.one_of(st.none(), st.floats(0, 1))


def claim(*, sign: int = 1, margin: float = 0.1, inclusive: bool = True) -> Claim:
    return Claim(words="", sign=sign, margin=margin, resolution=0.01, inclusive=inclusive)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_boundary_counts_only_where_it_is_meant_to(sign: int) -> None:
    at_the_margin = -sign * (0.3 - 0.2)  # 0.09999999999999998: rounding must not decide
    assert claim(sign=sign, inclusive=True).holds(at_the_margin)
    assert not claim(sign=sign, inclusive=False).holds(at_the_margin)
    assert claim(sign=sign, inclusive=False).holds(at_the_margin + sign * 0.001)
    assert not claim(sign=sign, inclusive=True).holds(at_the_margin - sign * 0.001)


def test_claims_tested_together_are_corrected_together() -> None:
    first = {1: {0: 0.5, 1: 0.6, 2: 0.4}, 2: {0: 0.1, 1: -0.1, 2: 0.3}}
    second = {1: {0: 0.7, 1: 0.6, 2: 0.7}, 3: {0: 0.1}}
    a, b = compare([(claim(), first), (claim(), second)], 0.95)
    raw = [one_sided_t(list(v.values()), 0.1, 0.01) for v in (*first.values(), *second.values())]
    assert [a[1].p, a[2].p, b[1].p, b[3].p] == raw
    assert [a[1].p_holm, a[2].p_holm, b[1].p_holm, b[3].p_holm] == holm(raw)
    assert raw[3] is None
    assert not b[3].confirmed
    assert b[3].holds


def test_confirmed_and_refuted_mirror_each_other() -> None:
    values = {1: {0: 0.5, 1: 0.52, 2: 0.48, 3: 0.5}}
    [up] = compare([(claim(sign=1), values)], 0.95)
    [down] = compare([(claim(sign=-1), values)], 0.95)
    assert (up[1].holds, up[1].confirmed, up[1].refuted) == (True, True, False)
    assert (down[1].holds, down[1].confirmed, down[1].refuted) == (False, False, True)
    assert up[1].difference == down[1].difference


@pytest.mark.parametrize("sign", [1, -1])
def test_neither_answer_comes_without_the_correction(sign: int) -> None:
    """A mean of 3 deviations in 3 replicates has p = 0.018: enough alone, not for 4 levels."""
    values = {0: 0.6, 1: 0.9, 2: 1.2}
    bare = claim(margin=0.0, sign=sign)
    [alone] = compare([(bare, {1: values})], 0.95)
    [among] = compare([(bare, dict.fromkeys((1, 2, 3, 4), values))], 0.95)
    assert (alone[1].confirmed, alone[1].refuted) == (sign == 1, sign == -1)
    assert (among[1].confirmed, among[1].refuted) == (False, False)


def test_levels_without_a_difference_are_left_out() -> None:
    [found] = compare([(claim(), {1: {}, 2: {0: 0.0}})], 0.95)
    assert list(found) == [2]


@given(st.lists(maybe, min_size=1, max_size=4))
def test_all_and_any(p_values: list[float | None]) -> None:
    both, either = all_true(p_values), any_true(p_values)
    if None in p_values:
        assert both is None
        assert either is None
    else:
        made = [p for p in p_values if p is not None]
        assert both is not None
        assert either is not None
        assert all(both >= p for p in made)
        assert both in made
        assert either == min(1.0, len(made) * min(made))


@given(st.dictionaries(st.integers(1, 20), maybe, max_size=8))
def test_correction_over_levels_keeps_the_levels(p_values: dict[int, float | None]) -> None:
    found = over_levels(p_values)
    assert found.keys() == p_values.keys()
    assert [found[n] for n in sorted(found)] == holm([p_values[n] for n in sorted(found)])
