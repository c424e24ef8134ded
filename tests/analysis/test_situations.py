"""Situations in which a verdict could easily claim what is false, each with what it must say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lottery.analysis import Verdict, to_json, verdict_text
from lottery.core import OutsideMask
from lottery.store.jobs import JobResult

Simulated = Callable[..., list[JobResult]]
Judged = Callable[..., Verdict]

WINS = (0.004, -3000.0)
FAILS = (-0.02, 3000.0)


def outcomes_of(verdict: Verdict, kind: str = "main") -> list[dict[str, str]]:
    """Level by level, claim -> outcome."""
    return [
        {name: test.outcome for name, test in level.groups[kind].tests.items()}
        for level in verdict.levels[1:]
    ]


def everything(verdict: Verdict) -> str:
    """All words of a verdict."""
    answers = [f"{a.question} {a.outcome} {a.value} {a.interval} {a.note}" for a in verdict.answers]
    return " ".join([verdict.paragraph, *verdict.caveats, *answers, verdict_text(verdict)])


def copies_to(results: list[JobResult], **values: Any) -> list[JobResult]:
    return [replace(r, **values) if r.branch != "main" else r for r in results]


def test_a_clear_case_is_confirmed(simulated: Simulated, judged: Judged) -> None:
    verdict = judged(simulated(1, replicates=5, levels=3, ticket=WINS, reinit=FAILS))
    assert verdict.headline == "confirmed"
    assert (verdict.level, verdict.level_picked) == (3, "confirmed")
    assert verdict.confirmed_levels == (1, 2, 3)
    assert [answer.outcome for answer in verdict.answers] == ["confirmed"] * 3
    assert verdict.caveats == ()


def test_who_is_sooner_is_unknown_where_all_stop_at_the_end(
    simulated: Simulated, judged: Judged
) -> None:
    results = [
        replace(r, early_stop_iteration=r.iterations)
        for r in simulated(1, replicates=5, levels=3, ticket=WINS, reinit=FAILS)
    ]
    verdict = judged(results)
    assert verdict.headline == "not tested"
    assert "rained too short to say who is sooner" in verdict.paragraph
    assert verdict.answers[1].outcome == "untested"
    assert verdict.answers[1].value == "-"
    for tests in outcomes_of(verdict):
        assert (tests["no_later"], tests["wins"]) == ("untested", "untested")
        assert tests["matches"] == "confirmed"
    assert not any(level.wins_on_means for level in verdict.levels)


def test_tickets_alone_at_the_end_are_no_winners(simulated: Simulated, judged: Judged) -> None:
    results = [
        replace(r, early_stop_iteration=r.iterations) if r.level and r.branch == "main" else r
        for r in simulated(1, replicates=5, levels=2, ticket=WINS, reinit=FAILS)
    ]
    verdict = judged(results)
    assert verdict.headline in ("not tested", "contradicted")
    assert all(t["no_later"] in ("untested", "against") for t in outcomes_of(verdict))
    stop = verdict.levels[2].groups["main"].against_dense["early_stop"].estimate
    assert stop is not None
    assert set(stop.bounds.values()) == {"at least"}


@pytest.mark.parametrize("copy", [WINS, (-0.0005, -2000.0)])
def test_a_copy_that_wins_as_well_supports_nothing(
    simulated: Simulated, judged: Judged, copy: tuple[float, float]
) -> None:
    for seed in range(8):
        verdict = judged(simulated(seed, replicates=5, levels=3, ticket=WINS, reinit=copy))
        assert verdict.headline != "confirmed"
        assert verdict.answers[2].outcome != "confirmed"
        assert "supports" not in verdict.paragraph
    clear = judged(simulated(7, replicates=5, levels=3, ticket=WINS, reinit=WINS))
    assert clear.headline == "contradicted"
    assert clear.answers[2].outcome == "against"
    assert "wins as well" in clear.paragraph


@pytest.mark.parametrize("lost", ["diverged", "guessing"])
def test_copies_that_are_lost_are_counted_and_decide_nothing(
    simulated: Simulated, judged: Judged, lost: str
) -> None:
    """Four of five are lost; the fifth does as well as its ticket."""
    same = (0.003, -1500.0)
    change: dict[str, Any] = {"status": "diverged"}
    if lost == "guessing":
        change = {"score_at_early_stop": 0.1, "early_stop_iteration": 100}
    results = [
        replace(r, **change) if r.branch != "main" and r.replicate else r
        for r in simulated(2, replicates=5, levels=2, ticket=same, reinit=same)
    ]
    verdict = judged(results, classes=10)
    assert verdict.headline == "open"
    assert f"4 of 5 trainings lost: 4 {lost}" in verdict.paragraph
    assert f"4 {lost}" in verdict.answers[2].note
    assert verdict.answers[2].outcome == "open"
    assert "(-4)" in verdict_text(verdict)
    group = verdict.levels[2].groups["reinit"]
    assert (group.n, group.trainings, group.missing.total) == (1, 5, 4)
    assert group.against_dense["accuracy"].missing == group.missing


def test_copies_that_guess_are_not_sooner(simulated: Simulated, judged: Judged) -> None:
    results = simulated(1, replicates=5, levels=3, ticket=WINS, reinit=FAILS)
    verdict = judged(
        copies_to(results, score_at_early_stop=0.1, early_stop_iteration=100), classes=10
    )
    assert verdict.headline == "not tested"
    for level in verdict.levels[1:]:
        copy = level.groups["reinit"]
        assert copy.missing.guessing == 5
        assert copy.against_dense["early_stop"].estimate is None
        assert copy.early_stop is None
        assert {test.outcome for test in copy.tests.values()} == {"untested"}
    assert "5 guessing" in verdict.paragraph
    assert "lost 5" in verdict_text(verdict)


@pytest.mark.parametrize("replicates", [1, 2, 3, 5])
def test_no_effect_is_claimed_where_there_is_none(
    simulated: Simulated, judged: Judged, replicates: int
) -> None:
    for seed in range(8):
        verdict = judged(
            simulated(seed, replicates=replicates, levels=3, ticket=(0.0, 0.0), reinit=(0.0, 0.0))
        )
        assert verdict.headline == ("not tested" if replicates == 1 else "open")
        for word in ("supports", "points towards", "speaks against"):
            assert word not in verdict.paragraph


@pytest.mark.parametrize("replicates", [1, 3])
def test_a_small_win_is_not_spoken_against(
    simulated: Simulated, judged: Judged, replicates: int
) -> None:
    results = simulated(
        3, replicates=replicates, levels=3, ticket=(0.0, -50.0), reinit=(-0.005, 600.0)
    )
    verdict = judged(results)
    assert verdict.headline == ("not tested" if replicates == 1 else "open")
    outcomes = {outcome for tests in outcomes_of(verdict) for outcome in tests.values()}
    assert "against" not in outcomes
    assert ("untested" in outcomes) or replicates > 1


def test_a_wide_margin_is_in_every_place(simulated: Simulated, judged: Judged) -> None:
    results = simulated(1, replicates=5, levels=3, ticket=(-0.1, -3000.0), reinit=(-0.6, 3000.0))
    verdict = judged(results, margin=0.5)
    first = verdict.paragraph.split(". ")[0]
    assert "supports" in first
    assert "margin of 50 percentage points" in first
    assert "The margin is more than a fifth of the dense network's error" in verdict.paragraph
    assert verdict.margin_wide
    assert "the margin is 50 percentage points" in " ".join(verdict_text(verdict).split())
    assert to_json(verdict)["margin"] == 0.5
    assert to_json(verdict)["margin_wide"] is True
    assert not judged(results, margin=0.002).margin_wide


def test_one_dense_network_that_guesses_leaves_one_speed(
    simulated: Simulated, judged: Judged
) -> None:
    """Its replicate counts nowhere: not in the ratio, not in the means beside it."""
    results = simulated(1, replicates=4, levels=2, ticket=WINS, reinit=FAILS)
    guesses: dict[str, Any] = {"score_at_early_stop": 0.11, "early_stop_iteration": 200}
    verdict = judged(
        [replace(r, **guesses) if (r.replicate, r.level) == (3, 0) else r for r in results],
        classes=10,
    )
    without = judged([r for r in results if r.replicate < 3])
    ratio = verdict.levels[2].groups["main"].against_dense["early_stop"].estimate
    assert ratio is not None
    assert sorted(ratio.values) == [0, 1, 2]
    assert ratio == without.levels[2].groups["main"].against_dense["early_stop"].estimate
    number = f"{ratio.mean:.2f}"
    assert f"lowest after {number} times" in verdict.paragraph
    assert verdict.answers[1].value == f"{number} times"
    [row] = [line for line in verdict_text(verdict).splitlines() if line.startswith("  > 2")]
    assert number in row.split()
    assert "3/4" in row.split()
    assert verdict.dense_missing.guessing == 1
    assert "1 guessing; there is nothing to compare with there" in verdict.paragraph
    for level, same in zip(verdict.levels, without.levels, strict=True):
        assert level.groups["main"].accuracy == same.groups["main"].accuracy


def test_no_interval_is_narrower_than_the_resolution(judged: Judged, job: Any) -> None:
    """All values are equal, so that nothing but the steps of the measurement is left."""
    results = [
        job(r, branch, level, 0.98, 1000)
        for r in range(5)
        for branch, level in (("main", 0), ("main", 1), ("reinit-1", 1))
    ]
    verdict = judged(results)
    for level in verdict.levels:
        for group in level.groups.values():
            for found, least in ((group.accuracy, 1e-4), (group.early_stop, 100.0)):
                assert found is not None
                assert found.low is not None
                assert found.mean - found.low >= least * (1 - 1e-9)
            for contrast in group.against_dense.values():
                if contrast.estimate is None:
                    continue
                low, high = contrast.estimate.low, contrast.estimate.high
                assert low is not None
                assert high is not None
                mean = contrast.estimate.mean
                near = mean / low - 1 if contrast.scale == "ratio" else mean - low
                assert near >= contrast.resolution * (1 - 1e-9) > 0
    assert "+0.00 to +0.00" not in everything(verdict)
    assert "0.00 to 0.00" not in everything(verdict)
    assert "-0.01 to +0.01" in verdict.paragraph
    assert "±0.00" not in everything(verdict)


def test_a_better_and_later_copy_is_not_called_less_accurate(
    simulated: Simulated, judged: Judged
) -> None:
    verdict = judged(
        simulated(1, replicates=5, levels=2, ticket=(0.003, -1500.0), reinit=(0.013, 1000.0))
    )
    for word in ("less accurate", "lower", "worse"):
        assert word not in everything(verdict)
    assert "percentage points above the dense network in accuracy" in verdict.paragraph


def test_three_words_for_untested_open_and_against(simulated: Simulated, judged: Judged) -> None:
    cases = {
        "untested": judged(simulated(3, replicates=1, levels=1, reinit=FAILS)),
        "open": judged(simulated(3, replicates=3, levels=1, reinit=FAILS)),
        "against": judged(simulated(3, replicates=5, levels=1, ticket=FAILS, reinit=FAILS)),
    }
    for word, verdict in cases.items():
        assert verdict.levels[1].groups["main"].tests["wins"].outcome == word
        row = verdict_text(verdict).splitlines()
        assert any(line.split()[2:3] == [word] for line in row)


def test_a_picked_level_is_flattered_and_says_so(simulated: Simulated, judged: Judged) -> None:
    said = "picked from 3 levels by how its ticket does, which makes it look better than it is"
    for replicates, ticket in ((5, WINS), (3, (0.0, -50.0)), (1, WINS)):
        results = simulated(1, replicates=replicates, levels=3, ticket=ticket, reinit=FAILS)
        assert said in judged(results).paragraph
    alone = simulated(1, replicates=5, levels=1, ticket=WINS, reinit=FAILS)
    assert "look better" not in judged(alone).paragraph


def test_a_look_before_the_end_is_said(simulated: Simulated, judged: Judged) -> None:
    results = simulated(1, replicates=5, levels=2, ticket=WINS, reinit=FAILS)
    planned = [r.key for r in results]
    early = judged(results[:-1], planned=planned)
    assert "looked at before it was complete (24 of 25 jobs have ended)" in early.paragraph
    assert "the tests allow for one look at the end" in early.paragraph
    assert "looked at" not in judged(results, planned=planned).paragraph


def test_an_incomplete_run_contradicts_nothing(simulated: Simulated, judged: Judged) -> None:
    results = simulated(1, replicates=5, levels=2, ticket=FAILS, reinit=FAILS)
    assert judged(results).headline == "contradicted"
    planned = [*(r.key for r in results), replace(results[-1], level=3).key]
    early = judged(results, planned=planned)
    assert early.headline == "open"
    assert "not complete" in early.why


def test_the_sampling_error_of_the_test_set_is_beside_the_intervals(
    simulated: Simulated, judged: Judged
) -> None:
    results = simulated(1, replicates=5, levels=2, ticket=WINS, reinit=FAILS)
    verdict = judged(results, test_examples=1_000)
    assert verdict.test_error == pytest.approx(1.96 * (0.97 * 0.03 / 1000) ** 0.5, rel=0.02)
    text = " ".join(verdict_text(verdict).split())
    assert "not that of the test set: its 1,000 examples alone" in text
    assert judged(results, test_examples=None).test_error is None


def test_what_lies_outside_the_mask_is_said_beside_every_share(
    simulated: Simulated, judged: Judged
) -> None:
    """99% of the weights are kept where 25% of those that masks cover are."""
    results = simulated(0, replicates=3, levels=2, ticket=(0.004, -3000.0), reinit=(-0.02, 3000.0))
    outside = (OutsideMask(name="rnn.weight", weights=9 * 266_200, reason="of an unknown layer"),)
    verdict = judged(results, outside_mask=outside)
    assert "of the weights that masks cover (level 2)" in verdict.paragraph
    assert any(
        "2,395,800 in 1 of the network's matrices lie outside and are never pruned (rnn.weight)"
        in caveat
        and "no level keeps less than 90%" in caveat
        for caveat in verdict.caveats
    )
    assert "masks cover" not in judged(results).paragraph
