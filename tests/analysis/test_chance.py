"""A dense network that only guesses is nothing to compare tickets with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lottery.analysis import Verdict
from lottery.analysis.chance import guessing_limit
from lottery.store.jobs import JobResult

Simulated = Callable[..., list[JobResult]]
Judged = Callable[..., Verdict]

WINS = (0.004, -3000.0)
FAILS = (-0.02, 3000.0)


@pytest.mark.parametrize("classes", [2, 10, 100])
@pytest.mark.parametrize("examples", [100, 10_000])
def test_what_guesses_is_seldom_taken_for_more(classes: int, examples: int) -> None:
    limit = guessing_limit(classes, examples)
    right = np.random.default_rng(0).binomial(examples, 1 / classes, size=20_000) / examples
    # Two deviations of a binomial distribution leave at most about one in twenty above them.
    assert np.mean(right >= limit) < 0.06
    assert 1 / classes < limit < 1


def test_a_network_that_always_answers_the_most_frequent_digit_guesses() -> None:
    # The most frequent digit of MNIST's test set is the 1, with 1,135 of 10,000.
    assert 0.1135 < guessing_limit(10, 10_000) < 0.2


def test_unknown_classes_take_nothing_for_guessing() -> None:
    assert guessing_limit(None, 100) == guessing_limit(1, 100) == 0
    assert guessing_limit(2, 1) < 1


def _dense_at(results: list[JobResult], accuracy: float, replicates: range) -> list[JobResult]:
    return [
        replace(r, score_at_early_stop=accuracy)
        if r.level == 0 and r.replicate in replicates
        else r
        for r in results
    ]


@pytest.mark.parametrize("ticket", [WINS, FAILS])
def test_nothing_is_decided_where_no_dense_network_learned(
    simulated: Simulated, judged: Judged, ticket: tuple[float, float]
) -> None:
    results = simulated(1, replicates=5, levels=3, ticket=ticket, reinit=FAILS)
    verdict = judged(_dense_at(results, 0.11, range(5)), classes=10)
    assert verdict.headline == "not tested"
    assert verdict.dense_missing.guessing == 5
    assert verdict.level is None
    for level in verdict.levels[1:]:
        group = level.groups["main"]
        assert not level.wins_on_means
        assert group.against_dense["accuracy"].estimate is None
        assert group.accuracy is not None, "what was measured is still shown"
    assert "no more than guessing" in verdict.paragraph
    assert any("In 5 of 5 replicates" in caveat for caveat in verdict.caveats)


def test_a_replicate_that_guesses_is_left_out_and_named(
    simulated: Simulated, judged: Judged
) -> None:
    results = simulated(1, replicates=6, levels=3, ticket=WINS, reinit=FAILS)
    verdict = judged(_dense_at(results, 0.0980, range(1)), classes=10)
    without = judged([r for r in results if r.replicate > 0], classes=10)
    assert verdict.headline == "confirmed"
    for level, same in zip(verdict.levels[1:], without.levels[1:], strict=True):
        assert level.groups["main"].tests == same.groups["main"].tests
        assert level.groups["main"].accuracy == same.groups["main"].accuracy
    assert any("In 1 of 6 replicates" in caveat for caveat in verdict.caveats)
    assert verdict.levels[0].groups["main"].missing.guessing == 1


@pytest.mark.parametrize("branch", ["main", "reinit-1"])
def test_tickets_and_copies_that_guess_are_lost(
    simulated: Simulated, judged: Judged, branch: str
) -> None:
    """Like those that diverged: counted, in no mean, and against the claim."""
    results = simulated(1, replicates=5, levels=3, ticket=WINS, reinit=FAILS)
    at = (2, branch, 3)

    def changed(**values: object) -> Verdict:
        one = [
            replace(r, **values) if (r.replicate, r.branch, r.level) == at else r  # type: ignore[arg-type]
            for r in results
        ]
        return judged(one, classes=10)

    guesses = changed(score_at_early_stop=0.1, early_stop_iteration=100)
    diverged = changed(status="diverged")
    kind = "main" if branch == "main" else "reinit"
    found, same = (v.levels[3].groups[kind] for v in (guesses, diverged))
    assert (found.n, found.accuracy, found.early_stop) == (4, same.accuracy, same.early_stop)
    assert (found.missing.guessing, same.missing.diverged) == (1, 1)
    assert found.tests == same.tests
    assert guesses.levels[3].wins_on_means == (branch != "main")


def test_a_dense_network_that_learned_is_compared(simulated: Simulated, judged: Judged) -> None:
    results = simulated(1, replicates=5, levels=3, ticket=WINS, reinit=FAILS)
    assert replace(judged(results, classes=10), guessing_limit=0.0) == judged(results)
