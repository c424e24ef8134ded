"""The tests of a comparison: each run against the first, and the best against all others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lottery.analysis.methods.pairing import Pairing
from lottery.analysis.methods.types import MEASURES, AgainstFirst, Best, Cell, Outcome, Row
from lottery.analysis.statistics import (
    Difference,
    holm,
    independent_difference,
    paired_difference,
)
from lottery.analysis.types import Contrast, Estimate, Measure, Missing
from lottery.score import Score

_BETTER: Mapping[Measure, int] = {
    "accuracy": 1,
    "accuracy_final": 1,
    "early_stop": -1,
    "time_to_dense": -1,
}
"""+1 where more is better, -1 where less is; accuracies are compared in their direction."""


@dataclass(frozen=True, kw_only=True)
class Basis:
    """What the tests need to know besides the values.

    Args:
        labels: the labels of the runs.
        pairings: (index of a run, index of another) -> how the two can be compared.
        step: the step between two possible accuracies; 0 when unknown.
        grid: iterations between two evaluations.
        confidence: of intervals and tests, in [0.5, 1).
        score: what "accuracy" stands for; compared in its direction, so that more is better.
    """

    labels: Sequence[str]
    pairings: Mapping[tuple[int, int], Pairing]
    step: float
    grid: float
    confidence: float
    score: Score

    @property
    def alpha(self) -> float:
        """The chance of a false confirmation that is allowed."""
        return 1 - self.confidence


def with_tests(rows: Sequence[Row], basis: Basis) -> tuple[Row, ...]:
    """The rows with every test made.

    Each measure is a family of its own: its tests against the first run, over all densities and
    runs, are corrected together (Holm), and so are its claims of which run is best.
    """
    for measure in MEASURES:
        against, best = _against_first(rows, measure, basis), _best(rows, measure, basis)
        rows = [
            replace(
                row,
                best={**row.best, **({measure: best[at]} if at in best else {})},
                cells=tuple(
                    cell and _with(cell, measure, against.get((at, place)))
                    for place, cell in enumerate(row.cells)
                ),
            )
            for at, row in enumerate(rows)
        ]
    return tuple(rows)


def _with(cell: Cell, measure: Measure, found: AgainstFirst | None) -> Cell:
    if found is None:
        return cell
    return replace(cell, against_first={**cell.against_first, measure: found})


def _against_first(
    rows: Sequence[Row], measure: Measure, basis: Basis
) -> dict[tuple[int, int], AgainstFirst]:
    """(place of the row, of the run) -> the run against the first."""
    found = {
        (at, place): made
        for at, row in enumerate(rows)
        for place in range(1, len(row.cells))
        if (made := _tested(row, place, measure, basis))
    }
    corrected = holm([made.p for made in found.values()])
    return {
        place: replace(made, p_adjusted=p, outcome=_outcome(made, measure, p, basis.alpha))
        for (place, made), p in zip(found.items(), corrected, strict=True)
    }


def _outcome(made: AgainstFirst, measure: Measure, p: float | None, alpha: float) -> Outcome:
    if p is None:
        return made.outcome
    if p >= alpha:
        return "open"
    ahead = _BETTER[measure] * (made.mean - (made.contrast.scale == "ratio")) > 0
    return "ahead" if ahead else "behind"


def _tested(row: Row, place: int, measure: Measure, basis: Basis) -> AgainstFirst | None:
    """A run against the first, before any correction; None where one has no value."""
    cells = row.cells[place], row.cells[0]
    pairing = basis.pairings[place, 0]
    compared = _compared(cells, pairing, measure, basis)
    if compared is None or cells[0] is None or cells[1] is None:
        return None
    difference, pairs, (n, n_first) = compared
    why = _untested(cells[0], cells[1], measure, difference)
    same = pairing.same_dense and cells[0].level == cells[1].level == 0
    shown = difference if not same else Difference(mean=difference.mean)
    ratio = measure in ("early_stop", "time_to_dense")
    ends = [v if v is None or not ratio else math.exp(v) for v in (shown.low, shown.high)]
    missing = [cell.group.missing for cell in (cells[0], cells[1])]
    return AgainstFirst(
        contrast=Contrast(
            left=basis.labels[place],
            right=basis.labels[0],
            measure=measure,
            scale="ratio" if ratio else "difference",
            paired=pairing.paired,
            estimate=Estimate(
                mean=math.exp(shown.mean) if ratio else shown.mean,
                low=ends[0],
                high=ends[1],
                values=pairs,
            ),
            n=n,
            missing=Missing(
                diverged=sum(m.diverged for m in missing),
                collapsed=sum(m.collapsed for m in missing),
                guessing=sum(m.guessing for m in missing),
            ),
            resolution=_resolution(cells[1], measure, basis),
        ),
        n_first=n_first,
        p=None if same or why else shown.p,
        p_adjusted=None,
        outcome="same" if same else "untested",
        why="" if same else why,
    )


def _untested(left: Cell, first: Cell, measure: Measure, difference: Difference) -> str:
    if difference.p is None:
        return "it takes two replicates of each run"
    bounds = [cell.of(measure) for cell in (left, first)]
    if measure == "early_stop" and (left.group.at_end or first.group.at_end):
        return "trained too short to say who is sooner"
    if measure == "time_to_dense" and any(found and found.bounds for found in bounds):
        return "the dense network's accuracy is not reached in every replicate"
    return ""


def _compared(
    cells: tuple[Cell | None, Cell | None], pairing: Pairing, measure: Measure, basis: Basis
) -> tuple[Difference, Mapping[int, float], tuple[int, int]] | None:
    """The difference between two cells, of logarithms for times, and what it rests on.

    Returns:
        The difference; replicate -> difference or ratio, empty where not paired; and how many
        values of each cell count.
    """
    left, right = (cell.of(measure) if cell else None for cell in cells)
    if left is None or right is None:
        return None
    pruned = any(cell and cell.level for cell in cells)
    times = measure in ("early_stop", "time_to_dense")
    if times and pruned and not pairing.stops_alike:
        return None
    take = math.log if times else basis.score.oriented
    of = [{r: take(value) for r, value in found.values.items()} for found in (left, right)]
    resolution, confidence = _resolution(cells[1], measure, basis), basis.confidence
    if not pairing.paired:
        values = [list(logs.values()) for logs in of]
        found = independent_difference(*values, resolution=resolution, confidence=confidence)
        return found, {}, (len(of[0]), len(of[1]))
    pairs = {r: of[0][r] - of[1][r] for r in sorted(of[0].keys() & of[1].keys())}
    if not pairs:
        return None
    found = paired_difference(list(pairs.values()), resolution=resolution, confidence=confidence)
    back = math.exp if times else float
    return found, {r: back(value) for r, value in pairs.items()}, (len(pairs), len(pairs))


def _resolution(first: Cell | None, measure: Measure, basis: Basis) -> float:
    """The step of the grid of differences; of times as a share of the first run's."""
    if measure in ("accuracy", "accuracy_final"):
        return basis.step
    stop = first.group.early_stop if first else None
    return math.log1p(basis.grid / stop.mean) if stop else 0.0


