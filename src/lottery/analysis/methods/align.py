"""Which levels of different runs lie at the same density."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

_ROUNDING = 1e-12
_SMALLEST = 1e-12


def align(
    densities: Sequence[Mapping[int, float]], tolerance: float
) -> list[tuple[int | None, ...]]:
    """Put the levels of several runs into rows of about the same density.

    Run after run, each level goes to the row nearest to it in ratio, if that is within the
    tolerance of the density the row began with; otherwise it begins a row of its own. A row takes
    one level of a run at most, and levels never change places: what is sparser in a run stands
    lower.

    Args:
        densities: for each run, level -> density in [0, 1].
        tolerance: densities whose ratio is at most 1 + tolerance may share a row; 0 or more.

    Returns:
        Rows from dense to sparse; in each, the level of every run, or None.

    >>> align([{0: 1.0, 1: 0.5}, {0: 1.0, 1: 0.8, 2: 0.505}], 0.02)
    [(0, 0), (None, 1), (1, 2)]
    """
    rows: list[tuple[float, dict[int, int]]] = []
    for number, levels in enumerate(densities):
        order = sorted(levels, key=lambda level: (-levels[level], level))
        anchors = [anchor for anchor, _ in rows]
        taken = _nearest([levels[level] for level in order], anchors, tolerance)
        for place, level in enumerate(order):
            if place in taken:
                rows[taken[place]][1][number] = level
            else:
                rows.append((levels[level], {number: level}))
        rows.sort(key=lambda row: -row[0])
    return [tuple(found.get(number) for number in range(len(densities))) for _, found in rows]


def _nearest(
    densities: Sequence[float], anchors: Sequence[float], tolerance: float
) -> dict[int, int]:
    """Place of a density -> place of its anchor; both run from dense to sparse."""
    pairs = sorted(
        (distance, place, row)
        for place, density in enumerate(densities)
        for row, anchor in enumerate(anchors)
        if (distance := _ratio(density, anchor)) <= math.log1p(tolerance) + _ROUNDING
    )
    taken: dict[int, int] = {}
    for _, place, row in pairs:
        if all((place - other) * (row - used) > 0 for other, used in taken.items()):
            taken[place] = row
    return taken


def _ratio(one: float, other: float) -> float:
    """The size of the logarithm of the ratio."""
    return abs(math.log(max(one, _SMALLEST) / max(other, _SMALLEST)))
