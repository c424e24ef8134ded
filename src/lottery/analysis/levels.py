"""Level by level: what was measured, what the tests say, and which levels are winning."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lottery.analysis.compare import all_true, answer, below, over_levels
from lottery.analysis.families import ACCURACY, ITERATION, KindTests, Settings, families_of
from lottery.analysis.gather import Jobs, Measure, replicate_values, tickets_lost
from lottery.analysis.statistics import estimate
from lottery.analysis.types import Comparison, Estimate, Group, LevelVerdict
from lottery.store.jobs import CONTROL_KINDS, MAIN, JobResult
from lottery.tickets import RewindMethod, never_settled


def judge_levels(
    jobs: Jobs, settings: Settings, rewind: RewindMethod = "weights"
) -> tuple[LevelVerdict, ...]:
    """Every level that has a result, from dense to sparse; the tickets went back as said."""
    kinds = [kind for kind in (MAIN, *CONTROL_KINDS) if any(kind == found for found, _ in jobs)]
    tests = {kind: families_of(jobs, kind, settings) for kind in kinds}
    p_hypothesis = over_levels(_hypothesis(tests))
    verdicts = []
    for level in sorted({level for _, level in jobs}):
        groups = {
            kind: _group(jobs[kind, level], kind, level, tests[kind], settings)
            for kind in kinds
            if (kind, level) in jobs
        }
        of_level = [job for kind in kinds for job in jobs.get((kind, level), ())]
        lost = tickets_lost(jobs, level)
        verdict = _level(level, groups, of_level, tests.get(MAIN), lost, settings, rewind)
        verdicts.append(replace(verdict, p_hypothesis_holm=p_hypothesis.get(level)))
    return tuple(verdicts)


def _hypothesis(tests: Mapping[str, KindTests]) -> dict[int, float | None]:
    """Level -> p-value that the ticket wins and reinitializing it does worse."""
    if MAIN not in tests or "reinit" not in tests:
        return {}
    winning, worse = tests[MAIN].winning, tests["reinit"].worse
    return {
        level: all_true([winning[level], worse[level]])
        for level in sorted(winning.keys() & worse.keys())
    }


def _level(
    level: int,
    groups: Mapping[str, Group],
    of_level: Sequence[JobResult],
    tests: KindTests | None,
    lost: int,
    settings: Settings,
    rewind: RewindMethod,
) -> LevelVerdict:
    matching = tests.matching.get(level) if tests else None
    no_later = tests.no_later.get(level) if tests else None
    p_winning = tests.winning_holm.get(level) if tests else None
    p_not_winning = tests.not_winning_holm.get(level) if tests else None
    unsettled = sum(job.branch == MAIN and never_settled(job.provenance) for job in of_level)
    starts = [job.start_iteration for job in of_level if job.branch == MAIN]
    late = unsettled if rewind == "drawn" else 0
    wins = _wins(matching, no_later) is True and lost == 0 and late == 0
    own = [job for job in of_level if job.branch == MAIN and job.status == "done"] or of_level
    return LevelVerdict(
        level=level,
        density=math.fsum(job.density for job in own) / len(own),
        weights_kept=math.fsum(job.weights_kept for job in own) / len(own),
        groups=groups,
        matching=matching,
        no_later=no_later,
        wins=wins,
        is_matching=answer(
            yes=matching is not None and matching.confirmed and lost == 0,
            no=matching is not None and matching.refuted,
            tested=matching is not None and matching.p is not None,
        ),
        is_winning=answer(
            yes=wins and below(p_winning, settings.alpha),
            no=not wins and below(p_not_winning, settings.alpha),
            tested=p_winning is not None,
        ),
        p_winning_holm=p_winning,
        p_not_winning_holm=p_not_winning,
        tickets_lost=lost,
        tickets_unsettled=unsettled,
        tickets_late=late,
        start_iteration=math.fsum(starts) / len(starts) if starts else 0.0,
    )


def _group(
    jobs: Sequence[JobResult], kind: str, level: int, tests: KindTests, settings: Settings
) -> Group:
    def mean(measure: Measure) -> Estimate | None:
        values = replicate_values(jobs, measure)
        return estimate(values, settings.confidence) if values else None

    done = [job for job in jobs if job.status == "done"]
    control = kind != MAIN
    matching, no_later = tests.matching.get(level), tests.no_later.get(level)
    return Group(
        kind=kind,
        n=len({job.replicate for job in done}),
        diverged=sum(job.status == "diverged" for job in jobs),
        collapsed=sum(job.status == "collapsed" for job in jobs),
        accuracy_at_early_stop=mean(ACCURACY),
        accuracy_final=mean("test_accuracy_final"),
        early_stop_iteration=mean(ITERATION),
        accuracy_below_ticket=tests.lower.get(level),
        learns_later=tests.later.get(level),
        matching=matching if control else None,
        no_later=no_later if control else None,
        wins=_wins(matching, no_later) if control else None,
        p_winning_holm=tests.winning_holm.get(level) if control else None,
        still_improving=sum(job.early_stop_iteration == job.iterations for job in done),
    )


def _wins(matching: Comparison | None, no_later: Comparison | None) -> bool | None:
    if matching is None or no_later is None:
        return None
    return matching.holds and no_later.holds
