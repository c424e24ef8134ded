"""Comparisons of made-up runs: who is compared with whom, and what is confirmed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from methods_samples import DATA, compared, criterion, method_run, results_of, sample
from scipy import stats

from lottery.analysis import RunComparison, comparison_text, to_json
from lottery.analysis.methods import comparison_rows
from lottery.analysis.methods.types import MEASURES, AgainstFirst
from lottery.analysis.statistics import holm
from lottery.analysis.types import Measure
from lottery.data import AugmentationConfig
from lottery.errors import UsageError
from lottery.methods import ControlsConfig, Dynamic, Iterative, RewindConfig
from lottery.store.jobs import JobKey, JobResult

ACCURACY: Measure = "accuracy"


def pair(
    left: Sequence[JobResult], right: Sequence[JobResult], *, seeds: tuple[int, int] = (0, 0)
) -> RunComparison:
    return compared(
        method_run(left, config=criterion("magnitude", seed=seeds[0])),
        method_run(right, config=criterion("random", seed=seeds[1])),
    )


def contrast(found: RunComparison, row: int, place: int = 1) -> AgainstFirst:
    cell = found.rows[row].cells[place]
    assert cell is not None
    return cell.against_first[ACCURACY]


def accuracies(results: Sequence[JobResult], level: int) -> list[float]:
    return [
        result.score_at_early_stop
        for result in results
        if (result.branch, result.level) == ("main", level)
        and result.score_at_early_stop is not None
    ]


# Tests


def test_runs_of_one_start_are_compared_pair_by_pair() -> None:
    left, right = results_of(), results_of(worse=0.002)
    found = pair(left, right)
    assert found.methods[1].paired is True
    for level in (1, 2, 3, 4):
        expected = stats.ttest_rel(accuracies(right, level), accuracies(left, level))
        made = contrast(found, level)
        assert made.contrast.paired
        assert (made.contrast.n, made.n_first) == (5, 5)
        assert made.p == pytest.approx(expected.pvalue, rel=1e-6)
        interval = expected.confidence_interval(0.95)
        assert made.contrast.estimate is not None
        ends = (made.contrast.estimate.low, made.contrast.estimate.high)
        assert ends == pytest.approx((interval.low, interval.high), abs=1e-9)


def test_runs_of_other_seeds_are_compared_after_welch() -> None:
    left, right = results_of(), results_of(worse=0.002, seed=1, replicates=7)
    found = pair(left, right, seeds=(0, 1))
    assert found.methods[1].paired is False
    for level in (0, 1, 2, 3, 4):
        expected = stats.ttest_ind(
            accuracies(right, level), accuracies(left, level), equal_var=False
        )
        made = contrast(found, level)
        assert not made.contrast.paired
        assert (made.contrast.n, made.n_first) == (7, 5)
        assert made.p == pytest.approx(expected.pvalue, rel=1e-6)


def test_pairs_see_what_the_noise_between_replicates_hides() -> None:
    left, right = results_of(), results_of(worse=0.002)
    assert contrast(pair(left, right), 4).outcome == "behind"
    assert contrast(pair(right, left), 4).outcome == "ahead"
    assert contrast(pair(left, right, seeds=(0, 1)), 4).outcome == "open"


@pytest.mark.parametrize("measure", MEASURES)
def test_each_measure_is_corrected_over_all_densities_and_methods(measure: Measure) -> None:
    found = sample()
    made = [
        cell.against_first[measure]
        for row in found.rows
        for cell in row.cells
        if cell and measure in cell.against_first
    ]
    assert [one.p_adjusted for one in made] == holm([one.p for one in made])
    assert found.comparisons[measure] == sum(one.p is not None for one in made)
    for one in made:
        if one.p_adjusted is not None:
            assert (one.outcome == "open") == (one.p_adjusted >= 0.05)


def test_later_is_behind_and_sooner_ahead() -> None:
    left = results_of(noise=0.0)
    right = results_of(noise=0.0, worse=0.01)
    cell = pair(left, right).rows[2].cells[1]
    assert cell is not None
    made = cell.against_first["early_stop"]
    assert made.mean > 1
    assert made.outcome == "behind"


def test_equal_dense_trainings_are_not_tested() -> None:
    found = pair(results_of(), results_of(worse=0.002))
    assert contrast(found, 0).outcome == "same"
    assert contrast(found, 0).p is None
    assert found.comparisons[ACCURACY] == 4
    config = criterion("magnitude")
    longer = replace(config, training=replace(config.training, batch_size=30))
    other = compared(
        method_run(results_of(), config=config), method_run(results_of(), config=longer)
    )
    assert contrast(other, 0).outcome == "open"


def test_dense_trainings_are_the_same_whatever_tickets_do_with_what_is_pruned() -> None:
    """Masks that change, and values that are held, are no part of a dense network."""
    config = criterion("magnitude")
    for method in (Dynamic(), Iterative(pruned="frozen")):
        other = method_run(results_of(worse=0.002), config=replace(config, method=method))
        found = compared(method_run(results_of(), config=config), other)
        assert contrast(found, 0).outcome == "same"
        assert found.comparisons[ACCURACY] == 4
        assert found.warnings == ()
        assert {setting.part for setting in found.settings} == {"method"}


def test_dense_trainings_on_other_images_are_not_the_same() -> None:
    config = criterion("magnitude")
    flipped = replace(config, data=replace(config.data, augmentation=AugmentationConfig(flip=True)))
    found = compared(
        method_run(results_of(), config=config), method_run(results_of(), config=flipped)
    )
    assert contrast(found, 0).outcome == "open"
    assert "trained in different ways (data.augmentation.flip)" in " ".join(found.warnings)


def test_dense_trainings_with_other_results_are_not_the_same() -> None:
    """One setting is no proof: another machine or engine may have rounded otherwise."""
    other = [
        replace(result, score_at_early_stop=0.9)
        if (result.replicate, result.level) == (3, 0)
        else result
        for result in results_of()
    ]
    assert contrast(pair(results_of(), other), 0).outcome == "open"
    assert contrast(pair(results_of(), other[len(other) // 5 :]), 0).outcome == "open"


@pytest.mark.parametrize("method", ["learning-rate", "fine-tune"])
def test_early_stops_of_trained_weights_are_not_compared_with_others(
    method: Literal["learning-rate", "fine-tune"],
) -> None:
    config = criterion("magnitude")
    kept = replace(config, method=Iterative(rewind=RewindConfig(kind=method)))
    runs = [
        method_run(results_of(worse=worse), config=made)
        for worse, made in ((0.0, config), (0.002, kept), (0.004, kept))
    ]
    stops: Measure = "early_stop"
    for first, second, compares in ((0, 1, False), (1, 0, False), (1, 2, True)):
        found = compared(runs[first], runs[second])
        cells = [row.cells[1] for row in found.rows[1:]]
        assert all(cell and (stops in cell.against_first) is compares for cell in cells)
        assert all(cell and ACCURACY in cell.against_first for cell in cells)
        assert compares or not any(
            row.best[stops].confirmed for row in found.rows[1:] if stops in row.best
        )


@pytest.mark.parametrize(
    "other",
    [
        method_run(results_of(), config=criterion("magnitude", seed=1)),
        method_run(results_of(), config=criterion("magnitude", model="mlp-30")),
        method_run(results_of(), config=criterion("magnitude"), data={**DATA, "sha256": "cd" * 32}),
        method_run(results_of(), config=criterion("magnitude"), schema=0),
        method_run(
            results_of(), config=criterion("magnitude"), starts={0: "0 lenet-300-100 0", 1: "other"}
        ),
        method_run(results_of(), config=criterion("magnitude"), starts={9: "0 lenet-300-100 9"}),
    ],
    ids=["seed", "model", "data", "schema", "start", "numbers"],
)
def test_what_is_not_shared_parts_the_replicates(other: object) -> None:
    first = method_run(results_of(), config=criterion("magnitude"))
    found = compared(first, other)  # type: ignore[arg-type]
    assert found.methods[1].paired is False
    assert contrast(found, 1).contrast.paired is False


def test_only_replicates_that_both_have_are_paired() -> None:
    left = results_of(failed=[JobKey(0, "main", 2)])
    right = results_of(worse=0.002, failed=[JobKey(1, "main", 2)], replicates=4)
    found = pair(left, right)
    assert (contrast(found, 1).contrast.n, contrast(found, 2).contrast.n) == (4, 2)
    first, second = found.rows[2].cells
    assert first is not None
    assert second is not None
    assert (first.group.n, first.group.missing.diverged, first.lost) == (4, 1, 1)
    assert (second.group.n, second.group.missing.diverged) == (3, 1)


def test_one_replicate_is_shown_and_not_tested() -> None:
    found = pair(results_of(replicates=1), results_of(replicates=1, worse=0.01))
    made = contrast(found, 3)
    assert made.contrast.estimate is not None
    assert made.contrast.estimate.low is None
    assert (made.contrast.n, made.p, made.outcome) == (1, None, "untested")
    assert made.why == "it takes two replicates of each run"
    assert made.mean == pytest.approx(-0.03, abs=0.005)
    assert [method.smallest_matching for method in found.methods] == [None, None]
    assert found.comparisons[ACCURACY] == 0
    assert not any(best.confirmed for row in found.rows for best in row.best.values())


def test_nothing_in_common_at_a_density_is_no_comparison() -> None:
    everyone = [JobKey(r, "main", 1) for r in range(5)]
    found = pair(results_of(failed=everyone), results_of())
    cell = found.rows[1].cells[1]
    assert cell is not None
    assert not cell.against_first


# The best


def test_the_best_of_two_is_marked_just_where_the_test_against_the_first_says_so() -> None:
    found = pair(results_of(), results_of(worse=0.001))
    outcomes = [contrast(found, level) for level in range(5)]
    for row, made in zip(found.rows, outcomes, strict=True):
        best = row.best[ACCURACY]
        assert best.confirmed == (made.outcome in ("ahead", "behind"))
        assert best.p_adjusted == (
            None if made.p_adjusted is None else pytest.approx(made.p_adjusted)
        )
    assert any(made.outcome == "behind" for made in outcomes)


def test_the_best_must_be_better_than_every_other() -> None:
    """The second and the third are both behind the first in truth, but alike."""
    runs = [
        method_run(results_of(worse=worse, seed=0), config=criterion("magnitude", seed=0))
        for worse in (0.01, 0.0, 0.000001)
    ]
    found = compared(*runs)
    last = found.rows[4]
    assert last.best[ACCURACY].method in (1, 2)
    assert not last.best[ACCURACY].confirmed
    assert contrast(found, 4, 1).outcome == contrast(found, 4, 2).outcome == "ahead"
    turned = compared(runs[1], *runs[:1])
    assert turned.rows[4].best[ACCURACY].confirmed
    assert turned.rows[4].best[ACCURACY].method == 0


def test_without_any_difference_hardly_anything_is_confirmed() -> None:
    """In 200 comparisons of equal runs with 4 densities each, at most about 5% confirm one."""
    wrong = best = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        made = []
        for run in range(2):
            results = results_of(levels=3, branches=())
            made.append(
                [
                    replace(result, score_at_early_stop=float(random.normal(0.97, 0.002)))
                    for result in results
                ]
            )
            del run
        found = pair(made[0], made[1], seeds=(0, 1))
        outcomes = {contrast(found, level).outcome for level in range(4)}
        wrong += bool(outcomes & {"ahead", "behind"})
        best += any(row.best[ACCURACY].confirmed for row in found.rows)
    assert wrong == best <= 20  # 10 are expected; more than 20 come by chance once in 1,000


# What else is told


def test_rows_hold_what_was_measured_and_what_it_cost() -> None:
    left = results_of()
    found = pair(left, results_of(worse=0.002))
    assert [round(row.density, 4) for row in found.rows] == [1, 0.5, 0.25, 0.125, 0.0625]
    first = found.rows[3].cells[0]
    assert first is not None
    assert first.group.accuracy is not None
    assert list(first.group.accuracy.values.values()) == accuracies(left, 3)
    assert first.seconds == 2.0
    cost = found.methods[0].cost
    assert (cost.trainings, cost.seconds) == (25, 50.0)
    assert (cost.control_trainings, cost.control_seconds) == (20, 40.0)
    assert (cost.engines, cost.device, cost.hardware) == (("sparse_cpu",), "cpu", "made up")


def test_the_smallest_matching_density_is_each_runs_own() -> None:
    good, bad = pair(results_of(noise=0.0), results_of(noise=0.0, worse=0.0015)).methods
    assert good.smallest_matching is not None
    assert bad.smallest_matching is not None
    assert (good.smallest_matching.level, bad.smallest_matching.level) == (4, 1)
    assert good.smallest_confirmed_matching == good.smallest_matching
    lost = pair(results_of(noise=0.0, failed=[JobKey(0, "main", 4)]), results_of()).methods[0]
    assert lost.smallest_matching is not None
    assert lost.smallest_matching.level == 3


def test_that_the_smallest_matching_density_is_one_of_all_runs_is_said() -> None:
    found = pair(results_of(noise=0.0), results_of(noise=0.0, levels=2))
    told = dict(comparison_rows.run_rows(found))
    assert told["Smallest matching density that all runs have, confirmed"] == ("25%", "25%")
    assert "that all runs have," in map(str.strip, comparison_text(found).splitlines())


def test_other_densities_have_rows_of_their_own() -> None:
    found = sample()
    ones = [row for row in found.rows if sum(cell is not None for cell in row.cells) == 1]
    assert ones
    assert all(row.cells[2] for row in ones)
    assert all(not row.best for row in ones)
    shared = [row for row in found.rows if all(row.cells)]
    assert [round(row.density, 2) for row in shared] == [1.0]


def test_the_order_of_results_does_not_matter() -> None:
    left, right = results_of(), results_of(worse=0.002)
    assert to_json(pair(left, right)) == to_json(pair(left[::-1], right[::-1]))


def test_json_goes_round() -> None:
    found = to_json(sample())
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["schema_version"] == 2
    assert found["rows"][2]["cells"][1]["against_first"][ACCURACY]["outcome"] == "behind"
    assert found["methods"][0]["verdict"]["levels"][0]["groups"]["main"]["n"] == 5


def test_controls_do_not_matter_to_the_rows() -> None:
    with_them = pair(results_of(), results_of(worse=0.002))
    config = criterion("random", controls=ControlsConfig(reinit=0))
    without = compared(
        method_run(results_of(), config=criterion("magnitude")),
        method_run(results_of(worse=0.002, branches=()), config=config),
    )
    assert [row.best for row in with_them.rows] == [row.best for row in without.rows]


def test_a_comparison_needs_two_runs_and_a_sensible_tolerance() -> None:
    one = method_run(results_of())
    with pytest.raises(UsageError, match="two or more runs, got 1"):
        compared(one)
    for tolerance in (-0.1, 1.0, float("nan")):
        with pytest.raises(UsageError, match="tolerance in"):
            compared(one, one, tolerance=tolerance)
