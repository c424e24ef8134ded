"""The tests of a comparison: each method against the first, and the best against all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lottery.analysis.compare import all_true, below
from lottery.analysis.gather import differences
from lottery.analysis.methods.pairing import Pairing
from lottery.analysis.methods.types import (
    MEASURES,
    Best,
    Cell,
    Contrast,
    Measure,
    Outcome,
    Row,
)
from lottery.analysis.statistics import holm
from lottery.analysis.two_sided import Difference, independent_difference, paired_difference

_BETTER: Mapping[Measure, int] = {
    "accuracy_at_early_stop": 1,
    "accuracy_final": 1,
    "early_stop_iteration": -1,
}
"""+1 where more is better, -1 where less is."""


@dataclass(frozen=True, kw_only=True)
class Basis:
    """What the tests need to know besides the values.

    Args:
        pairings: (place of a method, of another) -> how the two can be compared.
        grids: measure -> the step between two possible values; 0 when unknown.
        confidence: of intervals and tests.
    """

    pairings: Mapping[tuple[int, int], Pairing]
    grids: Mapping[Measure, float]
    confidence: float


def tested(rows: Sequence[Row], settings: Basis) -> tuple[Row, ...]:
    """The rows with every test made.

    Each measure is a family of its own: its tests against the first method, over all densities and
    methods, are corrected together (Holm), and so are its claims of which method is best.
    """
    contrasts: list[list[dict[Measure, Contrast]]] = [[{} for _ in row.cells] for row in rows]
    best: list[dict[Measure, Best]] = [{} for _ in rows]
    for measure in MEASURES:
        found = _against_first(rows, measure, settings)
        for (at, number), contrast in found.items():
            contrasts[at][number][measure] = contrast
        for at, claim in _best(rows, measure, settings).items():
            best[at][measure] = claim
    return tuple(
        replace(
            row,
            best=claims,
            cells=tuple(
                cell and replace(cell, against_first=made)
                for cell, made in zip(row.cells, of_row, strict=True)
            ),
        )
        for row, of_row, claims in zip(rows, contrasts, best, strict=True)
    )


def _against_first(
    rows: Sequence[Row], measure: Measure, settings: Basis
) -> dict[tuple[int, int], Contrast]:
    """(place of the row, of the method) -> the method minus the first."""
    found: dict[tuple[int, int], Contrast] = {}
    for at, row in enumerate(rows):
        for number in range(1, len(row.cells)):
            contrast = _contrast(row, number, 0, measure, settings)
            if contrast is not None:
                found[at, number] = contrast
    corrected = holm([contrast.p for contrast in found.values()])
    alpha = 1 - settings.confidence
    return {
        place: replace(
            contrast,
            p_holm=p,
            outcome=contrast.outcome if p is None else _outcome(contrast, measure, p, alpha),
        )
        for (place, contrast), p in zip(found.items(), corrected, strict=True)
    }


def _outcome(contrast: Contrast, measure: Measure, p: float, alpha: float) -> Outcome:
    if not below(p, alpha):
        return "unsure"
    return "ahead" if _BETTER[measure] * contrast.difference > 0 else "behind"


def _contrast(
    row: Row, number: int, other: int, measure: Measure, settings: Basis
) -> Contrast | None:
    cells = row.cells[number], row.cells[other]
    pairing = settings.pairings[number, other]
    compared = _compared(cells, pairing, measure, settings)
    if compared is None:
        return None
    difference, n, n_other = compared
    same = pairing.same_dense and all(cell and cell.level == 0 for cell in cells)
    return Contrast(
        difference=difference.mean,
        low=None if same else difference.low,
        high=None if same else difference.high,
        paired=pairing.paired,
        n=n,
        n_first=n_other,
        degrees=None if same else difference.degrees,
        p=None if same else difference.p,
        p_holm=None,
        outcome="same" if same else "untested",
    )


def _compared(
    cells: tuple[Cell | None, Cell | None],
    pairing: Pairing,
    measure: Measure,
    settings: Basis,
) -> tuple[Difference, int, int] | None:
    """The difference between two cells, and how many values of each it rests on."""
    left, right = (cell.of(measure) if cell else None for cell in cells)
    if left is None or right is None:
        return None
    pruned = any(cell and cell.level for cell in cells)
    if measure == "early_stop_iteration" and pruned and not pairing.stops_alike:
        return None
    grid, confidence = settings.grids[measure], settings.confidence
    if not pairing.paired:
        values = list(left.values.values()), list(right.values.values())
        found = independent_difference(*values, resolution=grid, confidence=confidence)
        return found, len(values[0]), len(values[1])
    pairs = list(differences(left.values, right.values).values())
    if not pairs:
        return None
    found = paired_difference(pairs, resolution=grid, confidence=confidence)
    return found, len(pairs), len(pairs)


def _best(rows: Sequence[Row], measure: Measure, settings: Basis) -> dict[int, Best]:
    """Place of the row -> the method whose mean is best, and whether it is better than all others.

    That it is better than every other one takes all of its one-sided tests (the largest p-value);
    since it was picked as the best of k, that is multiplied by k (Bonferroni).
    """
    claims: dict[int, tuple[int, float | None]] = {}
    for at, row in enumerate(rows):
        there = [i for i, cell in enumerate(row.cells) if cell and cell.of(measure)]
        if len(there) < 2:
            continue
        leader = max(there, key=lambda i: (_BETTER[measure] * _mean(row.cells[i], measure), -i))
        p = all_true([_p_better(row, leader, i, measure, settings) for i in there if i != leader])
        claims[at] = leader, None if p is None else min(1.0, len(there) * p)
    corrected = holm([p for _, p in claims.values()])
    alpha = 1 - settings.confidence
    return {
        at: Best(method=leader, p_holm=p, confirmed=below(p, alpha))
        for (at, (leader, _)), p in zip(claims.items(), corrected, strict=True)
    }


def _mean(cell: Cell | None, measure: Measure) -> float:
    found = cell.of(measure) if cell else None
    assert found is not None, "only methods with a value are asked"
    return found.mean


def _p_better(row: Row, leader: int, other: int, measure: Measure, settings: Basis) -> float | None:
    pairing = settings.pairings[leader, other]
    cells = row.cells[leader], row.cells[other]
    if pairing.same_dense and all(cell and cell.level == 0 for cell in cells):
        return None
    compared = _compared(cells, pairing, measure, settings)
    if compared is None:
        return None
    return compared[0].p_above if _BETTER[measure] > 0 else compared[0].p_below
