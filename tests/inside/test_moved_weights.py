"""How far weights move and which signs they keep, against every way that chance could have it."""

from __future__ import annotations

import json
import math
import statistics
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from command import Cli
from small_run import SmallRun

from lottery.experiments import open_run
from lottery.inside import ANALYSES, Measurement, analyse
from lottery.inside.weights import IN_DENSE, QUANTILES, TRAINED, WHOLE, measure_move, quantiles
from lottery.store import MAIN, JobKey


def test_signs_by_chance_are_those_of_every_way_to_deal_them_out() -> None:
    before = torch.tensor([1.0, -2.0, 3.0, 4.0, -5.0, 6.0, 7.0])
    after = torch.tensor([1.0, 2.0, -3.0, 4.0, -5.0, -6.0, 9.0])
    chosen = torch.tensor([True] * 6 + [False])
    old, new = (before[chosen] > 0).tolist(), (after[chosen] > 0).tolist()
    every = [sum(map(bool.__eq__, old, dealt)) for dealt in permutations(new)]

    found = measure_move(before, after, chosen)

    assert (found.signed, found.kept) == (6, 3)
    assert found.expected == pytest.approx(statistics.fmean(every))
    assert found.variance == pytest.approx(statistics.pvariance(every))


def test_a_distance_by_chance_is_that_of_every_choice_of_as_many_weights() -> None:
    before, after = torch.zeros(2, 3), torch.tensor([[1.0, 2.0, 0.0], [0.5, -3.0, 1.0]])
    chosen = torch.tensor([[True, True, False], [False, False, False]])
    every = [sum(part) for part in combinations(after.square().flatten().tolist(), 2)]

    found = measure_move(before, after, chosen)

    assert found.distance == 5
    assert found.by_chance == pytest.approx(statistics.fmean(every))
    assert (found.signed, found.expected, found.variance) == (0, 0, 0), "zeros have no sign"


def test_layers_add_up_and_what_stays_has_not_moved() -> None:
    weight = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    one = measure_move(weight, weight, weight > 0)
    both = one + measure_move(weight, -weight, weight <= 0)
    assert (one.distance, one.kept, one.signed) == (0, one.weights, one.weights)
    assert (both.weights, both.kept) == (20, one.kept)
    assert both.distance == pytest.approx(4 * float(weight[weight <= 0].double().square().sum()))


@pytest.fixture(scope="module")
def found(small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory) -> Measurement:
    run = open_run(small_run.copied(tmp_path_factory.mktemp("weights")))
    return analyse(run, ANALYSES["weights"])


def test_a_ticket_is_compared_with_the_dense_network(
    found: Measurement, small_run: SmallRun
) -> None:
    rows = {
        (row["level"], row["branch"], row["weights"], row["between"]): row
        for row in found["moves"].records()
        if row["layer"] == WHOLE
    }
    assert {key[1:] for key in rows if key[0] == 1} == {
        (MAIN, "survivors", TRAINED),
        (MAIN, "survivors", "initialization to end"),
        (MAIN, "survivors", IN_DENSE),
        (MAIN, "pruned", IN_DENSE),
        ("random-mask", "survivors", TRAINED),
        ("reinit", "survivors", TRAINED),
    }
    store = open_run(small_run.path).store
    dense, key = JobKey(0, MAIN, 0), JobKey(0, MAIN, 1)
    mask = store.ticket(key).mask

    def distance(before: JobKey, after: JobKey) -> float:
        start, end = store.ticket(before).weights, store.weights(after)
        return math.sqrt(sum(float(((end[n] - start[n])[mask[n]] ** 2).sum()) for n in mask))

    for between, one in (
        (TRAINED, distance(key, key)),
        ("initialization to end", distance(dense, key)),
        (IN_DENSE, distance(dense, dense)),
    ):
        row = rows[1, MAIN, "survivors", between]
        assert row["distance"] == pytest.approx(one, rel=1e-5)
        assert (row["count"], row["n"]) == (mask.kept, 1)
    both = rows[1, MAIN, "survivors", IN_DENSE], rows[1, MAIN, "pruned", IN_DENSE]
    squares = sum(float(str(row["distance"])) ** 2 for row in both)
    whole = float(str(rows[0, MAIN, "all", TRAINED]["distance"]))
    assert squares == pytest.approx(whole**2, rel=1e-6), "survivors and pruned are all there is"


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_quantiles_of_sorted_values_are_numpy_s(size: int) -> None:
    values = np.random.default_rng(size).normal(size=size).astype(np.float32)

    found = quantiles(np.sort(values), QUANTILES)

    assert found == pytest.approx(np.quantile(values.astype(np.float64), QUANTILES), rel=1e-6)


def test_values_are_those_of_the_files_and_histograms_count_all_of_them(
    found: Measurement, small_run: SmallRun
) -> None:
    store = open_run(small_run.path).store
    mask, end = store.ticket(JobKey(0, MAIN, 1)).mask, store.weights(JobKey(0, MAIN, 1))
    kept = torch.cat([end[name][mask[name]] for name in mask])
    (row,) = (
        row
        for row in found["values"].records()
        if (row["level"], row["layer"], row["weights"], row["when"])
        == (1, WHOLE, "survivors", "end")
    )
    assert row["count"] == mask.kept
    assert row["q50"] == pytest.approx(float(kept.quantile(0.5)), rel=1e-5)
    assert row["magnitude"] == pytest.approx(float(kept.abs().mean()), rel=1e-5)
    shares: dict[tuple[object, ...], float] = {}
    for bin_ in found["histograms"].records():
        key = (bin_["level"], bin_["layer"], bin_["weights"], bin_["when"])
        shares[key] = shares.get(key, 0) + float(str(bin_["share"]))
    assert len(shares) == len(found["values"].rows)
    assert all(share == pytest.approx(1) for share in shares.values())


def test_the_command_prints_what_it_found(cli: Cli, small_run: SmallRun, tmp_path: Path) -> None:
    small_run.copied(tmp_path)
    code, text, _ = cli("analyse", "weights", "small", "--out", tmp_path, "--csv", "tables")
    assert code == 0
    assert "of the survivors end with the sign they started with" in text
    head = (tmp_path / "tables" / "weights-moves.csv").read_text().splitlines()[0]
    assert head.startswith("level,branch,weights,between,layer,n")
    code, text, _ = cli("analyse", "weights", "small", "--out", tmp_path, "--json")
    assert json.loads(text)["analysis"] == "weights"
