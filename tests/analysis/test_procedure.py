"""The decision procedure against references: closed testing, scipy, and its own promises."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lottery.analysis.level_tests import Array, hommel, one_sided, sign_flips
from lottery.analysis.procedure import (
    AT_END,
    FEW,
    LOST,
    MEANS,
    SKEWED,
    Decision,
    Samples,
    Settings,
    decide,
    sooner,
)

SETTINGS = Settings(margin=0.002, grid=100.0, end=10_000.0, step=1e-4)
P_VALUES = st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=6)


def simes(p: list[float]) -> float:
    return min(len(p) * value / (rank + 1) for rank, value in enumerate(sorted(p)))


@given(P_VALUES)
def test_hommel_is_closed_testing_with_simes(p: list[float]) -> None:
    """A claim's adjusted p is the largest Simes p of all sets of claims that hold it."""
    expected = [
        max(
            simes([p[i] for i in chosen])
            for size in range(1, len(p) + 1)
            for chosen in combinations(range(len(p)), size)
            if claim in chosen
        )
        for claim in range(len(p))
    ]
    np.testing.assert_allclose(hommel(np.array(p)), np.minimum(1, expected), atol=1e-12)


def test_hommel_of_many_runs_at_once_is_that_of_each() -> None:
    p = np.random.default_rng(0).random((4, 5, 7)) ** 3
    each = np.array([[hommel(row) for row in plane] for plane in p])
    np.testing.assert_array_equal(hommel(p), each)


@pytest.mark.parametrize("n", [2, 3, 5, 9])
def test_with_one_level_it_is_students_test(n: int) -> None:
    y = np.random.default_rng(n).normal(0.3, 1, (1, n))
    found = one_sided(y, 0.0, np.array([True]))
    assert found[0] == pytest.approx(stats.ttest_1samp(y[0], 0, alternative="greater").pvalue)


def test_levels_lend_each_other_half_of_their_variance() -> None:
    """Two levels by hand: variances 1 and 9 become 3 and 7, with Satterthwaite's degrees."""
    y = np.array([[1.0, 2.0, 3.0], [7.0, 10.0, 4.0]])
    cov = np.cov(y)
    df = np.floor(2 * (1 + 9) ** 2 / (cov**2).sum())
    expected = [
        stats.t.sf(mean / np.sqrt(v / 3), max(df, 2)) for mean, v in ((2.0, 3.0), (7.0, 7.0))
    ]
    np.testing.assert_allclose(one_sided(y, 0.0, np.array([True, True])), expected)


def test_variances_of_levels_out_of_use_are_not_lent() -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(1, 1, (3, 5))
    wild = np.concatenate([y, rng.normal(0, 1000, (1, 5))])
    used = np.array([True, True, True, False])
    np.testing.assert_allclose(one_sided(wild, 0.0, used)[:3], one_sided(y, 0.0, used[:3]))


def test_equal_values_are_as_sure_as_their_grid_allows() -> None:
    """Variance of a value that is rounded to steps of 0.1 and never moved: 0.1 squared over 12."""
    y = np.full((1, 4), 0.1)
    expected = stats.t.sf(0.1 / np.sqrt(0.1**2 / 12 / 4), 3)
    assert one_sided(y, 0.1, np.array([True]))[0] == pytest.approx(expected)


def test_without_scatter_and_without_a_step_nothing_is_shown() -> None:
    assert one_sided(np.full((1, 4), 0.1), 0.0, np.array([True])).tolist() == [1.0]


@pytest.mark.parametrize("n", [6, 8])
def test_sign_flips_are_the_exact_permutation_test(n: int) -> None:
    y = np.random.default_rng(n).normal(0.4, 1, n)
    reference = stats.permutation_test(
        (y,), np.sum, permutation_type="samples", alternative="greater", n_resamples=2**n
    )
    assert sign_flips(y[None])[0] == pytest.approx(reference.pvalue)


def test_drawn_sign_flips_are_near_the_exact_ones() -> None:
    y = np.random.default_rng(0).normal(0.3, 1, 15)
    bits = np.arange(2**15)[None, :] >> np.arange(15)[:, None] & 1
    exact = float((y @ (1.0 - 2.0 * bits) >= y.sum() - 1e-9).mean())
    assert sign_flips(y[None])[0] == pytest.approx(exact, abs=0.01)


def run(
    tickets: Array, copies: Array | None, dense: Array, *, stops: tuple[Array, ...]
) -> Decision:
    accuracy = Samples(dense=dense, tickets=tickets, copies=copies)
    stop = Samples(
        dense=stops[0], tickets=stops[1], copies=stops[2] if copies is not None else None
    )
    return decide(accuracy, stop, SETTINGS)


def clear_win(n: int = 5, levels: int = 2) -> dict[str, Array]:
    rng = np.random.default_rng(3)
    return {
        "dense": 0.97 + 0.0005 * rng.standard_normal(n),
        "tickets": 0.975 + 0.0005 * rng.standard_normal((levels, n)),
        "copies": 0.95 + 0.0005 * rng.standard_normal((levels, n)),
        "dense_stop": np.round(50 + rng.standard_normal(n)) * 100,
        "ticket_stop": np.round(20 + 0.4 * rng.standard_normal((levels, n))) * 100,
        "copy_stop": np.round(80 + rng.standard_normal((levels, n))) * 100,
    }


