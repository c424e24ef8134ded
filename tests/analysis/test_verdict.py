"""What a verdict says about runs of every shape."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import pytest

from lottery.analysis import Verdict, holm, judge
from lottery.analysis.conclusion import supports
from lottery.errors import StoreError, UsageError
from lottery.store.jobs import JobKey, JobResult

Job = Callable[..., JobResult]
Simulated = Callable[..., list[JobResult]]
Judged = Callable[..., Verdict]

WINS = (0.004, -3000.0)
FAILS = (-0.02, 3000.0)


def test_a_clear_case_is_supported(simulated: Simulated, judged: Judged) -> None:
    verdict = judged(simulated(1, replicates=5, levels=3, ticket=WINS, reinit=FAILS))
    assert verdict.hypothesis == "supported"
    assert verdict.initialization_matters == "yes"
    assert verdict.smallest_winning_level == verdict.smallest_confirmed_level == 3
    assert verdict.speedup == pytest.approx(10_000 / 7_000, rel=0.05)
    assert verdict.reinit_costs == pytest.approx(0.024, abs=0.002)
    assert verdict.complete
    assert [level.is_winning for level in verdict.levels] == ["untested", "yes", "yes", "yes"]


def test_the_numbers_are_the_results_own(job: Job, judged: Judged) -> None:
    verdict = judged(
        [
            job(0, "main", 0, 0.97, 1000),
            job(1, "main", 0, 0.98, 1200),
            job(0, "main", 1, 0.99, 500),
            job(1, "main", 1, 0.985, 400),
            job(0, "reinit-1", 1, 0.95, 1500),
            job(0, "reinit-2", 1, 0.93, 1700),
            job(1, "reinit-1", 1, 0.96, 1600),
        ]
    )
    dense, ticket = verdict.levels
    main, reinit = ticket.groups["main"], ticket.groups["reinit"]
    assert dense.density == 1
    assert ticket.density == 0.8
    assert main.accuracy_at_early_stop is not None
    assert dict(main.accuracy_at_early_stop.values) == {0: 0.99, 1: 0.985}
    assert reinit.n == 2
    assert ticket.matching is not None
    assert ticket.matching.difference.mean == pytest.approx((0.02 + 0.005) / 2)
    assert ticket.no_later is not None
    assert dict(ticket.no_later.difference.values) == {0: -500, 1: -800}
    assert reinit.accuracy_below_ticket is not None
    # The two reinits of replicate 0 count as one: 0.99 - (0.95 + 0.93) / 2.
    assert dict(reinit.accuracy_below_ticket.difference.values) == pytest.approx(
        {0: 0.05, 1: 0.025}
    )
    assert reinit.learns_later is not None
    assert dict(reinit.learns_later.difference.values) == {0: 1100, 1: 1200}
    assert verdict.speedup == pytest.approx(2200 / 900)


def test_the_order_of_the_results_does_not_matter(simulated: Simulated, judged: Judged) -> None:
    results = simulated(2, replicates=4, levels=3, ticket=WINS, reinit=FAILS)
    shuffled = random.Random(0).sample(results, len(results))
    assert shuffled != results
    assert judged(shuffled) == judged(results)


@pytest.mark.parametrize("status", ["diverged", "collapsed"])
@pytest.mark.parametrize("branch", ["main", "reinit-2"])
def test_a_failed_job_changes_no_mean(
    simulated: Simulated,
    judged: Judged,
    job: Job,
    status: Literal["diverged", "collapsed"],
    branch: str,
) -> None:
    results = simulated(3, replicates=3, levels=2, ticket=WINS, reinit=FAILS)
    replicate = 3 if branch == "main" else 1
    # What a failed job carries must not matter either.
    failed = replace(job(replicate, branch, 2, 0.1, 9), status=status)
    before, after = judged(results), judged([*results, failed])
    for old, new in zip(before.levels, after.levels, strict=True):
        for kind, group in old.groups.items():
            found = new.groups[kind]
            assert found.accuracy_at_early_stop == group.accuracy_at_early_stop
            assert found.accuracy_final == group.accuracy_final
            assert found.early_stop_iteration == group.early_stop_iteration
            assert found.n == group.n
    counted = after.levels[2].groups["main" if branch == "main" else "reinit"]
    assert getattr(counted, status) == 1
    assert getattr(after, f"jobs_{status}") == 1


def test_a_level_that_lost_a_ticket_is_not_winning(simulated: Simulated, judged: Judged) -> None:
    results = simulated(4, replicates=5, levels=3, ticket=WINS, reinit=FAILS)
    assert judged(results).smallest_winning_level == 3
    kept = [r for r in results if r.replicate > 0 or r.level < 2]
    [failed] = [r for r in results if r.key == JobKey(0, "main", 2)]
    verdict = judged([*kept, replace(failed, status="diverged")])
    assert [level.tickets_lost for level in verdict.levels] == [0, 0, 1, 1]
    assert [level.wins for level in verdict.levels] == [False, True, False, False]
    assert [level.is_winning for level in verdict.levels[2:]] == ["unsure", "unsure"]
    assert [level.is_matching for level in verdict.levels[2:]] == ["unsure", "unsure"]
    for level in verdict.levels[2:]:
        assert level.matching is not None
        assert level.matching.confirmed  # by the tickets that are left
    assert verdict.smallest_winning_level == verdict.smallest_confirmed_level == 1


def test_a_ticket_can_come_after_a_lost_one(job: Job, judged: Judged) -> None:
    """One-shot pruning makes level 2 from the dense network, whatever became of level 1."""
    verdict = judged([job(0, "main", 0), job(0, "main", 1, status="diverged"), job(0, "main", 2)])
    assert [level.tickets_lost for level in verdict.levels] == [0, 1, 0]
    assert verdict.smallest_winning_level == 2


def test_combined_p_values_follow_their_definitions(simulated: Simulated, judged: Judged) -> None:
    """Small effects, so that no p-value is at an end of its range."""
    results = simulated(15, replicates=4, levels=4, ticket=(-0.0015, 0.0), reinit=(-0.002, 150.0))
    levels = judged(results).levels[1:]
    winning, not_winning, hypothesis = [], [], []
    for level in levels:
        reinit = level.groups["reinit"]
        tests = (
            level.matching,
            level.no_later,
            reinit.accuracy_below_ticket,
            reinit.learns_later,
        )
        p, opposite = [], []
        for test in tests:
            assert test is not None
            assert test.p is not None
            assert test.p_opposite is not None
            p.append(test.p)
            opposite.append(test.p_opposite)
        winning.append(max(p[:2]))
        not_winning.append(min(1.0, 2 * min(opposite[:2])))
        hypothesis.append(max(*p[:2], min(1.0, 2 * min(p[2:]))))
    assert hypothesis != winning
    assert [level.p_winning_holm for level in levels] == holm(list(winning))
    assert [level.p_not_winning_holm for level in levels] == holm(list(not_winning))
    assert [level.p_hypothesis_holm for level in levels] == holm(list(hypothesis))


def test_both_halves_must_survive_the_correction_together(
    simulated: Simulated, judged: Judged
) -> None:
    level = judged(simulated(1, replicates=5, levels=1, ticket=WINS, reinit=FAILS)).levels[1]
    assert supports(level, 0.05)
    for p in (0.05, 0.2, None):
        assert not supports(replace(level, p_hypothesis_holm=p), 0.05)


def test_one_replicate_is_never_tested(simulated: Simulated, judged: Judged) -> None:
    verdict = judged(simulated(5, replicates=1, levels=4, ticket=WINS, reinit=FAILS))
    assert {level.is_winning for level in verdict.levels} == {"untested"}
    assert {level.is_matching for level in verdict.levels} == {"untested"}
    assert verdict.smallest_winning_level == 4
    assert verdict.smallest_confirmed_level is None
    assert verdict.initialization_matters == "untested"
    assert verdict.hypothesis == "observed"


@pytest.mark.parametrize("ticket", [(-0.02, -3000.0), (0.004, 3000.0), (-0.02, 3000.0)])
def test_either_failure_is_a_confirmed_no(
    simulated: Simulated, judged: Judged, ticket: tuple[float, float]
) -> None:
    verdict = judged(simulated(6, replicates=5, levels=3, ticket=ticket, reinit=FAILS))
    assert [level.is_winning for level in verdict.levels[1:]] == ["no"] * 3
    assert verdict.levels[1].is_matching == ("no" if ticket[0] < 0 else "yes")
    assert verdict.smallest_winning_level is None
    assert verdict.hypothesis == "not supported"
    assert verdict.initialization_matters == "untested"


def test_a_reinitialized_copy_that_wins_refutes(simulated: Simulated, judged: Judged) -> None:
    verdict = judged(simulated(7, replicates=5, levels=3, ticket=WINS, reinit=WINS))
    assert verdict.smallest_confirmed_level == 3
    assert verdict.hypothesis == "not supported"
    assert verdict.initialization_matters == "no"


def test_worse_but_still_winning_does_not_support(simulated: Simulated, judged: Judged) -> None:
    """Confirmed to do worse than the ticket, the reinitialized copy still beats the dense one."""
    verdict = judged(
        simulated(8, replicates=6, levels=2, ticket=(0.02, -5000.0), reinit=(0.01, -3000.0))
    )
    reinit = verdict.levels[2].groups["reinit"]
    assert reinit.accuracy_below_ticket is not None
    assert reinit.accuracy_below_ticket.confirmed
    assert reinit.wins
    assert verdict.hypothesis == "not supported"


@pytest.mark.parametrize(
    ("reinit", "way"), [((-0.02, -3000.0), "lower"), ((0.004, 3000.0), "later")]
)
def test_one_way_of_failing_is_enough(
    simulated: Simulated, judged: Judged, reinit: tuple[float, float], way: str
) -> None:
    verdict = judged(simulated(9, replicates=5, levels=2, ticket=WINS, reinit=reinit))
    group = verdict.levels[2].groups["reinit"]
    assert group.accuracy_below_ticket is not None
    assert group.learns_later is not None
    assert group.accuracy_below_ticket.confirmed == (way == "lower")
    assert group.learns_later.confirmed == (way == "later")
    assert verdict.hypothesis == "supported"


def test_both_bounds_of_winning_are_where_they_are_said_to_be(job: Job, judged: Judged) -> None:
    """Exactly the margin lower still matches; a whole evaluation later is later."""
    dense = job(0, "main", 0, 0.98, 1000)
    at_the_margin = judged([dense, job(0, "main", 1, 0.978, 1000)])
    below = judged([dense, job(0, "main", 1, 0.9779, 1000)])
    later = judged([dense, job(0, "main", 1, 0.98, 1100)])
    assert [v.levels[1].wins for v in (at_the_margin, below, later)] == [True, False, False]


def test_pairs_need_both_ends(job: Job, judged: Judged) -> None:
    verdict = judged(
        [
            job(0, "main", 0, 0.98),
            job(1, "main", 0, status="diverged"),
            job(2, "main", 0, 0.96),
            job(0, "main", 1, 0.99),
            job(1, "main", 1, 0.5),
        ]
    )
    matching = verdict.levels[1].matching
    assert matching is not None
    assert dict(matching.difference.values) == pytest.approx({0: 0.01})
    assert verdict.levels[1].tickets_lost == 0
    assert verdict.replicates == 3


def test_undecided_without_results(judged: Judged) -> None:
    for planned in ([], [JobKey(0, "main", 0)]):
        verdict = judged([], planned=planned)
        assert verdict.hypothesis == "undecided"
        assert verdict.levels == ()
        assert not verdict.complete


def test_undecided_while_the_rest_may_still_show_it(simulated: Simulated, judged: Judged) -> None:
    results = simulated(10, replicates=3, levels=2, ticket=FAILS, reinit=FAILS)
    planned = [result.key for result in results]
    assert judged(results[:-1], planned=planned).hypothesis == "undecided"
    assert judged(results, planned=planned).hypothesis == "not supported"


def test_undecided_without_dense_tickets_or_controls(
    simulated: Simulated, judged: Judged, job: Job
) -> None:
    results = simulated(11, replicates=3, levels=2, ticket=WINS, reinit=FAILS)
    no_dense = [replace(r, status="diverged") if r.level == 0 else r for r in results]
    only_dense = [r for r in results if r.level == 0]
    no_control = [r for r in results if r.branch == "main"]
    lost_control = [replace(r, status="diverged") if r.branch != "main" else r for r in results]
    for found in (no_dense, only_dense, no_control, lost_control):
        verdict = judged(found)
        assert verdict.hypothesis == "undecided"
        assert verdict.initialization_matters == "untested"
        assert verdict.complete


def test_all_tickets_diverged_is_no_support(simulated: Simulated, judged: Judged) -> None:
    results = simulated(12, replicates=3, levels=1)
    verdict = judged([replace(r, status="diverged") if r.level else r for r in results])
    assert verdict.hypothesis == "not supported"
    assert verdict.levels[1].groups["main"].accuracy_at_early_stop is None
    assert verdict.levels[1].tickets_lost == 3


def test_jobs_that_can_never_start_are_not_waited_for(simulated: Simulated, judged: Judged) -> None:
    results = simulated(13, replicates=2, levels=3, ticket=WINS, reinit=FAILS)
    planned = [result.key for result in results]

    def without(*keys: JobKey) -> list[JobResult]:
        return [
            replace(r, status="collapsed") if r.key == JobKey(0, "main", 2) else r
            for r in results
            if r.key not in keys
        ]

    stuck = (JobKey(0, "main", 3), JobKey(0, "reinit-1", 3), JobKey(0, "reinit-1", 2))
    assert judged(without(*stuck), planned=planned, never_run=stuck).complete
    for waiting in (JobKey(0, "reinit-1", 1), JobKey(1, "main", 3)):
        assert not judged(without(*stuck, waiting), planned=planned, never_run=stuck).complete


def test_missing_levels_and_replicates_are_left_out(simulated: Simulated, judged: Judged) -> None:
    results = simulated(14, replicates=4, levels=4, ticket=WINS, reinit=FAILS)
    planned = [result.key for result in results]
    verdict = judged(
        [r for r in results if r.level != 2 and (r.replicate, r.level) != (1, 3)], planned=planned
    )
    assert [level.level for level in verdict.levels] == [0, 1, 3, 4]
    matching = verdict.levels[2].matching
    assert matching is not None
    assert list(matching.difference.values) == [0, 2, 3]
    assert verdict.jobs_planned == len(planned)


def test_early_stop_on_the_last_evaluation_is_counted(job: Job, judged: Judged) -> None:
    verdict = judged(
        [
            job(0, "main", 0, iteration=900, iterations=900),
            job(1, "main", 0, iteration=800, iterations=900),
        ]
    )
    assert verdict.levels[0].groups["main"].still_improving == 1


def test_a_dense_grid_unknown_still_gives_a_verdict(job: Job, judged: Judged) -> None:
    """Without the size of the test set, accuracy differences that are all equal are untested."""
    results = [job(r, "main", level, 0.98, 1000) for r in range(3) for level in (0, 1)]
    assert judged(results, test_examples=None).levels[1].is_winning == "untested"
    assert judged(results, test_examples=10_000).levels[1].is_winning == "yes"


def test_two_results_of_one_job_are_refused(job: Job, judged: Judged) -> None:
    with pytest.raises(StoreError, match="replicate 0, main, level 0"):
        judged([job(0, "main", 0), job(0, "main", 0, 0.5)])


def test_every_bad_argument_is_named() -> None:
    with pytest.raises(UsageError) as error:
        judge(
            [],
            run="",
            name="",
            planned=[],
            margin=1.0,
            confidence=0.2,
            evaluation_interval=0,
            test_examples=0,
        )
    for word in ("margin", "confidence", "interval", "examples"):
        assert word in str(error.value)
