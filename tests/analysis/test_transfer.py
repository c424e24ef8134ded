"""Transferred tickets judged, on results whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, cast

import pytest
from made_up_results import job

from lottery.analysis import judge_transfer, to_json, transfer_text
from lottery.experiments import ExperimentConfig, Run
from lottery.store import JobKey, JobResult


@dataclass(frozen=True)
class Facts:
    title: str = "lenet on clothes"
    test_examples: int = 10_000


@dataclass(frozen=True)
class MadeUp:
    """As much of a run as is judged."""

    config: ExperimentConfig
    results: Mapping[JobKey, JobResult]
    facts: Facts = field(default_factory=Facts)


def run(shifts: Mapping[tuple[str, int], float], n: int = 6, levels: int = 1) -> Run:
    """Replicates whose dense network lies at 0.9; (branch, level) -> what is added to that."""
    random, results = Random(1), {}
    for replicate in range(n):
        for (branch, level), shift in shifts.items():
            accuracy = 0.9 + 0.01 * replicate + shift + random.gauss(0, 0.0005)
            result = job(replicate, branch, level, accuracy)
            results[result.key] = result
    config = ExperimentConfig(replicates=n, levels=levels)
    return cast("Run", MadeUp(config, results))


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
    assert "n = 5, 1 missing" in transfer_text(verdict)


def test_the_words_say_what_was_compared() -> None:
    found = run({("main", 0): 0.0, ("main", 4): 0.003}, levels=4)
    verdict = judge_transfer(
        run(GOOD), found, source="Tickets of digits", new_layers=("output.weight", "output.bias")
    )
    printed = transfer_text(verdict)
    assert max(map(len, printed.splitlines())) <= 80
    text = " ".join(printed.split())
    assert text.startswith("Transfer: confirmed: the tickets serve there")
    assert "Tickets of digits are trained on lenet on clothes: 80.00% of its weights." in text
    assert "output.weight, output.bias are drawn anew and left whole" in text
    assert "confirmed they are as good as tickets found there " in text
    assert "Tickets found there keep 40.96% of the weights" in text
    assert "margin of 0.2 points." in text
    assert to_json(verdict)["headline"] == "confirmed"


def test_it_seldom_confirms_what_is_false() -> None:
    """No worse than the margin is all that holds, in 400 made-up runs: about 5% are confirmed."""
    random, confirmed = Random(7), 0
    for _ in range(400):
        results = {}
        for replicate in range(5):
            for branch, level, mean in (("main", 0, 0.9), ("main", 1, 0.898)):
                one = job(replicate, branch, level, random.gauss(mean, 0.003))
                results[one.key] = one
        given = cast("Run", MadeUp(ExperimentConfig(replicates=5, levels=1), results))
        confirmed += outcomes(given)["dense"] == "confirmed"
    assert confirmed <= 400 * 0.05 + 2 * (400 * 0.05 * 0.95) ** 0.5
