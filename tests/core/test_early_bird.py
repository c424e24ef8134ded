"""When a mask has settled."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lottery.core import Mask
from lottery.core.early_bird import has_settled
from lottery.errors import MaskError


def keeping(*places: int, size: int = 20) -> Mask:
    kept = torch.zeros(size, dtype=torch.bool)
    kept[list(places)] = True
    return Mask({"fc.weight": kept})


def test_the_last_masks_decide_and_no_earlier_one() -> None:
    early, late = keeping(*range(10)), keeping(*range(10, 20))
    assert not has_settled([early, late, late, late, late])
    assert has_settled([early, late, late, late, late, late])


def test_a_distance_of_exactly_the_threshold_is_settled() -> None:
    # Two of twenty places differ: one moved.
    one, other = keeping(0, 1, 2), keeping(0, 1, 3)
    assert one.hamming(other) == 0.1
    assert has_settled([one, other, one, other, one], distance=0.1)
    assert not has_settled([one, other, one, other, one], distance=0.099)


def test_slow_drift_is_not_settled_though_neighbours_agree() -> None:
    drift = [keeping(*range(start, start + 5)) for start in range(5)]
    assert all(a.hamming(b) == 0.1 for a, b in pairwise(drift))
    assert not has_settled(drift)
    assert has_settled(drift, window=2)


def test_the_newest_is_compared_with_those_before_it_and_these_not_with_each_other() -> None:
    """As in the authors' code: two of the earlier ones may be further apart than the threshold."""
    low, high, middle = keeping(0, 1, 2), keeping(0, 3, 4), keeping(0, 1, 3)
    assert low.hamming(high) == 0.2
    assert low.hamming(middle) == high.hamming(middle) == 0.1
    assert has_settled([low, high, low, high, middle])
    assert not has_settled([low, high, middle, low, high])


@given(st.lists(st.sets(st.integers(0, 9), min_size=1), min_size=3, max_size=6))
def test_order_among_the_earlier_ones_does_not_matter(kept: list[set[int]]) -> None:
    *earlier, newest = [keeping(*places, size=10) for places in kept]
    expected = max(newest.hamming(mask) for mask in earlier) <= 0.3
    for order in (earlier, earlier[::-1]):
        assert has_settled([*order, newest], window=len(kept), distance=0.3) == expected


def test_masks_of_different_networks_are_refused() -> None:
    other = Mask({"other.weight": torch.ones(20, dtype=torch.bool)})
    with pytest.raises(MaskError):
        has_settled([keeping(0), other], window=2)
