"""What can be promised before a run."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lottery.analysis import one_sided_t, reachable


def test_one_replicate_reaches_nothing() -> None:
    reach = reachable(1, 12)
    assert reach.multiple is None
    assert "no test can reach significance, whatever happens" in reach.sentence
    assert f"at least {reach.recommended} replicates" in reach.sentence


def test_two_replicates_in_closed_form() -> None:
    """Cauchy's quantile: tan(pi / 2 - pi * alpha / levels), over the root of 2."""
    reach = reachable(2, 12, 0.95)
    assert reach.multiple == pytest.approx(math.tan(math.pi / 2 - math.pi * 0.05 / 12) / 2**0.5)
    assert "54 times its own standard deviation" in reach.sentence
    assert "in practice" in reach.sentence


@given(st.integers(2, 12), st.integers(1, 25), st.floats(0.8, 0.99))
def test_the_multiple_is_where_holms_first_step_starts_to_reject(
    replicates: int, levels: int, confidence: float
) -> None:
    multiple = reachable(replicates, levels, confidence).multiple
    assert multiple is not None
    shape = np.linspace(-1, 1, replicates)
    shape /= shape.std(ddof=1)
    just_enough = one_sided_t(list(shape + multiple * 1.001), 0.0, 0.0)
    too_little = one_sided_t(list(shape + multiple * 0.999), 0.0, 0.0)
    assert just_enough is not None
    assert too_little is not None
    assert just_enough * levels < 1 - confidence < too_little * levels


@given(st.integers(1, 12), st.integers(1, 25), st.floats(0.8, 0.99))
def test_the_recommendation_is_the_fewest(replicates: int, levels: int, confidence: float) -> None:
    recommended = reachable(replicates, levels, confidence).recommended
    enough = reachable(recommended, levels, confidence).multiple
    assert enough is not None
    assert enough <= 2
    if recommended > 2:
        fewer = reachable(recommended - 1, levels, confidence).multiple
        assert fewer is not None
        assert fewer > 2


def test_the_sentence_fits_the_case() -> None:
    assert "hardly any test" in reachable(2, 12).sentence
    assert "only large effects" in reachable(5, 12).sentence
    assert reachable(10, 12).sentence.endswith("times its own standard deviation to count.")
    assert reachable(5, 0).sentence == ""
    assert "1 level " in reachable(2, 1).sentence


@pytest.mark.parametrize(
    ("replicates", "levels", "confidence"), [(0, 1, 0.95), (1, -1, 0.95), (2, 2, 1.0)]
)
def test_reachable_refuses(replicates: int, levels: int, confidence: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        reachable(replicates, levels, confidence)