def decided(made: dict[str, Array]) -> Decision:
    stops = (made["dense_stop"], made["ticket_stop"], made["copy_stop"])
    return run(made["tickets"], made["copies"], made["dense"], stops=stops)


def test_a_clear_win_is_confirmed_at_every_level() -> None:
    found = decided(clear_win())
    assert str(found.headline) == "confirmed"
    for claim in ("matches", "no_later", "wins", "fails", "hypothesis"):
        assert found.confirmed[claim].all(), claim
    for claim in ("matches", "no_later", "wins", "fails", "hypothesis"):
        assert not found.against(claim).any(), claim


def test_two_replicates_confirm_nothing_and_one_is_not_tested() -> None:
    two = decided(clear_win(n=2))
    assert str(two.headline) == "open"
    assert not any(flags.any() for flags in two.confirmed.values())
    assert two.claims["matches"].reasons[FEW].all()
    assert str(decided(clear_win(n=1)).headline) == "not tested"


def test_without_copies_the_hypothesis_is_not_tested_but_wins_are() -> None:
    made = clear_win()
    found = run(
        made["tickets"],
        None,
        made["dense"],
        stops=(made["dense_stop"], made["ticket_stop"]),
    )
    assert str(found.headline) == "not tested"
    assert found.confirmed["wins"].all()
    assert "hypothesis" not in found.confirmed


def test_a_lost_ticket_keeps_its_level_from_winning_and_no_other() -> None:
    made = clear_win()
    for name in ("tickets", "ticket_stop"):
        made[name] = made[name].copy()
        made[name][1, 0] = np.nan
    found = decided(made)
    assert found.confirmed["wins"].tolist() == [True, False]
    assert found.claims["wins"].reasons[LOST].tolist() == [False, True]
    assert not found.claims["wins"].untested.any()


def test_a_lost_copy_counts_as_no_difference() -> None:
    made = clear_win()
    for name in ("copies", "copy_stop"):
        made[name] = made[name].copy()
        made[name][:, 1:] = np.nan
    found = decided(made)
    assert not found.confirmed["fails"].any()
    assert not found.confirmed["copies_win"].any()


def test_a_stop_at_the_end_leaves_untested_who_is_sooner() -> None:
    made = clear_win()
    made["ticket_stop"] = np.full_like(made["ticket_stop"], 10_000.0)
    made["dense_stop"] = np.full_like(made["dense_stop"], 10_000.0)
    made["copy_stop"] = np.full_like(made["copy_stop"], 10_000.0)
    found = decided(made)
    assert found.claims["no_later"].untested.all()
    assert found.claims["no_later"].reasons[AT_END].all()
    assert found.claims["later"].untested.all()
    assert not found.confirmed["no_later"].any()
    assert not found.confirmed["later"].any()
    assert found.confirmed["matches"].all()


def test_scatter_of_one_side_alone_is_not_tested() -> None:
    dense = np.array([2_000.0, 2_000.0, 2_100.0, 2_000.0, 1_900.0])
    time = np.array([[100.0, 200.0, 1_900.0, 900.0, 400.0]])
    claim = sooner(time, dense, SETTINGS, slack=100.0)
    assert claim.reasons[SKEWED].all()
    assert claim.untested.all()
    assert claim.p.tolist() == [1.0]


def test_the_typical_ratio_must_agree_with_the_means() -> None:
    dense = np.array([5_000.0, 4_000.0, 6_000.0, 5_500.0, 4_500.0])
    time = dense[None] - np.array([1_000, 500, 1_200, 900, -9_000])
    claim = sooner(time, dense, Settings(margin=0, grid=100, end=np.inf, step=0), slack=100.0)
    assert claim.reasons[MEANS].all()


def test_a_level_whose_copies_are_mostly_lost_does_not_end_the_sequence() -> None:
    made = clear_win(levels=3)
    for name in ("copies", "copy_stop"):
        made[name] = made[name].copy()
        made[name][2, 1:] = np.nan
    assert decided(made).confirmed["fails"].tolist() == [True, True, False]


def test_a_level_whose_copies_do_well_ends_the_sequence() -> None:
    made = clear_win(levels=3)
    made["copies"], made["copy_stop"] = made["copies"].copy(), made["copy_stop"].copy()
    made["copies"][1], made["copy_stop"][1] = made["tickets"][1], made["ticket_stop"][1]
    found = decided(made)
    assert found.confirmed["fails"].tolist() == [False, False, True]
    assert found.confirmed["copies_win"].tolist() == [False, True, False]


def test_copies_that_win_everywhere_contradict() -> None:
    made = clear_win()
    made["copies"], made["copy_stop"] = made["tickets"], made["ticket_stop"]
    assert str(decided(made).headline) == "contradicted"


def test_the_order_of_replicates_does_not_matter() -> None:
    made = clear_win()
    order = [3, 0, 4, 1, 2]
    turned = {name: values[..., order] for name, values in made.items()}
    for name, p in decided(made).adjusted.items():
        np.testing.assert_allclose(decided(turned).adjusted[name], p, rtol=1e-9, err_msg=name)
