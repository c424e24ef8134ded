"""Simulated runs whose truth is known: how often the verdict is wrong, and how often it sees."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from lottery.analysis import Verdict
from lottery.store.jobs import JobResult

Simulated = Callable[..., list[JobResult]]
Judged = Callable[..., Verdict]

ALPHA = 0.05
RUNS = 1000
MARGIN = 0.002
MOST = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)
"""Three binomial deviations above alpha."""


def share(verdicts: list[Verdict], wrong: Callable[[Verdict], bool]) -> float:
    assert len(verdicts) == RUNS
    return sum(map(wrong, verdicts)) / RUNS


@pytest.mark.parametrize("replicates", [2, 5])
def test_tickets_at_the_margin_are_rarely_confirmed(
    simulated: Simulated, judged: Judged, replicates: int
) -> None:
    """The null of matching, exactly; all levels share one dense network, as in a real run."""
    shift = (-MARGIN, -8000.0)
    verdicts = [
        judged(simulated(seed, replicates=replicates, levels=3, ticket=shift))
        for seed in range(RUNS)
    ]
    yes = share(verdicts, lambda v: any(level.is_winning == "yes" for level in v.levels))
    no = share(verdicts, lambda v: any(level.is_winning == "no" for level in v.levels))
    assert yes <= MOST
    assert no <= MOST
    if replicates == 5:
        assert yes > 0.01  # the test is not vacuous: alpha is used


def test_tickets_one_evaluation_later_are_rarely_confirmed(
    simulated: Simulated, judged: Judged
) -> None:
    """The null of no later, with noise of the size of the grid."""
    verdicts = [
        judged(simulated(seed, replicates=4, levels=3, ticket=(0.05, 100.0), noise=(0.001, 100.0)))
        for seed in range(RUNS)
    ]
    yes = share(verdicts, lambda v: any(level.is_winning == "yes" for level in v.levels))
    assert 0.005 < yes <= MOST


def test_a_reinitialization_that_changes_nothing_is_rarely_blamed(
    simulated: Simulated, judged: Judged
) -> None:
    same = (0.004, -3000.0)
    verdicts = [
        judged(simulated(seed, replicates=5, levels=3, ticket=same, reinit=same))
        for seed in range(RUNS)
    ]

    def blamed(verdict: Verdict) -> bool:
        groups = [level.groups["reinit"] for level in verdict.levels if level.level]
        tests = [t for g in groups for t in (g.accuracy_below_ticket, g.learns_later) if t]
        assert len(tests) == 6
        return any(test.confirmed for test in tests)

    assert 0.01 < share(verdicts, blamed) <= MOST
    assert share(verdicts, lambda v: v.hypothesis == "supported") <= MOST


def test_a_strong_effect_is_seen(simulated: Simulated, judged: Judged) -> None:
    shifts = {"ticket": (0.004, -3000.0), "reinit": (-0.02, 3000.0)}
    verdicts = [judged(simulated(seed, replicates=5, levels=3, **shifts)) for seed in range(200)]
    assert sum(v.hypothesis == "supported" for v in verdicts) > 195
    assert sum(v.smallest_confirmed_level == 3 for v in verdicts) > 190


def test_interval_covers_the_truth(simulated: Simulated, judged: Judged) -> None:
    verdicts = [judged(simulated(seed, replicates=3, levels=0)) for seed in range(RUNS)]

    def covers(verdict: Verdict) -> bool:
        found = verdict.levels[0].groups["main"].accuracy_at_early_stop
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        return found.low <= 0.97 <= found.high

    assert share(verdicts, covers) == pytest.approx(0.95, abs=MOST - ALPHA)
