"""Numbers are written so that they claim no more than was computed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lottery.analysis.formatting import (
    half_width,
    interval_in_points,
    interval_of_ratio,
    percent,
    ratio,
)
from lottery.analysis.types import Estimate

widths = st.floats(1e-6, 0.3)


def between(mean: float, width: float) -> Estimate:
    return Estimate(mean=mean, low=mean - width, high=mean + width, values={})


@given(st.floats(-0.5, 0.5), widths)
def test_intervals_of_points_are_rounded_outward(mean: float, width: float) -> None:
    found = between(mean, width)
    low, high = (float(end) for end in interval_in_points(found).split(" to "))
    assert low <= 100 * (mean - width) + 1e-6
    assert high >= 100 * (mean + width) - 1e-6
    assert high > low
    assert high - low <= 200 * width + 0.02 + 1e-6


@given(st.floats(0.01, 500), st.floats(0.001, 0.9))
def test_intervals_of_ratios_are_rounded_outward(mean: float, share: float) -> None:
    found = Estimate(mean=mean, low=mean * (1 - share), high=mean * (1 + share), values={})
    low, high = (float(end) for end in interval_of_ratio(found).split(" to "))
    assert low <= mean * (1 - share) * (1 + 1e-6)
    assert high >= mean * (1 + share) * (1 - 1e-6)
    assert high > low


@given(st.floats(0.5, 1), widths)
def test_half_widths_are_rounded_up(mean: float, width: float) -> None:
    written = half_width(between(mean, width), scale=100, digits=2)
    assert float(written.removeprefix("±")) >= 100 * width - 1e-6
    assert written != "±0.00"


def test_without_an_interval_nothing_is_written() -> None:
    found = Estimate(mean=0.5, low=None, high=None, values={0: 0.5})
    assert interval_in_points(found) == interval_of_ratio(found) == ""
    assert half_width(found, scale=100, digits=2) == ""


@pytest.mark.parametrize(
    ("value", "text"), [(0.654, "0.65"), (0.004321, "0.00432"), (9.996, "10.00"), (1234.0, "1234")]
)
def test_ratios_have_two_decimals_or_three_digits(value: float, text: str) -> None:
    assert ratio(value) == text


def test_small_densities_keep_three_digits() -> None:
    assert [percent(d) for d in (1.0, 0.512, 0.0358, 0.00519)] == [
        "100%",
        "51.2%",
        "3.58%",
        "0.519%",
    ]
