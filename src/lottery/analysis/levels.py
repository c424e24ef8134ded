"""The levels of a verdict: means, comparisons and outcomes of tests for each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean
from typing import Final

from lottery.analysis.claims import Claims
from lottery.analysis.measured import Measured, Place
from lottery.analysis.statistics import SMALLEST_DEVIATION, estimate, estimate_ratio
from lottery.analysis.types import (
    Bound,
    Contrast,
    Estimate,
    Group,
    LevelVerdict,
    Measure,
    Missing,
    Test,
)
from lottery.methods import CONTROL_KINDS
from lottery.store.jobs import MAIN
from lottery.tickets import never_settled

_ACCURACIES: Final[tuple[Measure, ...]] = ("accuracy", "accuracy_final")
_TIMES: Final[tuple[Measure, ...]] = ("early_stop", "time_to_dense")


def judge_levels(measured: Measured, claims: Claims) -> tuple[LevelVerdict, ...]:
    """Every level that has a result, from dense to sparse."""
    levels = sorted({level for _, level in measured.jobs})
    return tuple(_level(measured, claims, level) for level in levels)


def _level(measured: Measured, claims: Claims, level: int) -> LevelVerdict:
    kinds = [kind for kind in (MAIN, *CONTROL_KINDS) if (kind, level) in measured.jobs]
    groups = {kind: _group(measured, kind, level, _tests(claims, kind, level)) for kind in kinds}
    main = measured.jobs.get((MAIN, level), ())
    every = [job for kind in kinds for job in measured.jobs[kind, level]]
    own = [job for job in main if job.status == "done"] or every
    matches, wins = _on_means(measured, level)
    return LevelVerdict(
        level=level,
        density=fmean([job.density for job in own]),
        weights_kept=fmean([job.weights_kept for job in own]),
        groups=groups,
        matches_on_means=matches,
        wins_on_means=wins,
        tickets_lost=measured.tickets_lost(level),
        tickets_unsettled=sum(never_settled(job.provenance) for job in main),
        tickets_late=len(measured.tickets_late(level)),
        start_iteration=fmean([job.start_iteration for job in main]) if main else 0.0,
    )


def _tests(claims: Claims, kind: str, level: int) -> Mapping[str, Test]:
    if kind == MAIN:
        return claims.tickets.get(level, {})
    return claims.controls.get(kind, {}).get(level, {})


def _on_means(measured: Measured, level: int) -> tuple[bool, bool]:
    """Whether a level matches, and wins, on the plain means; not where a training is missing."""
    if level == 0 or level not in measured.levels or not measured.replicates:
        return False, False
    accuracy = measured.row(MAIN, level, "accuracy")
    stop = measured.row(MAIN, level, "early_stop")
    difference = float((accuracy - measured.dense_array("accuracy")).mean())
    margin = measured.score.margin
    matches = margin is not None and difference >= -margin - SMALLEST_DEVIATION
    if not measured.timed:
        return matches, False
    later = float((stop - measured.dense_array("early_stop")).mean())
    cut = measured.at_end(MAIN, level) > 0
    return matches, matches and later < measured.evidence.evaluation_interval and not cut


def _group(measured: Measured, kind: str, level: int, tests: Mapping[str, Test]) -> Group:
    evidence, confidence = measured.evidence, measured.evidence.confidence
    step, grid = _step(measured), float(evidence.evaluation_interval)

    def mean_time(measure: Measure) -> Estimate | None:
        values = measured.values(kind, level, measure)
        return estimate(values, confidence, resolution=grid) if values else None

    def mean_score(measure: Measure) -> Estimate | None:
        # Back from the score's direction: a mean of it is shown as it is.
        values = measured.values(kind, level, measure)
        shown = {replicate: measured.score.oriented(value) for replicate, value in values.items()}
        return estimate(shown, confidence, resolution=step) if shown else None

    pruned = level > 0
    return Group(
        kind=kind,
        n=len({job.replicate for job in measured.counting(kind, level)}),
        trainings=len(measured.jobs[kind, level]),
        missing=measured.missing(kind, level),
        accuracy=mean_score("accuracy"),
        accuracy_final=mean_score("accuracy_final"),
        early_stop=mean_time("early_stop"),
        at_end=measured.at_end(kind, level),
        against_dense=_contrasts(measured, (kind, level), (MAIN, 0)) if pruned else {},
        against_ticket=_contrasts(measured, (kind, level), (MAIN, level)) if kind != MAIN else {},
        tests=tests,
    )


def _contrasts(measured: Measured, own: Place, other: Place) -> dict[Measure, Contrast]:
    """One place against another: scores as differences, times as ratios.

    Against the ticket a score is the ticket's minus the control's; everything else is the place's
    own minus, or over, the other's. Differences are in the score's direction: above 0 is better.
    """
    missing = measured.missing(*own, compared=True)
    left, right = (other, own) if other[1] else (own, other)
    found: dict[Measure, Contrast] = {}
    for measure in _ACCURACIES:
        difference = _difference(measured, left, right, measure)
        found[measure] = _contrast(left, right, measure, *difference, missing)
    if all(measured.compares_times(kind) for kind, _ in (own, other)):
        for measure in _TIMES:
            found[measure] = _contrast(
                own, other, measure, *_ratio(measured, own, other, measure), missing
            )
    return found


def _difference(
    measured: Measured, left: Place, right: Place, measure: Measure
) -> tuple[Estimate | None, float]:
    """The mean difference and the resolution."""
    a, b = measured.values(*left, measure), measured.values(*right, measure)
    values = {r: a[r] - b[r] for r in _pairs(measured, a, b)}
    step, confidence = _step(measured), measured.evidence.confidence
    return (estimate(values, confidence, resolution=step) if values else None), step


def _ratio(
    measured: Measured, left: Place, right: Place, measure: Measure
) -> tuple[Estimate | None, float]:
    """The geometric mean of ratios and the resolution; pairs of two lower bounds say nothing."""
    a, b = measured.values(*left, measure), measured.values(*right, measure)
    over, under = _bounded(measured, left, measure), _bounded(measured, right, measure)
    pairs = [r for r in _pairs(measured, a, b) if r not in over & under]
    if not pairs:
        return None, 0.0
    times = {r: (_finite(measured, a[r]), _finite(measured, b[r])) for r in pairs}
    bounds: dict[int, Bound] = {r: "at least" for r in pairs if r in over}
    bounds |= {r: "at most" for r in pairs if r in under}
    step = measured.evidence.evaluation_interval / fmean([y for _, y in times.values()])
    ratios = {r: x / y for r, (x, y) in times.items()}
    confidence = measured.evidence.confidence
    return estimate_ratio(ratios, confidence, resolution=step, bounds=bounds), step


def _contrast(
    left: Place,
    right: Place,
    measure: Measure,
    found: Estimate | None,
    resolution: float,
    missing: Missing,
) -> Contrast:
    return Contrast(
        left=left[0],
        right=right[0] if right[1] else "dense",
        measure=measure,
        scale="ratio" if measure in _TIMES else "difference",
        paired=True,
        estimate=found,
        n=len(found.values) if found else 0,
        missing=missing,
        resolution=resolution,
    )


def _pairs(measured: Measured, a: Mapping[int, float], b: Mapping[int, float]) -> list[int]:
    return sorted(a.keys() & b.keys() & measured.dense.keys())


def _bounded(measured: Measured, place: Place, measure: Measure) -> set[int]:
    """Replicates whose time is a lower bound: not over at the end, or never reached."""
    if measure == "early_stop":
        return measured.stops_at_end(*place)
    return {r for r, value in measured.values(*place, measure).items() if math.isinf(value)}


def _finite(measured: Measured, time: float) -> float:
    return float(measured.end) if math.isinf(time) else time


def _step(measured: Measured) -> float:
    examples = measured.evidence.test_examples
    return 1 / examples if examples else 0.0
