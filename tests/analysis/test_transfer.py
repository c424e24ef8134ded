"""Transferred tickets judged, on results whose truth is known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest
from made_up_results import job

from lottery.analysis import judge_transfer, to_json, transfer_text
from lottery.experiments import ExperimentConfig, Run
from lottery.experiments.task_facts import TaskFacts
from lottery.methods import Given
from lottery.score import ACCURACY
from lottery.store import MemoryStore, Store

FACTS = TaskFacts(
    title="lenet on clothes",
    score=replace(ACCURACY, margin=0.002),
    evaluation_interval=100,
    test_examples=10_000,
    classes=10,
)


@dataclass(frozen=True)
class MadeUp(Run):
    """As much of a run as is judged."""

    store: Store = field(default_factory=MemoryStore)
    experiment: Mapping[str, Any] = field(default_factory=dict)
    facts: TaskFacts = FACTS


def run(shifts: Mapping[tuple[str, int], float], n: int = 6, levels: int = 1) -> Run:
    """Replicates whose dense network lies at 0.9; (branch, level) -> what is added to that."""
    random, results = Random(1), {}
    for replicate in range(n):
        for (branch, level), shift in shifts.items():
            accuracy = 0.9 + 0.01 * replicate + shift + random.gauss(0, 0.0005)
            result = job(replicate, branch, level, accuracy)
            results[result.key] = result
    config = ExperimentConfig(replicates=n, levels=levels)
    return MadeUp(config=config, results=results)


GOOD = {("main", 0): 0.0, ("main", 1): 0.003, ("reinit-1", 1): -0.02, ("random-mask-1", 1): -0.03}


def outcomes(given: Run, found: Run | None = None, **how: Any) -> dict[str, str]:
    verdict = judge_transfer(given, found, source="Tickets", **how)
    told: dict[str, str] = {one.against: one.outcome for one in verdict.comparisons}
    return {"headline": verdict.headline, **told}


def test_tickets_that_serve_are_confirmed_against_everything() -> None:
    found = run({("main", 0): 0.0, ("main", 4): 0.003}, levels=4)
    assert outcomes(run(GOOD), found) == {
        "headline": "confirmed",
        "dense": "confirmed",
        "reinit": "confirmed",
        "random-mask": "confirmed",
        "found there": "confirmed",
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({("main", 1): -0.02}, {"dense": "against", "headline": "against"}),
        ({("reinit-1", 1): 0.003}, {"dense": "confirmed", "reinit": "open", "headline": "open"}),
        ({("random-mask-1", 1): 0.01}, {"random-mask": "against", "headline": "against"}),
    ],
)
def test_each_part_of_the_headline_counts(
    changes: dict[tuple[str, int], float], expected: dict[str, str]
) -> None:
    assert outcomes(run({**GOOD, **changes})).items() >= expected.items()


def test_of_tickets_found_there_the_level_as_dense_as_the_ticket_is_compared() -> None:
    shifts = {("main", 0): 0.0, ("main", 1): 0.003, ("main", 2): 0.02, ("main", 3): 0.02}

    verdict = judge_transfer(run(GOOD), run(shifts, levels=3), source="Tickets")

    assert verdict.density_found == verdict.density
    assert {one.against: one.outcome for one in verdict.comparisons}["found there"] == "confirmed"


def test_a_ticket_found_there_may_be_better() -> None:
    found = run({("main", 0): 0.0, ("main", 4): 0.02}, levels=4)
    told = outcomes(run(GOOD), found)
    assert (told["found there"], told["headline"]) == ("against", "confirmed")


def test_what_was_lost_since_is_against_the_own_lead_there() -> None:
    before = dict.fromkeys(range(6), 0.02)
    assert outcomes(run(GOOD), before=before)["where found"] == "confirmed"
    assert outcomes(run(GOOD), before=dict.fromkeys(range(6), -0.02))["where found"] == "against"


def test_one_replicate_and_lacking_controls_are_no_test() -> None:
    assert set(outcomes(run(GOOD, n=1)).values()) == {"untested"}
    assert set(outcomes(run(GOOD, n=2)).values()) == {"open"}
    told = outcomes(run({("main", 0): 0.0, ("main", 1): 0.003}))
    assert (told["dense"], told["reinit"], told["headline"]) == ("confirmed", *["untested"] * 2)


def test_a_ticket_that_is_lost_confirms_nothing() -> None:
    given = run(GOOD)
    lost = job(2, "main", 1, status="diverged")
    given = replace(given, results={**given.results, lost.key: lost})
    verdict = judge_transfer(given, None, source="Tickets")
    assert verdict.headline == "open"
    assert [(one.n, one.missing) for one in verdict.comparisons] == [(5, 1)] * 3
    text = " ".join(transfer_text(verdict).split())
    assert text.startswith("Open: that the tickets work on the other task is neither confirmed nor")
    assert text.count(" 5/6 ") == 3
    assert "n: a/b where only a of b replicates have both" in text


def guessing(given: Run, at: tuple[str, int], replicates: range) -> Run:
    """Trainings of a place become ones that are right in a tenth."""
    changed = [job(r, *at, 0.1 + 0.001 * r) for r in replicates]
    return replace(given, results={**given.results, **{one.key: one for one in changed}})


def test_dense_networks_that_guess_leave_nothing_to_test() -> None:
    """Tickets far above them, as against dense networks that diverged."""
    given = guessing(run(GOOD), ("main", 0), range(6))
    verdict = judge_transfer(given, None, source="Tickets", before=dict.fromkeys(range(6), 0.02))
    assert {one.outcome for one in verdict.comparisons} == {verdict.headline} == {"untested"}
    assert [(one.n, one.missing) for one in verdict.comparisons] == [(0, 6)] * 4
    assert verdict.dense_missing.guessing == 6
    text = " ".join(transfer_text(verdict).split())
    assert text.startswith("Not tested: no dense network there learned more than guessing")
    assert "Lost among dense networks there: 6 guessing" in text
    assert text.count(" - - 0/6 ") == 4


@pytest.mark.parametrize("branch", ["main", "reinit-1"])
def test_a_training_that_guesses_is_lost_like_one_that_diverged(branch: str) -> None:
    given = run(GOOD)
    lost = job(2, branch, 1, status="diverged")
    diverged = replace(given, results={**given.results, lost.key: lost})
    verdict = judge_transfer(guessing(given, (branch, 1), range(2, 3)), None, source="Tickets")
    assert verdict == judge_transfer(diverged, None, source="Tickets")
    assert verdict.headline == "open"


def test_two_replicates_confirm_nothing_and_it_is_said() -> None:
    verdict = judge_transfer(run(GOOD, n=2), None, source="Tickets")
    assert verdict.headline == "open"
    assert "Below 3 replicates nothing is confirmed" in " ".join(transfer_text(verdict).split())


@pytest.mark.parametrize(
    ("tickets", "said"),
    [
        (("a",), "It is one ticket in all replicates"),
        (("a", "a"), "It is one ticket in all replicates"),
        (("a", "b"), "They are 2 tickets in 6 replicates, not one for each"),
        (tuple("abcdef"), ""),
    ],
)
def test_tickets_that_replicates_share_are_said(tickets: tuple[str, ...], said: str) -> None:
    given = run(GOOD)
    given = replace(given, config=replace(given.config, method=Given(tickets=tickets)))
    text = " ".join(transfer_text(judge_transfer(given, None, source="Tickets")).split())
    assert said in text
    assert (" in all replicates" in text or "not one for each" in text) == bool(said)


def test_the_words_say_what_was_compared() -> None:
    found = run({("main", 0): 0.0, ("main", 4): 0.003}, levels=4)
    verdict = judge_transfer(
        run(GOOD), found, source="Tickets of digits", new_layers=("output.weight", "output.bias")
    )
    printed = transfer_text(verdict)
    assert max(map(len, printed.splitlines())) <= 80
    text = " ".join(printed.split())
    assert text.startswith("Yes: the tickets work on the other task.")
    assert "Tickets of digits are trained on lenet on clothes: 80.00% of its weights." in text
    assert "output.weight, output.bias are drawn anew and left whole" in text
    assert re.search(r"tickets found there \S+ \S+ to \S+ 6 as good confirmed", text)
    assert "Tickets found there keep 40.96% of the weights" in text
    assert "margin of 0.2 points." in text
    assert "were found" not in text.rpartition("Tickets found there")[0], "that was not compared"
    assert to_json(verdict)["headline"] == "confirmed"


def test_the_answer_names_what_is_refuted_and_what_is_open() -> None:
    changed = run({**GOOD, ("reinit-1", 1): 0.02, ("random-mask-1", 1): 0.02})
    text = " ".join(transfer_text(judge_transfer(changed, None, source="Tickets")).split())
    assert text.startswith(
        "No: the tests say that on the other task their masks do better with new initial weights "
        "and their masks do better shuffled."
    )
    unsure = run({**GOOD, ("reinit-1", 1): 0.003})
    text = " ".join(transfer_text(judge_transfer(unsure, None, source="Tickets")).split())
    assert (
        "Not confirmed is that they are better than their masks with new initial weights." in text
    )
    alone = run({("main", 0): 0.0, ("main", 1): 0.003})
    text = " ".join(transfer_text(judge_transfer(alone, None, source="Tickets")).split())
    assert text.startswith("Not tested: too few replicates have a result to compare with (masks, n")


@pytest.mark.parametrize(("gap", "expected"), [(0.0009, "open"), (0.0012, "against")])
def test_one_of_three_refutes_all_only_at_a_third_of_the_level(gap: float, expected: str) -> None:
    """Differences of -gap with a deviation of 0.001: t is 2.2 and 2.9 with 5 degrees of freedom."""
    results = {}
    for r, noise in enumerate((-1.0, 1.0, -1.0, 1.0, -1.0, 1.0)):
        for branch, level, shift in (
            ("main", 0, 0.0),
            ("main", 1, 0.003),
            ("reinit-1", 1, 0.003 + gap + 0.0009128709 * noise),
            ("random-mask-1", 1, -0.03),
        ):
            one = job(r, branch, level, 0.9 + 0.01 * r + shift)
            results[one.key] = one
    given = MadeUp(config=ExperimentConfig(replicates=6, levels=1), results=results)
    reinit = judge_transfer(given, None, source="Tickets").comparisons[1]
    assert reinit.p is not None
    assert 0.95 < reinit.p < 1, "at 5% by itself the opposite would be confirmed"
    assert outcomes(given)["reinit"] == outcomes(given)["headline"] == expected


def test_a_run_that_was_looked_at_before_is_tested_more_strictly() -> None:
    given = run({**GOOD, ("reinit-1", 1): 0.00275})
    assert outcomes(given)["reinit"] == "confirmed"
    grown = replace(given, experiment={"earlier_looks": [3, 4, 5]})
    assert outcomes(grown)["reinit"] == "open"
    assert "one-sided test at 98.8%" in transfer_text(judge_transfer(grown, None, source="T"))


def test_it_seldom_confirms_what_is_false() -> None:
    """No worse than the margin is all that holds, in 400 made-up runs: about 5% are confirmed."""
    random, confirmed = Random(7), 0
    for _ in range(400):
        results = {}
        for replicate in range(5):
            for branch, level, mean in (("main", 0, 0.9), ("main", 1, 0.898)):
                one = job(replicate, branch, level, random.gauss(mean, 0.003))
                results[one.key] = one
        given = MadeUp(config=ExperimentConfig(replicates=5, levels=1), results=results)
        confirmed += outcomes(given)["dense"] == "confirmed"
    assert confirmed <= 400 * 0.05 + 2 * (400 * 0.05 * 0.95) ** 0.5
