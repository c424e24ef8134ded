"""Runs side by side: a pure function of what they found."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean

from lottery.analysis.lookup import is_confirmed
from lottery.analysis.methods.align import align
from lottery.analysis.methods.comparison_sentences import caveats, findings, paragraph, warnings
from lottery.analysis.methods.contrasts import Basis, with_tests
from lottery.analysis.methods.pairing import Pairing, pairing
from lottery.analysis.methods.settings import labels, setting_differences
from lottery.analysis.methods.types import (
    MEASURES,
    Cell,
    Cost,
    CostOfTickets,
    Method,
    MethodRun,
    Place,
    Row,
    RunComparison,
    TicketCost,
)
from lottery.analysis.statistics import estimate
from lottery.analysis.types import Estimate, LevelVerdict, Measure
from lottery.errors import UsageError, printable
from lottery.score import Score
from lottery.store.jobs import MAIN


def compare_methods(runs: Sequence[MethodRun], *, tolerance: float) -> RunComparison:
    """Compare every run with the first one, density by density.

    At each density a two-sided test asks whether a run's mean differs from the first's: paired by
    replicate where replicates share seed, model, data and initial weights, and Welch's where they
    do not; times are compared as ratios, by their logarithms. For each measure all tests are
    corrected together (Holm).

    Args:
        runs: two or more, all judged with one margin and one confidence.
        tolerance: densities whose ratio is at most 1 + tolerance are compared, in [0, 1).

    Raises:
        UsageError: there are fewer than two runs, they are judged by different scores, or the
            tolerance is out of range.
    """
    if len(runs) < 2:
        raise UsageError(f"a comparison needs two or more runs, got {len(runs)}")
    _check_scores(runs)
    if not 0 <= tolerance < 1:
        raise UsageError(f"a comparison needs a tolerance in [0, 1), got {tolerance}")
    settings = setting_differences([run.config for run in runs])
    names = labels(runs, settings)
    basis = _basis(runs, names)
    rows = with_tests(_rows(runs, tolerance), basis)
    common = [row for row in rows if all(row.cells)]
    comparison = RunComparison(
        methods=tuple(
            _method(run, name, place, common, basis.pairings.get((place, 0)))
            for place, (run, name) in enumerate(zip(runs, names, strict=True))
        ),
        rows=rows,
        settings=settings,
        tolerance=tolerance,
        margin=runs[0].verdict.margin,
        confidence=basis.confidence,
        score=basis.score,
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


def _check_scores(runs: Sequence[MethodRun]) -> None:
    """Refuse to compare numbers of different kinds."""
    first = runs[0].verdict
    for other in (run.verdict for run in runs[1:]):
        one, two = first.score, other.score
        if (one.name, one.higher, one.unit) != (two.name, two.higher, two.unit):
            raise UsageError(
                "a comparison needs runs that are judged by the same score: "
                f"{printable(first.run)} by {_described(one)}, {printable(other.run)} by "
                f"{_described(two)}; compare them apart"
            )


def _described(score: Score) -> str:
    """A score's name, direction and unit."""
    unit = f" in {score.unit}" if score.unit else ""
    return printable(f"{score.name}{unit} ({'higher' if score.higher else 'lower'} is better)")


def _basis(runs: Sequence[MethodRun], names: Sequence[str]) -> Basis:
    places = range(len(runs))
    return Basis(
        labels=names,
        pairings={(a, b): pairing(runs[a], runs[b]) for a in places for b in places if a != b},
        step=max((1 / n if (n := run.verdict.test_examples) else 0.0) for run in runs),
        grid=float(max(run.verdict.evaluation_interval for run in runs)),
        confidence=runs[0].verdict.confidence,
        score=runs[0].verdict.score,
    )


def _rows(runs: Sequence[MethodRun], tolerance: float) -> list[Row]:
    """Every density at which a run's main line has a result, without any test."""
    levels = [
        {level.level: level for level in run.verdict.levels if MAIN in level.groups} for run in runs
    ]
    densities = [{number: found.density for number, found in of.items()} for of in levels]
    rows = []
    for places in align(densities, tolerance):
        cells = [
            None if number is None else _cell(of[number], run)
            for number, of, run in zip(places, levels, runs, strict=True)
        ]
        there = [cell.density for cell in cells if cell]
        rows.append(Row(density=fmean(there), cells=tuple(cells), best={}))
    return rows


def _cell(level: LevelVerdict, run: MethodRun) -> Cell:
    place = (MAIN, level.level, "done")
    seconds = [job.seconds for job in run.results if (job.branch, job.level, job.status) == place]
    group = level.groups[MAIN]
    return Cell(
        level=level.level,
        density=level.density,
        group=group,
        lost=max(level.tickets_lost + group.missing.guessing, group.missing.total),
        seconds=fmean(seconds) if seconds else None,
        against_first={},
        cost=_cost_of_tickets(level.level, run),
    )


def _cost_of_tickets(level: int, run: MethodRun) -> CostOfTickets | None:
    """Mean over replicates of what tickets of a level cost."""
    costs = {key.replicate: cost for key, cost in run.costs.items() if key.level == level}
    if not costs:
        return None

    def mean(of: Callable[[TicketCost], float | None]) -> Estimate | None:
        values = {replicate: of(cost) for replicate, cost in costs.items()}
        there = {replicate: value for replicate, value in values.items() if value is not None}
        return estimate(there, run.verdict.confidence) if there else None

    seconds = mean(lambda cost: cost.seconds)
    assert seconds is not None, "of every training"
    return CostOfTickets(
        finding=mean(lambda cost: cost.finding),
        total=mean(
            lambda cost: (
                None
                if cost.finding is None or cost.training is None
                else cost.finding + cost.training
            )
        ),
        seconds=seconds,
        making=mean(lambda cost: cost.making)
        if all(cost.making is not None for cost in costs.values())
        else None,
    )


def _tests(rows: Sequence[Row], measure: Measure) -> int:
    """How many tests against the first were made."""
    made = [cell.against_first.get(measure) for row in rows for cell in row.cells if cell]
    return sum(found is not None and found.p is not None for found in made)


def _method(
    run: MethodRun, label: str, place: int, common: Sequence[Row], with_first: Pairing | None
) -> Method:
    levels = {level.level: level for level in run.verdict.levels}
    there = [levels[cell.level] for row in common if (cell := row.cells[place]) and cell.level]
    several = [level for level in there if level.groups[MAIN].n > 1]
    confirmed = [level for level in several if is_confirmed(level, "matches")]
    return Method(
        label=label,
        paired=with_first.paired if with_first else None,
        pairing=with_first.why if with_first else "the others are compared with it",
        weights_total=max((result.weights_total for result in run.results), default=0),
        dense=_place(levels[0]) if 0 in levels else None,
        smallest_matching=_smallest([level for level in several if level.matches_on_means]),
        smallest_confirmed_matching=_smallest(confirmed),
        cost=_cost(run),
        verdict=run.verdict,
    )


def _smallest(levels: Sequence[LevelVerdict]) -> Place | None:
    found = min(levels, key=lambda level: (level.density, -level.level), default=None)
    return _place(found) if found else None


def _place(level: LevelVerdict) -> Place:
    group = level.groups.get(MAIN)
    stop = group.early_stop if group else None
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
        seconds=math.fsum(result.seconds for result in main),
        control_trainings=len(controls),
        control_seconds=math.fsum(result.seconds for result in controls),
        engines=tuple(sorted({result.engine for result in trained})),
        device=str(run.environment.get("device", "unknown")),
        hardware=str(run.environment.get(hardware, "unknown")),
    )
