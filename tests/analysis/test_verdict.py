"""What a verdict says about runs of every shape."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import pytest

from lottery.analysis import Evidence, Verdict, judge
from lottery.errors import StoreError, UsageError
from lottery.score import ACCURACY
from lottery.store.jobs import JobKey, JobResult
from lottery.training import CurvePoint

Job = Callable[..., JobResult]
Simulated = Callable[..., list[JobResult]]
Judged = Callable[..., Verdict]

WINS = (0.004, -3000.0)
FAILS = (-0.02, 3000.0)


def outcomes(verdict: Verdict, claim: str, kind: str = "main") -> list[str]:
    """Of a claim at every pruned level."""
    return [level.groups[kind].tests[claim].outcome for level in verdict.levels[1:]]


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
    assert (dense.density, ticket.density) == (1, 0.8)
    assert main.accuracy is not None
    assert dict(main.accuracy.values) == {0: 0.99, 1: 0.985}
    assert (reinit.n, reinit.trainings) == (2, 3)
    accuracy = main.against_dense["accuracy"].estimate
    assert accuracy is not None
    assert accuracy.mean == pytest.approx((0.02 + 0.005) / 2)
    stop = main.against_dense["early_stop"].estimate
    assert stop is not None
    assert dict(stop.values) == pytest.approx({0: 0.5, 1: 1 / 3})
    assert stop.mean == pytest.approx(math.sqrt(0.5 / 3))
    # The two reinits of replicate 0 count as one: accuracies as they are, stops as logarithms.
    copy = reinit.against_dense["accuracy"].estimate
    assert copy is not None
    assert dict(copy.values) == pytest.approx({0: -0.03, 1: -0.02})
    to_ticket = reinit.against_ticket["accuracy"].estimate
    assert to_ticket is not None
    assert dict(to_ticket.values) == pytest.approx({0: 0.05, 1: 0.025})
    copy_stop = reinit.against_ticket["early_stop"].estimate
    assert copy_stop is not None
    assert dict(copy_stop.values) == pytest.approx({0: math.sqrt(1500 * 1700) / 500, 1: 4.0})


def test_the_order_of_the_results_does_not_matter(simulated: Simulated, judged: Judged) -> None:
    results = simulated(2, replicates=4, levels=3, ticket=WINS, reinit=FAILS)
    shuffled = random.Random(0).sample(results, len(results))
    assert shuffled != results
    assert judged(shuffled) == judged(results)


@pytest.mark.parametrize("status", ["diverged", "collapsed"])
@pytest.mark.parametrize("branch", ["main", "reinit-2"])
def test_a_failed_job_changes_no_mean_and_is_counted(
    simulated: Simulated,
    judged: Judged,
    job: Job,
    status: Literal["diverged", "collapsed"],
    branch: str,
) -> None:
    results = simulated(3, replicates=4, levels=2, ticket=WINS, reinit=FAILS)
    kept = [r for r in results if (r.replicate, r.level, r.branch) != (3, 2, "main")]
    # What a failed job carries must not matter either.
    failed = replace(job(3, branch, 2, 0.1, 9), status=status)
    before, after = judged(kept), judged([*kept, failed])
    for old, new in zip(before.levels, after.levels, strict=True):
        for kind, group in old.groups.items():
            found = new.groups[kind]
            assert found.accuracy == group.accuracy
            assert found.accuracy_final == group.accuracy_final
            assert found.early_stop == group.early_stop
            assert found.n == group.n
    counted = after.levels[2].groups["main" if branch == "main" else "reinit"]
    assert getattr(counted.missing, status) == 1
    assert getattr(after, f"jobs_{status}") == 1
    assert f"Lost among tickets and controls: 1 {status}" in after.paragraph


def test_a_level_that_lost_a_ticket_is_not_winning(simulated: Simulated, judged: Judged) -> None:
    results = simulated(4, replicates=5, levels=3, ticket=WINS, reinit=FAILS)
    assert judged(results).level == 3
    kept = [r for r in results if r.replicate > 0 or r.level < 2]
    [failed] = [r for r in results if r.key == JobKey(0, "main", 2)]
    verdict = judged([*kept, replace(failed, status="diverged")])
    assert [level.tickets_lost for level in verdict.levels] == [0, 0, 1, 1]
    assert [level.wins_on_means for level in verdict.levels] == [False, True, False, False]
    assert outcomes(verdict, "wins") == ["confirmed", "open", "open"]
    assert outcomes(verdict, "matches") == ["confirmed", "open", "open"]
    assert verdict.level == 1
    assert set(verdict.confirmed_levels) <= {1}


def test_a_ticket_can_come_after_a_lost_one(job: Job, judged: Judged) -> None:
    """One-shot pruning makes level 2 from the dense network, whatever became of level 1."""
    verdict = judged([job(0, "main", 0), job(0, "main", 1, status="diverged"), job(0, "main", 2)])
    assert [level.tickets_lost for level in verdict.levels] == [0, 1, 0]
    assert verdict.level == 2


def test_one_of_several_lost_copies_counts_as_no_difference(job: Job, judged: Judged) -> None:
    """The other two fail by 3 points; of three, a lost one leaves two thirds of that."""
    results = [
        job(r, branch, level, 0.97 + 0.0001 * r - 0.03 * (branch != "main"), 5000)
        for r in range(5)
        for branch, level in (("main", 0), ("main", 1), ("reinit-1", 1), ("reinit-2", 1))
    ]
    lost = [job(r, "reinit-3", 1, status="diverged") for r in range(5)]
    verdict = judged([*results, *lost])
    group = verdict.levels[1].groups["reinit"]
    assert (group.n, group.trainings, group.missing.diverged) == (5, 15, 5)
    assert group.against_dense["accuracy"].n == 5
    assert group.tests["fails"].outcome == "confirmed"
    assert verdict.levels[1].groups["reinit"].tests["fails"].p is not None
    alone = judged([r for r in results if r.branch != "reinit-2"] + lost)
    assert alone.levels[1].groups["reinit"].missing.diverged == 5


def test_one_replicate_is_never_tested(simulated: Simulated, judged: Judged) -> None:
    verdict = judged(simulated(5, replicates=1, levels=4, ticket=WINS, reinit=FAILS))
    for level in verdict.levels[1:]:
        for group in level.groups.values():
            assert {test.outcome for test in group.tests.values()} == {"untested"}
            assert {test.p for test in group.tests.values()} == {None}
    assert (verdict.level, verdict.level_picked) == (4, "means")
    assert (verdict.headline, verdict.confirmed_levels) == ("not tested", ())


@pytest.mark.parametrize("ticket", [(-0.02, -3000.0), (0.004, 3000.0), (-0.02, 3000.0)])
def test_either_failure_is_confirmed_against(
    simulated: Simulated, judged: Judged, ticket: tuple[float, float]
) -> None:
    verdict = judged(simulated(6, replicates=5, levels=3, ticket=ticket, reinit=FAILS))
    assert outcomes(verdict, "wins") == ["against"] * 3
    assert outcomes(verdict, "matches")[0] == ("against" if ticket[0] < 0 else "confirmed")
    assert (verdict.level, verdict.level_picked) == (None, "")
    assert verdict.headline == "contradicted"


def test_worse_but_still_winning_does_not_support(simulated: Simulated, judged: Judged) -> None:
    """Far behind its ticket, the reinitialized copy still beats the dense network."""
    verdict = judged(
        simulated(8, replicates=6, levels=2, ticket=(0.02, -5000.0), reinit=(0.01, -3000.0))
    )
    assert outcomes(verdict, "wins", "reinit") == ["confirmed"] * 2
    assert verdict.headline == "contradicted"


@pytest.mark.parametrize("reinit", [(-0.02, -3000.0), (0.004, 3000.0)])
def test_one_way_of_failing_is_enough(
    simulated: Simulated, judged: Judged, reinit: tuple[float, float]
) -> None:
    verdict = judged(simulated(9, replicates=5, levels=2, ticket=WINS, reinit=reinit))
    assert outcomes(verdict, "fails", "reinit") == ["confirmed"] * 2
    assert verdict.headline == "confirmed"


def test_both_bounds_of_winning_are_where_they_are_said_to_be(job: Job, judged: Judged) -> None:
    """Exactly the margin lower still matches; a whole evaluation later is later."""
    dense = job(0, "main", 0, 0.98, 1000)
    at_the_margin = judged([dense, job(0, "main", 1, 0.978, 1000)])
    below = judged([dense, job(0, "main", 1, 0.9779, 1000)])
    later = judged([dense, job(0, "main", 1, 0.98, 1100)])
    wins = [v.levels[1].wins_on_means for v in (at_the_margin, below, later)]
    assert wins == [True, False, False]


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
    contrast = verdict.levels[1].groups["main"].against_dense["accuracy"]
    assert contrast.estimate is not None
    assert dict(contrast.estimate.values) == pytest.approx({0: 0.01})
    assert (contrast.n, contrast.missing.dense) == (1, 1)
    assert verdict.levels[1].tickets_lost == 0
    assert verdict.replicates == 3
    assert verdict.dense_missing.diverged == 1


def test_nothing_is_tested_without_results(judged: Judged) -> None:
    for planned in ([], [JobKey(0, "main", 0)]):
        verdict = judged([], planned=planned)
        assert verdict.headline == "not tested"
        assert verdict.why == "there are no results yet"
        assert verdict.levels == ()
        assert not verdict.complete


def test_every_run_without_a_test_says_why(simulated: Simulated, judged: Judged, job: Job) -> None:
    results = simulated(1, replicates=3, levels=2, ticket=WINS, reinit=FAILS)
    lost: dict[str, Any] = {"status": "diverged"}
    main = [r for r in results if r.branch == "main"]
    cases = {
        "no dense network has come to its end": judged(
            [replace(r, **lost) if r.level == 0 else r for r in results]
        ),
        "there is only the dense network": judged([r for r in results if r.level == 0]),
        "no replicate has both": judged([job(0, "main", 0), job(1, "main", 1)]),
        "it has no reinitialization control": judged(main),
        "no reinitialized copy came to a result": judged(
            [replace(r, **lost) if r.branch != "main" else r for r in results]
        ),
        "one replicate is no test": judged([r for r in results if not r.replicate]),
    }
    for words, verdict in cases.items():
        assert verdict.headline == "not tested"
        assert words in verdict.why
        assert f"{verdict.why}. So this run does not test" in verdict.paragraph


def test_copies_that_are_still_to_come_are_not_missing(
    simulated: Simulated, judged: Judged
) -> None:
    results = simulated(1, replicates=3, levels=2, ticket=WINS, reinit=FAILS)
    main = [r for r in results if r.branch == "main"]
    early = judged(main, planned=[r.key for r in results])
    assert early.headline == "not tested"
    assert early.why.endswith("came to a result to compare with so far")
    assert "does not test the lottery ticket hypothesis yet" in early.paragraph
    assert judged(main).why == "it has no reinitialization control"


def test_a_smoke_run_that_guesses_shows_what_was_measured(job: Job, judged: Judged) -> None:
    results = [job(r, "main", level, 0.1, 100) for r in range(2) for level in range(3)]
    verdict = judged(results, classes=10)
    assert verdict.headline == "not tested"
    assert [level.groups["main"].n for level in verdict.levels] == [2, 2, 2]
    assert [level.groups["main"].trainings for level in verdict.levels] == [2, 2, 2]


def test_all_tickets_diverged_is_no_support(simulated: Simulated, judged: Judged) -> None:
    results = simulated(12, replicates=3, levels=1, reinit=FAILS)
    verdict = judged(
        [replace(r, status="diverged") if r.level and r.branch == "main" else r for r in results]
    )
    assert verdict.headline == "open"
    group = verdict.levels[1].groups["main"]
    assert (group.accuracy, group.n, group.missing.diverged) == (None, 0, 3)
    assert group.tests["wins"].outcome == "open"
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


def test_what_has_not_ended_confirms_nothing(simulated: Simulated, judged: Judged) -> None:
    results = simulated(14, replicates=4, levels=4, ticket=WINS, reinit=FAILS)
    planned = [result.key for result in results]
    verdict = judged(
        [r for r in results if r.level != 2 and (r.replicate, r.level) != (1, 3)], planned=planned
    )
    assert [level.level for level in verdict.levels] == [0, 1, 3, 4]
    contrast = verdict.levels[2].groups["main"].against_dense["accuracy"]
    assert contrast.estimate is not None
    assert list(contrast.estimate.values) == [0, 2, 3]
    assert outcomes(verdict, "matches") == ["confirmed", "open", "confirmed"]
    test = verdict.levels[2].groups["main"].tests["matches"]
    assert test.why == "a training is lost or has not ended"
    assert verdict.jobs_planned == len(planned)


def test_early_stop_on_the_last_evaluation_is_counted(job: Job, judged: Judged) -> None:
    verdict = judged(
        [
            job(0, "main", 0, iteration=900, iterations=900),
            job(1, "main", 0, iteration=800, iterations=900),
        ]
    )
    assert verdict.levels[0].groups["main"].at_end == 1


def test_ratios_with_one_bound_say_which(job: Job, judged: Judged) -> None:
    """Of three pairs one ticket is at the end, one dense network, and both of the last."""
    stops = {0: (800, 1000), 1: (1000, 500), 2: (1000, 1000), 3: (800, 400)}
    results = [
        job(r, "main", level, 0.98, stop, iterations=1000)
        for r, pair in stops.items()
        for level, stop in enumerate(pair)
    ]
    contrast = judged(results).levels[1].groups["main"].against_dense["early_stop"]
    assert contrast.estimate is not None
    assert dict(contrast.estimate.values) == pytest.approx({0: 1.25, 1: 0.5, 3: 0.5})
    assert dict(contrast.estimate.bounds) == {0: "at least", 1: "at most"}


def test_a_dense_grid_unknown_still_gives_a_verdict(job: Job, judged: Judged) -> None:
    """Without the size of the test set, accuracy differences that are all equal show nothing."""
    results = [
        job(r, "main", level, 0.98, 1000 - 200 * level) for r in range(3) for level in (0, 1)
    ]
    known = judged(results, test_examples=10_000).levels[1].groups["main"]
    unknown = judged(results, test_examples=None).levels[1].groups["main"]
    assert known.tests["matches"].outcome == "confirmed"
    assert unknown.tests["matches"].outcome == "open"
    assert unknown.against_dense["accuracy"].estimate is not None
    assert unknown.against_dense["accuracy"].estimate.low is None


def test_two_results_of_one_job_are_refused(job: Job, judged: Judged) -> None:
    with pytest.raises(StoreError, match="replicate 0, main, level 0"):
        judged([job(0, "main", 0), job(0, "main", 0, 0.5)])


def test_every_bad_argument_is_named() -> None:
    with pytest.raises(UsageError) as error:
        Evidence(
            results=[],
            planned=[],
            score=replace(ACCURACY, margin=1.0),
            confidence=0.2,
            evaluation_interval=0,
            test_examples=0,
        )
    for word in ("margin", "confidence", "interval", "examples"):
        assert word in str(error.value)


def rising(start: int, *, speed: float) -> list[CurvePoint]:
    """Test accuracy rises by ``speed`` points an evaluation up to 0.9; every 100 iterations."""
    return [
        CurvePoint.measured(
            iteration=at, split="test", loss=0.1, accuracy=min(0.9, speed * at / 10_000)
        )
        for at in range(start, 10_001, 100)
    ]


def with_curves(job: Job, speeds: Sequence[Sequence[float]]) -> Verdict:
    """Replicate by replicate the speeds of the dense network and of tickets."""
    results = [
        job(r, "main", level, 0.9, 8000, iterations=10_000)
        for r, own in enumerate(speeds)
        for level in range(len(own))
    ]
    return judge(
        Evidence(
            results=results,
            planned=[result.key for result in results],
            curves={r.key: rising(0, speed=speeds[r.replicate][r.level]) for r in results},
            score=replace(ACCURACY, margin=0.01),
            confidence=0.95,
            evaluation_interval=100,
            test_examples=10_000,
        )
    )


def test_time_to_the_dense_networks_accuracy(job: Job) -> None:
    """A ticket that learns twice as fast gets there in half the time."""
    verdict = with_curves(job, [(1.5 + 0.1 * r, 3.0 + 0.2 * r) for r in range(5)])
    group = verdict.levels[1].groups["main"]
    found = group.against_dense["time_to_dense"].estimate
    assert found is not None
    assert found.mean == pytest.approx(0.5, abs=0.03)
    assert found.bounds == {}
    assert group.tests["sooner_to_dense"].outcome == "confirmed"
    assert "the tests confirm that it gets there sooner" in verdict.paragraph
    assert verdict.answers[1].outcome == group.tests["sooner_to_dense"].outcome
    assert f"no later: {group.tests['no_later'].outcome}" in verdict.answers[1].note


def test_what_never_gets_there_is_a_bound_and_no_confirmation(job: Job) -> None:
    speeds = [(1.5 + 0.1 * r, 3.0) for r in range(5)]
    verdict = with_curves(job, [*speeds[:4], (1.9, 0.5)])
    group = verdict.levels[1].groups["main"]
    found = group.against_dense["time_to_dense"].estimate
    assert found is not None
    assert found.bounds == {4: "at least"}
    assert group.tests["sooner_to_dense"].outcome == "open"
    assert group.tests["sooner_to_dense"].why == "not every ticket gets there"
    assert "in at least" in verdict.paragraph


def test_without_curves_the_time_is_untested(simulated: Simulated, judged: Judged) -> None:
    verdict = judged(simulated(1, replicates=5, levels=2, ticket=WINS, reinit=FAILS))
    assert outcomes(verdict, "sooner_to_dense") == ["untested"] * 2
    assert verdict.levels[1].groups["main"].against_dense["time_to_dense"].estimate is None
    assert "dense network's accuracy, less the margin, in" not in verdict.paragraph
