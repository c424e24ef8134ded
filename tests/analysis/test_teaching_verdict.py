"""What tickets taught, judged on results whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from made_up_results import job

from lottery.analysis import Evidence, teaching, to_json
from lottery.analysis.measured import Measured
from lottery.analysis.teaching import TeachVerdict, judge_teaching, teaching_text
from lottery.score import ACCURACY


def evidence(shifts: dict[int, float], stop: int = 3000, n: int = 8, lost: int = 0) -> Evidence:
    """Replicates at 0.9; level -> what is added to that."""
    random, results = Random(str(shifts)), []
    for r in range(n):
        for level, shift in shifts.items():
            accuracy = 0.9 + 0.01 * r + shift + random.gauss(0, 0.0003)
            iteration = 100 * round((stop + 50 * r + random.gauss(0, 100)) / 100)
            status = "diverged" if r < lost else "done"
            results.append(job(r, "main", level, accuracy, iteration, status=status))
    return Evidence(
        results=results,
        planned=[one.key for one in results],
        score=replace(ACCURACY, margin=0.002),
        confidence=0.95,
        evaluation_interval=100,
        test_examples=10_000,
    )


@pytest.fixture(autouse=True)
def given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evidence in the place of runs."""
    monkeypatch.setattr(teaching, "_measured", lambda run, _: Measured(run))


def judged(run: Any, **taught: Any) -> TeachVerdict:
    return judge_teaching(run, 3, taught)  # type: ignore[arg-type]


def outcomes(run: Any, **taught: Any) -> dict[str, str]:
    verdict = judged(run, **taught)
    return {one.name: one.outcome for one in verdict.claims}


RUN = {0: 0.0, 3: 0.01}


def test_what_holds_is_confirmed() -> None:
    found = outcomes(
        evidence(RUN), small=evidence({0: 0.012}), learned=evidence({0: 0.005}, stop=1500)
    )
    assert set(found.values()) == {"confirmed"}
    taught = {"small": evidence({0: 0.012}), "learned": evidence({0: 0.005}, stop=1500)}
    assert teaching_text(judged(evidence(RUN), **taught)).startswith("Yes: a smaller dense network")


def test_a_negative_result_is_said_as_one() -> None:
    run, small = evidence(RUN), evidence({0: -0.01})
    learned = evidence({0: -0.02}, stop=6000)
    found = outcomes(run, small=small, learned=learned)
    assert set(found.values()) == {"against"}
    verdict = judged(run, small=small, learned=learned)
    text = teaching_text(verdict)
    assert text.startswith("No: a smaller dense network does worse than the tickets.\nNo: an init")
    assert text.count("  against\n") == 5
    assert max(map(len, text.splitlines())) <= 80
    assert to_json(verdict)["small"] == "against"


def test_as_good_is_not_better() -> None:
    found = outcomes(evidence(RUN), small=evidence({0: 0.001}), learned=evidence({0: 0.0001}))
    assert found["small-ticket"] == "against", "as good as the dense network, not the ticket"
    assert (found["small-dense"], found["learned-matches"]) == ("confirmed", "confirmed")
    assert found["learned-better"] == found["learned-sooner"] == "open"


def test_two_replicates_test_nothing_and_a_lost_training_confirms_nothing() -> None:
    few = {"small": evidence({0: 0.012}, n=2), "learned": evidence({0: 0.005}, n=2)}
    assert set(outcomes(evidence(RUN, n=2), **few).values()) == {"untested"}
    assert teaching_text(judged(evidence(RUN, n=2), **few)).startswith("Not tested: whether a sma")
    lost = outcomes(
        evidence(RUN), small=evidence({0: 0.02}, lost=1), learned=evidence({0: 0.02}, lost=8)
    )
    assert lost["small-ticket"] == "open"
    assert lost["learned-matches"] == "untested", "none came to its end"


def test_a_run_that_was_looked_at_before_is_tested_more_strictly() -> None:
    verdict = judged(replace(evidence(RUN), earlier_looks=(3,)), learned=evidence({0: 0.0}))
    assert verdict.confidence == pytest.approx(0.975)


def guessing(made: Evidence, level: int, replicates: range) -> Evidence:
    """Trainings of a level become ones that are right in a tenth; there are ten classes."""
    results = [
        replace(one, score_at_early_stop=0.1)
        if one.level == level and one.replicate in replicates
        else one
        for one in made.results
    ]
    return replace(made, results=results, classes=10)


def test_without_a_dense_network_that_learned_nothing_is_tested() -> None:
    run = guessing(evidence(RUN), 0, range(8))
    verdict = judged(run, small=evidence({0: 0.012}), learned=evidence({0: 0.005}, stop=1500))
    assert {one.outcome for one in verdict.claims} == {"untested"}
    assert {(one.n, one.missing) for one in verdict.claims} == {(0, 8)}
    assert verdict.dense_missing.guessing == 8
    text = teaching_text(verdict)
    assert "Lost among the run's dense networks: 8 guessing." in text
    assert "None of them learned more than guessing" in text


@pytest.mark.parametrize("count", [1, 8])
@pytest.mark.parametrize("part", ["ticket", "small", "learned"])
def test_trainings_that_guess_are_lost_and_counted(part: str, count: int) -> None:
    run = evidence(RUN)
    taught = {"small": evidence({0: 0.012}), "learned": evidence({0: 0.005}, stop=1500)}
    if part == "ticket":
        run = guessing(run, 3, range(count))
    else:
        taught[part] = guessing(taught[part], 0, range(count))
    changed = "small-ticket" if part == "ticket" else part
    for one in judged(run, **taught).claims:
        if one.name.startswith(changed):
            assert one.outcome == ("open" if count == 1 else "untested")
            assert (one.n, one.missing) == (8 - count, count)
        else:
            assert (one.outcome, one.n, one.missing) == ("confirmed", 8, 0)


def test_a_dense_network_that_guesses_is_left_out_and_counted() -> None:
    run = guessing(evidence(RUN), 0, range(1))
    verdict = judged(run, small=evidence({0: 0.012}), learned=evidence({0: 0.005}, stop=1500))
    assert {(one.outcome, one.n, one.missing) for one in verdict.claims} == {("confirmed", 7, 1)}
    assert "Lost among the run's dense networks: 1 guessing." in teaching_text(verdict)


def test_of_two_pairs_not_even_the_opposite_is_confirmed() -> None:
    learned = evidence({0: -0.1}, stop=9000)
    found = outcomes(evidence(RUN), learned=guessing(learned, 0, range(6)))
    assert set(found.values()) == {"untested"}


def test_without_a_small_network_it_is_said_why() -> None:
    verdict = judged(evidence(RUN), learned=evidence({0: 0.0}))
    assert verdict.small is None
    text = teaching_text(verdict, "none is made of it")
    assert text.startswith("No smaller dense network: none is made of it.\nYes: an initialization")
