"""Levels of different runs at about the same density."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery.analysis.methods.align import align

quick = settings(max_examples=60, deadline=None)
# Runs as they prune: every level keeps some share of the one before.
shares = st.lists(st.floats(0.5, 0.999), max_size=8)
runs = st.lists(
    shares.map(
        lambda kept: {level: math.prod(kept[:level]) for level in range(len(kept) + 1)},
    ),
    min_size=1,
    max_size=4,
)
tolerances = st.sampled_from([0.0, 0.001, 0.02, 0.1, 0.5])


@quick
@given(runs, tolerances)
def test_every_level_has_one_place(densities: list[dict[int, float]], tolerance: float) -> None:
    rows = align(densities, tolerance)
    for number, levels in enumerate(densities):
        placed = [row[number] for row in rows if row[number] is not None]
        assert sorted(placed) == sorted(levels)  # type: ignore[type-var]
    assert all(any(level is not None for level in row) for row in rows)
    assert all(len(row) == len(densities) for row in rows)


@quick
@given(runs, tolerances)
def test_nothing_shares_a_row_beyond_the_tolerance(
    densities: list[dict[int, float]], tolerance: float
) -> None:
    """Each lies within it of the row's first."""
    for row in align(densities, tolerance):
        there = [of[level] for of, level in zip(densities, row, strict=True) if level is not None]
        for density in there[1:]:
            ratio = max(density, there[0]) / min(density, there[0])
            assert ratio <= 1 + tolerance + 1e-9


@quick
@given(runs, tolerances)
def test_sparser_levels_stand_lower(densities: list[dict[int, float]], tolerance: float) -> None:
    rows = align(densities, tolerance)
    for number in range(len(densities)):
        placed = [level for row in rows if (level := row[number]) is not None]
        assert placed == sorted(placed)


@quick
@given(runs)
def test_equal_runs_share_every_row(densities: list[dict[int, float]]) -> None:
    one = densities[0]
    rows = align([one, one, one], 0.02)
    assert rows == [(level, level, level) for level in sorted(one)]


@quick
@given(runs, tolerances)
def test_with_two_runs_no_possible_pair_is_left_apart(
    densities: list[dict[int, float]], tolerance: float
) -> None:
    """Two lonely neighbours would have shared a row."""
    rows = align(densities[:2], tolerance)
    for above, below in pairwise(rows):
        lonely = [
            (number, densities[number][level])
            for row in (above, below)
            for number, level in enumerate(row)
            if level is not None
        ]
        if len(lonely) == 2 and lonely[0][0] != lonely[1][0]:
            assert lonely[0][1] / lonely[1][1] > 1 + tolerance - 1e-9


def test_the_nearest_level_is_taken_not_the_first() -> None:
    assert align([{0: 1.0, 1: 0.80}, {0: 1.0, 1: 0.81, 2: 0.799}], 0.02) == [
        (0, 0),
        (None, 1),
        (1, 2),
    ]


@pytest.mark.parametrize(("tolerance", "rows"), [(0.02, 2), (0.025, 1)])
def test_the_tolerance_is_of_the_ratio(tolerance: float, rows: int) -> None:
    assert len(align([{0: 0.512}, {0: 0.5}], tolerance)) == rows


def test_a_network_with_nothing_left_has_a_place_too() -> None:
    assert align([{0: 1.0, 1: 0.0}, {0: 1.0, 1: 0.0}], 0.02) == [(0, 0), (1, 1)]