def _best(rows: Sequence[Row], measure: Measure, basis: Basis) -> dict[int, Best]:
    """Place of the row -> the run whose mean is best, and whether it is better than all others.

    That it is better than every other one takes all of its one-sided tests (the largest p-value);
    since it was picked as the best of k, that is multiplied by k (Bonferroni).
    """
    claims: dict[int, tuple[int, float | None]] = {}
    for at, row in enumerate(rows):
        means = {
            place: _goodness(found.mean, measure, basis)
            for place, cell in enumerate(row.cells)
            if cell and (found := cell.of(measure))
        }
        if len(means) < 2:
            continue
        leader = max(means, key=lambda place: (means[place], -place))
        made = [_p_better(row, leader, other, measure, basis) for other in means if other != leader]
        known = [p for p in made if p is not None]
        p = min(1.0, len(means) * max(known)) if len(known) == len(made) else None
        claims[at] = leader, p
    corrected = holm([p for _, p in claims.values()])
    return {
        at: Best(method=leader, p_adjusted=p, confirmed=p is not None and p < basis.alpha)
        for (at, (leader, _)), p in zip(claims.items(), corrected, strict=True)
    }


def _goodness(mean: float, measure: Measure, basis: Basis) -> float:
    """A mean as a number that is larger where it is better."""
    return basis.score.oriented(mean) if _BETTER[measure] > 0 else -mean


def _p_better(row: Row, leader: int, other: int, measure: Measure, basis: Basis) -> float | None:
    cells, pairing = (row.cells[leader], row.cells[other]), basis.pairings[leader, other]
    compared = _compared(cells, pairing, measure, basis)
    if compared is None or cells[0] is None or cells[1] is None:
        return None
    same = pairing.same_dense and cells[0].level == cells[1].level == 0
    if same or _untested(cells[0], cells[1], measure, compared[0]):
        return None
    return compared[0].p_above if _BETTER[measure] > 0 else compared[0].p_below
