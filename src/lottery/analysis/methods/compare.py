"""Runs side by side: a pure function of what they found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from lottery.analysis.methods.contrasts import Basis, tested
from lottery.analysis.methods.pairing import Pairing, pairing
from lottery.analysis.methods.rows import untested_rows
from lottery.analysis.methods.settings import labels, setting_differences
from lottery.analysis.methods.types import (
    MEASURES,
    Cost,
    Measure,
    Method,
    MethodRun,
    Place,
    Row,
    RunComparison,
)
from lottery.analysis.methods.warnings import caveats, warnings
from lottery.analysis.methods.words import findings, paragraph
from lottery.analysis.types import LevelVerdict
from lottery.errors import UsageError
from lottery.store.jobs import MAIN, JobResult


def compare_methods(runs: Sequence[MethodRun], *, tolerance: float) -> RunComparison:
    """Compare every run with the first one, density by density.

    At each density a two-sided test asks whether a method's mean differs from the first's: paired
    by replicate where replicates share seed, model, data and initial weights, and Welch's where
    they do not. For each measure all tests are corrected together (Holm).

    Args:
        runs: two or more, all judged with one margin and one confidence.
        tolerance: densities whose ratio is at most 1 + tolerance are compared, in [0, 1).

    Raises:
        UsageError: there are fewer than two runs, or the tolerance is out of range.
    """
    if len(runs) < 2:
        raise UsageError(f"a comparison needs two or more runs, got {len(runs)}")
    if not 0 <= tolerance < 1:
        raise UsageError(f"a comparison needs a tolerance in [0, 1), got {tolerance}")
    basis = _basis(runs)
    rows = tested(untested_rows(runs, tolerance), basis)
    settings = setting_differences([run.config for run in runs])
    names = labels(runs, settings)
    comparison = RunComparison(
        methods=tuple(
            _method(run, name, basis.pairings.get((place, 0)))
            for place, (run, name) in enumerate(zip(runs, names, strict=True))
        ),
        rows=rows,
        settings=settings,
        tolerance=tolerance,
        margin=runs[0].verdict.margin,
        confidence=basis.confidence,
        comparisons={measure: _tests(rows, measure) for measure in MEASURES},
        paragraph="",
        findings=(),
        warnings=warnings(runs, names, settings),
        caveats=(),
    )
    return replace(
        comparison,
        paragraph=paragraph(comparison),
        findings=findings(comparison),
        caveats=caveats(comparison),
    )


def _basis(runs: Sequence[MethodRun]) -> Basis:
    places = range(len(runs))
    accuracy = max(1 / run.data["test_examples"] for run in runs)
    interval = float(max(run.verdict.evaluation_interval for run in runs))
    return Basis(
        pairings={(a, b): pairing(runs[a], runs[b]) for a in places for b in places if a != b},
        grids={m: interval if m == "early_stop_iteration" else accuracy for m in MEASURES},
        confidence=runs[0].verdict.confidence,
    )


def _tests(rows: Sequence[Row], measure: Measure) -> int:
    """How many tests against the first were made."""
    made = [cell.against_first.get(measure) for row in rows for cell in row.cells if cell]
    return sum(contrast is not None and contrast.p is not None for contrast in made)


def _method(run: MethodRun, label: str, with_first: Pairing | None) -> Method:
    levels = run.verdict.levels
    matching = [
        level
        for level in levels
        if level.matching and level.matching.holds and not level.tickets_lost
    ]
    confirmed = [level for level in matching if level.is_matching == "yes"]
    return Method(
        label=label,
        paired=with_first.paired if with_first else None,
        pairing=with_first.why if with_first else "the others are compared with it",
        weights_total=max((result.weights_total for result in run.results), default=0),
        dense=next((_place(level) for level in levels if level.level == 0), None),
        smallest_matching=_smallest(matching),
        smallest_confirmed_matching=_smallest(confirmed),
        cost=_cost(run),
        verdict=run.verdict,
    )


def _smallest(levels: Sequence[LevelVerdict]) -> Place | None:
    found = min(levels, key=lambda level: (level.density, -level.level), default=None)
    return _place(found) if found else None


def _place(level: LevelVerdict) -> Place:
    group = level.groups.get(MAIN)
    stop = group.early_stop_iteration if group else None
    return Place(
        level=level.level,
        density=level.density,
        early_stop_iteration=stop.mean if stop else None,
    )


def _cost(run: MethodRun) -> Cost:
    # What collapsed was never trained.
    trained = [result for result in run.results if result.status != "collapsed"]
    main = [result for result in trained if result.branch == MAIN]
    controls = [result for result in trained if result.branch != MAIN]
    hardware = "gpu" if run.environment.get("device") == "cuda" else "processor"
    return Cost(
        trainings=len(main),
        seconds=_seconds(main),
        control_trainings=len(controls),
        control_seconds=_seconds(controls),
        engines=tuple(sorted({result.engine for result in trained})),
        device=str(run.environment.get("device", "unknown")),
        hardware=str(run.environment.get(hardware, "unknown")),
    )


def _seconds(results: Sequence[JobResult]) -> float:
    return math.fsum(result.seconds for result in results)
