"""What can be promised before a run, against the procedure that decides after it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_results import job, judged
from scipy import stats

from lottery.analysis import reachable
from lottery.analysis.procedure import Samples, Settings, decide
from lottery.analysis.reach import reach_in_units, scatter
from lottery.score import ACCURACY

SETTINGS = Settings(margin=0.0, grid=1.0, end=1e9, step=0.0)


def confirmed(replicates: int, levels: int, multiple: float, *, everywhere: bool) -> bool:
    """Whether the last level is, where means lie so many deviations beyond what is tested.

    All levels have the same scatter in the same replicates, which is the hardest case; the others
    lie exactly at the boundary, or as far beyond it as the last. Copies fail by accuracy alone.
    """
    shape = np.linspace(-1, 1, replicates)
    shape = 0.001 * (shape / shape.std(ddof=1))
    shift = np.full((levels, 1), 0.001 * multiple)
    if not everywhere:
        shift[:-1] = -0.001
    dense = np.zeros(replicates)
    accuracy = Samples(
        dense=dense, tickets=shape + shift, copies=-(shape + 0.001 * multiple) - 0 * shift
    )
    logs = 100 * (shape + np.abs(shift))
    stop = Samples(
        dense=np.full(replicates, 1e6) * np.exp(shape),
        tickets=1e6 * np.exp(shape - logs),
        copies=np.full((levels, replicates), 1e6) * np.exp(shape),
    )
    decision = decide(accuracy, stop, SETTINGS)
    return bool(decision.confirmed["matches"][-1] and decision.confirmed["fails"][-1])


@pytest.mark.parametrize("replicates", [3, 4, 5])
@pytest.mark.parametrize("levels", [1, 2, 4, 12])
def test_the_multiple_is_where_the_procedure_begins_to_confirm(
    replicates: int, levels: int
) -> None:
    reach = reachable(replicates, levels)
    assert reach.multiple is not None
    assert reach.multiple_everywhere is not None
    assert confirmed(replicates, levels, reach.multiple * 1.001, everywhere=False)
    assert not confirmed(replicates, levels, reach.multiple * 0.999, everywhere=False)
    assert confirmed(replicates, levels, reach.multiple_everywhere * 1.001, everywhere=True)
    assert not confirmed(replicates, levels, reach.multiple_everywhere * 0.999, everywhere=True)


@pytest.mark.parametrize("replicates", [1, 2])
def test_fewer_than_three_replicates_reach_nothing(replicates: int) -> None:
    reach = reachable(replicates, 12)
    assert (reach.multiple, reach.multiple_everywhere) == (None, None)
    assert "nothing can be confirmed, whatever happens" in reach.sentence
    assert f"at least {reach.recommended} replicates" in reach.sentence


@given(st.integers(1, 12), st.integers(1, 25), st.floats(0.8, 0.99))
def test_the_recommendation_is_the_fewest(replicates: int, levels: int, confidence: float) -> None:
    recommended = reachable(replicates, levels, confidence).recommended
    enough = reachable(recommended, levels, confidence).multiple
    assert enough is not None
    assert enough <= 2.5
    if recommended > 3:
        fewer = reachable(recommended - 1, levels, confidence).multiple
        assert fewer is not None
        assert fewer > 2.5


def test_fifteen_levels_take_five_replicates() -> None:
    assert reachable(3, 15).recommended == 5


def test_the_sentence_fits_the_case() -> None:
    assert "sure to be confirmed only if" in reachable(3, 12).sentence
    assert reachable(5, 3).sentence == (
        "With 5 replicates and 3 levels a difference is sure to be confirmed if its mean over "
        "replicates is at least 2.1 times its standard deviation between them. Where the true "
        "difference is just that large, about every other run confirms it. With 5 more "
        "replicates, 1.1 times is enough."
    )
    assert reachable(5, 0).sentence == ""
    assert "1 level " in reachable(2, 1).sentence


@given(st.integers(1, 40), st.integers(1, 25))
def test_more_replicates_halve_it_or_bring_it_within_reach(replicates: int, levels: int) -> None:
    reach = reachable(replicates, levels)
    assert reach.more > 0
    assert reach.multiple_with_more == reachable(replicates + reach.more, levels).multiple
    aim = reach.multiple / 2 if reach.multiple and reach.multiple <= 2.5 else 2.5
    before = reachable(replicates + reach.more - 1, levels).multiple
    assert (reach.multiple_with_more or 9) <= aim < (before or 9)


@pytest.mark.parametrize("replicates", [3, 5, 20])
def test_a_true_difference_of_that_size_is_found_about_every_other_time(replicates: int) -> None:
    multiple = reachable(replicates, 12).multiple
    assert multiple is not None
    quantile = multiple * replicates**0.5
    assert 0.4 < stats.nct.sf(quantile, replicates - 1, quantile) < 0.65


def test_in_units_it_says_which_difference_and_what_matches() -> None:
    five = reachable(5, 3)
    said = reach_in_units(five, replace(ACCURACY, margin=0.01), 0.001, "as in demo-1")
    assert said == (
        "If, as in demo-1, the accuracy of a ticket less that of its dense network has a standard "
        "deviation of 0.10 percentage points, this takes a mean difference of 0.21 percentage "
        "points, or of 0.11 percentage points with 5 more replicates. That tickets match, within "
        "the margin of 1 percentage point, is then sure to be confirmed if on the mean they are "
        "at most 0.79 percentage points worse than their dense networks."
    )
    narrow = reach_in_units(five, replace(ACCURACY, margin=0.001), 0.001, "for example")
    assert "are at least 0.11 percentage points better than" in narrow
    unknown = reach_in_units(five, replace(ACCURACY, margin=None), 0.001, "for example")
    assert unknown.endswith("with 5 more replicates.")
    assert reach_in_units(reachable(2, 3), ACCURACY, 0.001, "for example") == ""


def test_how_tickets_vary_is_of_all_levels_together() -> None:
    scores = {0: [0.9, 0.8, 0.7], 1: [0.9, 0.82, 0.74], 2: [0.91, 0.8, 0.72]}
    jobs = [job(n, "main", level, s, 100) for level, of in scores.items() for n, s in enumerate(of)]
    found = scatter(judged(jobs))
    squares = [np.var(np.subtract(scores[level], scores[0]), ddof=1) for level in (1, 2)]
    assert found is not None
    assert found[0] == pytest.approx(float(np.mean(squares)) ** 0.5)
    assert found[1] == 4
    assert scatter(judged(jobs[:1])) is None


@pytest.mark.parametrize(
    ("replicates", "levels", "confidence"), [(0, 1, 0.95), (1, -1, 0.95), (2, 2, 1.0)]
)
def test_reachable_refuses(replicates: int, levels: int, confidence: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        reachable(replicates, levels, confidence)
