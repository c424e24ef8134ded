"""Simulated runs whose truth is known: how often the procedure is wrong, and how often it sees."""

from __future__ import annotations

import math

import numpy as np
import pytest

from error_rates import decisions
from lottery.analysis.procedure import Decision, Settings, sooner
from simulated_runs import END, GRID, MARGIN, NOISES, SITUATIONS, Size, learning_curves

ALPHA = 0.05
RUNS = 1000
MOST = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)
"""Three binomial deviations above alpha."""
LEVELS = (1, 6, 15)


def share(decision: Decision, claim: str) -> float:
    assert decision.headline.shape == (RUNS,)
    return float(decision.confirmed[claim].any(-1).mean())


def headlines(decision: Decision, word: str) -> float:
    return float((decision.headline == word).mean())


@pytest.mark.parametrize("name", SITUATIONS)
def test_what_is_false_is_rarely_confirmed_and_what_is_true_is_seen(name: str) -> None:
    """At each number of replicates and levels, with every kind of noise."""
    situation = SITUATIONS[name]
    for replicates in (2, 3, 5, 8):
        for levels in LEVELS:
            for noise in NOISES:
                found = decisions(situation, RUNS, replicates, levels, noise)
                cell = f"{replicates} replicates, {levels} levels, {noise} noise"
                for claim in situation.false:
                    assert share(found, claim) <= MOST, f"{claim}: {cell}"
                if "hypothesis" in situation.false:
                    assert headlines(found, "confirmed") <= MOST, cell
                if replicates == 2:
                    assert not any(flags.any() for flags in found.confirmed.values()), cell
                if situation.true and replicates >= 5:
                    assert share(found, situation.true) > 0.75, f"{situation.true}: {cell}"


@pytest.mark.parametrize(
    ("name", "claim"),
    [("margin", "matches"), ("grid", "no_later"), ("copies at the boundary", "fails")],
)
def test_the_error_that_is_allowed_is_used(name: str, claim: str) -> None:
    """Exactly at a boundary a test that is never wrong could not see much either."""
    found = decisions(SITUATIONS[name], RUNS, 5, 1, "normal")
    assert 0.025 < share(found, claim) <= MOST


@pytest.mark.parametrize("replicates", [3, 5, 8])
def test_where_nothing_differs_hardly_a_word_is_said(replicates: int) -> None:
    for levels in LEVELS:
        for noise in NOISES:
            found = decisions(SITUATIONS["null"], RUNS, replicates, levels, noise)
            assert headlines(found, "confirmed") + headlines(found, "indicated") <= 0.02
            # Copies that equal dense do win: with one level that can be seen, and is no error.
            assert headlines(found, "open") >= (0.9 if levels == 1 else 0.97)


def test_against_is_said_only_where_a_test_says_it() -> None:
    """A small win is no contradiction, however few the replicates."""
    for replicates in (3, 5, 8):
        found = decisions(SITUATIONS["small win"], RUNS, replicates, 6, "normal")
        assert headlines(found, "contradicted") <= 0.01


def test_copies_that_win_as_well_contradict() -> None:
    found = decisions(SITUATIONS["copies win 0.05, 2,000"], RUNS, 8, 1, "normal")
    assert headlines(found, "contradicted") > 0.5


def test_the_paper_s_experiment_is_confirmed() -> None:
    """With 15 levels, which tests without a common variance see in two runs of three."""
    five = decisions(SITUATIONS["LeNet"], RUNS, 5, 15, "normal")
    assert share(five, "wins") > 0.8
    assert share(five, "hypothesis") > 0.75
    assert share(decisions(SITUATIONS["LeNet"], RUNS, 8, 15, "normal"), "hypothesis") > 0.95


@pytest.mark.parametrize("replicates", [3, 5, 8])
def test_time_to_dense_accuracy_keeps_its_rate_and_sees(replicates: int) -> None:
    settings = Settings(margin=MARGIN, grid=GRID, end=END, step=1e-4)

    def confirmed(faster: float, better: float) -> float:
        size = Size(runs=RUNS, replicates=replicates, levels=1)
        rng = np.random.default_rng(replicates)
        dense, tickets = learning_curves(size, rng, faster=faster, better=better)
        claim = sooner(tickets[:, None], dense, settings, slack=0.0)
        return float(((claim.p < ALPHA) & (claim.flips < ALPHA)).mean())

    assert 0.02 < confirmed(1.0, 0.0) <= MOST
    assert confirmed(2.5, 0.004) > 0.85
