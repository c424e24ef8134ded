"""Verdicts on scores of any name, direction and unit, with a curve and without one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_results import job, judged, simulated

from lottery.analysis import Evidence, Verdict, judge, to_json, verdict_text
from lottery.analysis.score_format import ScoreFormat
from lottery.analysis.types import Estimate
from lottery.errors import UsageError
from lottery.score import ACCURACY, Score
from lottery.store.jobs import JobKey, JobResult
from lottery.training import CurvePoint

PERPLEXITY = Score(name="perplexity", higher=False, margin=0.5)
F1 = Score(name="F1", margin=0.01)
LOSS = Score(name="test loss", higher=False, unit="nats", margin=0.02)


def scored(results: Sequence[JobResult], change: Callable[[float], float]) -> list[JobResult]:
    """The same trainings, with another number in place of each score."""

    def of(score: float | None) -> float | None:
        return None if score is None else change(score)

    return [
        replace(
            result,
            score_at_early_stop=of(result.score_at_early_stop),
            score_final=of(result.score_final),
        )
        for result in results
    ]


def without_curve(results: Sequence[JobResult]) -> list[JobResult]:
    return [
        replace(
            result,
            early_stop_iteration=None,
            validation_loss_at_early_stop=None,
            score_at_early_stop=None,
        )
        for result in results
    ]


def perplexities(replicates: int = 5, **shifts: Any) -> list[JobResult]:
    """Perplexities of about 42, of which 1 is 100 points of an accuracy here."""
    shifts = {"ticket": (0.005, -3000.0), "reinit": (-0.02, 3000.0), **shifts}
    made = simulated(3, replicates=replicates, levels=2, **shifts)
    return scored(made, lambda accuracy: 139 - 100 * accuracy)


def words_of(verdict: Verdict) -> str:
    return " ".join([verdict.paragraph, verdict_text(verdict), json.dumps(to_json(verdict))])


SAID = ("paragraph", "caveats", "claim", "note", "value", "why")
"""Fields of JSON that hold words."""


def numbers(verdict: Verdict, *, flipped: bool = False) -> Any:
    """All numbers of a verdict; ``flipped``: the means of scores with the other sign."""

    def plain(value: Any, name: str = "") -> Any:
        if isinstance(value, Mapping):
            if flipped and name in ("accuracy", "accuracy_final") and "mean" in value:
                ends = (value["high"], value["low"])
                low, high = (None if end is None else -end for end in ends)
                values = {r: -v for r, v in value["values"].items()}
                value = {**value, "mean": -value["mean"], "low": low, "high": high}
                value["values"] = values
            return {key: plain(one, key) for key, one in value.items() if key not in SAID}
        return [plain(one) for one in value] if isinstance(value, list) else value

    found = to_json(verdict)
    return {key: plain(one, key) for key, one in found.items() if key not in ("score", *SAID)}


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["main", "reinit-1", "random-mask-1"]),
            st.floats(-5, 5).map(lambda x: round(x, 3)),
            st.integers(1, 40).map(lambda x: 100 * x),
            st.booleans(),
        ),
        min_size=12,
        max_size=40,
    )
)
def test_a_score_and_its_negative_give_the_same_verdict(
    drawn: list[tuple[str, float, int, bool]],
) -> None:
    results: dict[JobKey, JobResult] = {}
    for i, (branch, score, stop, fails) in enumerate(drawn):
        key = JobKey(i % 4, branch, 0 if branch == "main" and i % 3 == 0 else 1 + i % 2)
        status = "diverged" if fails and i % 5 == 0 else "done"
        results[key] = job(key.replicate, branch, key.level, score, stop, status=status)
    higher = Score(name="reward", margin=0.25)
    lower = Score(name="cost", higher=False, margin=0.25)
    one = judged(list(results.values()), score=higher, margin=0.25, test_examples=None)
    negative = scored(list(results.values()), lambda score: -score)
    other = judged(negative, score=lower, margin=0.25, test_examples=None)
    assert numbers(one) == numbers(other, flipped=True)


def test_lower_perplexities_win() -> None:
    verdict = judged(perplexities(), score=PERPLEXITY, margin=0.5, test_examples=None)
    assert verdict.headline == "confirmed"
    main = verdict.levels[1].groups["main"]
    assert main.accuracy is not None
    assert 41 < main.accuracy.mean < 42, "as it was measured"
    difference = main.against_dense["accuracy"].estimate
    assert difference is not None
    assert difference.mean > 0, "better than the dense network"
    assert "with a margin of 0.5 this run supports" in verdict.paragraph
    assert "Its test perplexity is 41." in verdict.paragraph
    assert "below the dense network's (95% interval of how much lower +0." in verdict.paragraph
    assert "It comes to" not in verdict.paragraph, "there is no curve to tell"
    copies = "With new random weights the same mask is 2.05 above the dense network in perplexity"
    assert copies in verdict.paragraph
    test = main.tests["matches"]
    assert test.claim == "test perplexity at early stop is at most 0.5 above the dense network's"
    assert "how much lower the perplexity is, so that above 0 is better" in " ".join(
        verdict_text(verdict).split()
    )


@pytest.mark.parametrize("score", [PERPLEXITY, LOSS, F1])
def test_nothing_speaks_of_accuracy_or_points(score: Score) -> None:
    verdict = judged(perplexities(), score=score, margin=score.margin, test_examples=None)
    told = " ".join([verdict.paragraph, *verdict.caveats, verdict_text(verdict)])
    told += " ".join(f"{a.value} {a.interval} {a.note}" for a in verdict.answers)
    assert "accurac" not in told
    assert "percentage" not in told
    assert " points" not in told
    assert score.name in told
    assert max(map(len, verdict_text(verdict).splitlines())) <= 80


def test_higher_perplexities_lose() -> None:
    worse = perplexities(ticket=(-0.02, 3000.0))
    verdict = judged(worse, score=PERPLEXITY, margin=0.5, test_examples=None)
    assert verdict.headline == "contradicted"
    assert verdict.levels[1].groups["main"].tests["matches"].outcome == "against"
    assert "At every level the tests say that the ticket does not match" in verdict.paragraph
    assert " above the dense network's (95% interval of how much lower -" in verdict.paragraph


def test_without_a_curve_sooner_is_untested_in_these_words() -> None:
    results = without_curve(simulated(1, replicates=5, levels=2, reinit=(-0.05, 0.0)))
    verdict = judged(results, score=F1, margin=0.01, test_examples=None)
    assert verdict.headline == "not tested"
    assert "'sooner' is untested" in verdict.why
    assert not verdict.timed
    tests = verdict.levels[1].groups["main"].tests
    assert tests["matches"].outcome == "confirmed"
    assert {tests[name].outcome for name in ("no_later", "wins", "hypothesis")} == {"untested"}
    assert "'sooner' is untested" in tests["no_later"].why
    copies = verdict.levels[1].groups["reinit"].tests
    assert copies["fails"].outcome == "confirmed"
    assert copies["wins"].outcome == "untested"
    assert [answer.outcome for answer in verdict.answers] == ["confirmed", "untested", "confirmed"]
    assert "'sooner' is untested" in verdict.answers[1].note
    assert "Whether tickets match the dense network is tested" in verdict.paragraph
    assert verdict.level == 2
    assert "at the end of training" in tests["matches"].claim
    assert "early_stop" not in verdict.levels[1].groups["main"].against_dense
    assert "validation loss" not in words_of(verdict)


def test_without_a_curve_the_final_score_decides() -> None:
    results = simulated(1, replicates=5, levels=2, reinit=(-0.05, 0.0))
    final = judged(without_curve(results), score=F1, margin=0.01)
    early = judged(results, score=F1, margin=0.01)
    for one, other in zip(final.levels, early.levels, strict=True):
        a, b = one.groups["main"], other.groups["main"]
        assert a.accuracy == b.accuracy
        if one.level:
            assert a.tests["matches"] == replace(b.tests["matches"], claim=a.tests["matches"].claim)


def test_without_a_margin_nothing_is_tested_and_what_to_do_is_said() -> None:
    verdict = judged(perplexities(), score=PERPLEXITY, margin=None, test_examples=None)
    assert verdict.headline == "not tested"
    assert "no margin was given, so nothing is tested" in verdict.paragraph
    assert "--margin" in verdict.paragraph
    assert all(not g.tests for level in verdict.levels for g in level.groups.values())
    assert {answer.outcome for answer in verdict.answers} == {"untested"}
    assert "no margin was given" in verdict_text(verdict)
    assert to_json(verdict)["margin"] is None
    assert verdict.levels[1].groups["main"].accuracy is not None, "what was measured is shown"


def test_guessing_is_known_of_classes_alone() -> None:
    negative = scored(simulated(1, replicates=3, levels=1), lambda accuracy: -accuracy)
    verdict = judged(negative, score=Score(name="log-likelihood"), margin=0.1)
    assert verdict.levels[0].groups["main"].n == 3
    assert verdict.dense_missing.total == 0


def test_a_curve_of_any_score_tells_the_time_to_the_dense_network() -> None:
    results = perplexities(4)
    curves = {
        result.key: [
            CurvePoint(
                at, split, {"perplexity": max(40.0, 90 - at * (2 if result.level else 1) / 100)}
            )
            for at in range(0, 10_001, 100)
            for split in ("validation", "test")
        ]
        for result in results
    }
    evidence = Evidence(
        results=[replace(r, early_stop_iteration=5000, iterations=10_050) for r in results],
        planned=[result.key for result in results],
        curves=curves,
        score=PERPLEXITY,
        confidence=0.95,
        evaluation_interval=100,
    )
    verdict = judge(evidence)
    time = verdict.levels[1].groups["main"].against_dense["time_to_dense"].estimate
    assert time is not None
    assert time.mean == pytest.approx(0.5, abs=0.05)
    assert "It comes to the dense network's perplexity, less the margin" in verdict.paragraph
    assert verdict.last_evaluation == 10_000, "and not the last step, at which nothing was measured"


def test_earlier_looks_share_the_chance_of_error() -> None:
    results = simulated(0, replicates=8, levels=2, ticket=(0.0, -300), reinit=(-0.004, 600))
    first = judged(results)
    grown = judged(results, earlier_looks=(5,))
    assert (first.test_confidence, grown.test_confidence) == (0.95, 0.975)
    assert grown.confidence == 0.95
    assert "judged before with 5 replicates: tests allow for that, with 2.5%" in grown.paragraph
    assert "judged before" not in first.paragraph
    for one, other in zip(first.levels[1:], grown.levels[1:], strict=True):
        for name, test in one.groups["main"].tests.items():
            assert test.p == other.groups["main"].tests[name].p
            assert other.groups["main"].tests[name].outcome in (test.outcome, "open")
    half = judged([replace(r) for r in results], earlier_looks=(3, 5, 6))
    assert half.test_confidence == pytest.approx(0.9875)


def test_a_p_value_between_the_two_limits_is_confirmed_by_one_look_alone() -> None:
    for seed in range(60):
        results = simulated(seed, replicates=5, levels=1, ticket=(-0.001, -3000))
        once = judged(results).levels[1].groups["main"].tests["matches"]
        twice = judged(results, earlier_looks=(3,)).levels[1].groups["main"].tests["matches"]
        assert once.p is not None
        assert (once.outcome == "confirmed") == (once.p < 0.05)
        assert (twice.outcome == "confirmed") == (once.p < 0.025)


def test_the_dense_network_trained_the_same_way_is_the_one_that_counts() -> None:
    usual = simulated(4, replicates=5, levels=2, reinit=(-0.02, 2000.0))
    again = [
        replace(result, branch="dense-rewound-1", score_at_early_stop=0.99, score_final=0.99)
        for result in usual
        if result.level == 0
    ]
    verdict = judged([*usual, *again], dense_kind="dense-rewound")
    first = judged([replace(r, branch="main") for r in again] + [r for r in usual if r.level])
    assert verdict.levels == first.levels
    assert verdict.headline == first.headline
    assert "trained the same way as the tickets, from the same step" in verdict.paragraph
    dense = verdict.levels[0].groups["main"].accuracy
    assert dense is not None
    assert dense.mean == pytest.approx(0.99)
    assert verdict.jobs_done == len(usual) + 5, "every training is counted"


def test_copies_that_are_confirmed_by_being_later_show_their_early_stop() -> None:
    results = simulated(
        2, replicates=6, levels=1, ticket=(0.0, -2000), reinit=(0.0, 6000), noise=(0.0004, 300.0)
    )
    answer = judged(results, margin=0.004).answers[2]
    assert answer.outcome == "confirmed"
    assert answer.value.startswith("later, 1.6")
    assert answer.value.endswith(" times")
    assert "confirmed by being later" in answer.note
    assert "accuracy " in answer.note
    worse = simulated(2, replicates=6, levels=1, ticket=(0.0, -2000), reinit=(-0.02, 6000))
    by_score = judged(worse, margin=0.004).answers[2]
    assert by_score.value.endswith(" points")
    assert "confirmed by" not in by_score.note


@pytest.mark.parametrize(
    ("score", "told"),
    [
        (replace(ACCURACY, margin=1.0), "a margin in [0, 1), got 1.0"),
        (replace(ACCURACY, margin=-0.1), "a margin in [0, 1), got -0.1"),
        (replace(PERPLEXITY, margin=-1.0), "a margin of 0 or more, got -1.0"),
        (replace(PERPLEXITY, margin=math.inf), "a margin of 0 or more, got inf"),
    ],
)
def test_a_margin_out_of_range_is_refused(score: Score, told: str) -> None:
    with pytest.raises(UsageError) as error:
        judged([], score=score, margin=score.margin)
    assert told in str(error.value)


def test_numbers_are_written_by_their_unit() -> None:
    plain, nats, percent = ScoreFormat(PERPLEXITY), ScoreFormat(LOSS), ScoreFormat(ACCURACY)
    estimate = Estimate(mean=0.5, low=0.2344, high=0.76543, values={})
    assert [plain.value(v) for v in (41.5, 1234.5, 0.5)] == ["41.50", "1,234", "0.5000"]
    assert (plain.signed(0.5), plain.signed(-0.5), plain.signed(0)) == ("+0.500", "-0.500", "0")
    assert plain.interval(estimate) == "+0.234 to +0.766"
    assert plain.half_width(estimate) == "±0.27"
    assert (nats.with_unit(0.5), nats.size(-0.02)) == ("0.5000 nats", "0.0200 nats")
    assert nats.above_or_below(0.02) == "0.0200 nats below", "lower is better"
    assert nats.higher_or_lower(-0.02) == "0.0200 nats higher"
    assert percent.interval(estimate) == "+23.44 to +76.55"
    assert ScoreFormat(F1).above_or_below(0.02) == "0.0200 above"
    assert nats.difference("ticket", "dense") == "dense minus ticket"
    assert (nats.head("Loss"), percent.head("D", difference=True)) == ("Loss, nats", "D, points")
