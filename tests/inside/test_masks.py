"""The analysis of masks, on runs whose masks are known."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from command import Cli
from small_run import SmallRun
from typer.testing import CliRunner

from lottery.cli.analyse import numbers
from lottery.cli.main import app
from lottery.core import Mask
from lottery.experiments import ExperimentConfig, Run, RunOptions, open_run, run_experiment
from lottery.inside import ANALYSES, Measurement, Subject
from lottery.inside.mask_sentences import WHOLE
from lottery.inside.masks import masks
from lottery.inside.probing import trainings_to_compare
from lottery.inside.subject import subject
from lottery.methods import ControlsConfig, Dynamic, EarlyBird
from lottery.store import MAIN, JobKey
from lottery.tickets import PruneConfig
from lottery.training import Length


def _run(small_run: SmallRun, out: Path, **changes: Any) -> Run:
    config = replace(small_run.config, **changes)
    return open_run(
        run_experiment(config, RunOptions(out=out, jobs=1, device="cpu", engine="torch")).run
    )


@pytest.fixture(scope="module")
def two(small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two replicates and two levels."""
    return _run(small_run, tmp_path_factory.mktemp("two"), replicates=2, levels=2)


@pytest.fixture(scope="module")
def found(two: Run) -> Measurement:
    return two.analyse("masks", again=True)


def test_overlap_between_replicates_is_that_of_their_masks(two: Run, found: Measurement) -> None:
    one, other = (two.store.ticket(JobKey(r, MAIN, 2)).mask for r in (0, 1))
    row = next(
        row
        for row in found["between"].records()
        if (row["level"], row["layer"]) == (2, "fc1.weight")
    )
    both = int((one["fc1.weight"] & other["fc1.weight"]).sum())
    kept = [int(mask["fc1.weight"].sum()) for mask in (one, other)]
    assert (row["pairs"], row["overlap"]) == (1, both / min(kept))
    assert row["chance"] == pytest.approx(kept[0] * kept[1] / 64 / min(kept))
    (pair,) = [row for row in found["pairs"].records() if row["level"] == 2]
    assert (pair["replicate"], pair["other"]) == (0, 1)
    assert pair["overlap"] == (one & other).kept / one.kept
    assert pair["jaccard"] == pytest.approx(one.overlap(other))


def test_random_mask_controls_are_compared_with_tickets_at_chance(found: Measurement) -> None:
    rows = [row for row in found["within"].records() if row["layer"] == WHOLE]
    assert [(row["level"], row["other"]) for row in rows] == [
        (1, "random-mask-1"),
        (2, "random-mask-1"),
    ], "masks that nest are not compared with those before"
    assert all(isinstance(row["z"], float) and abs(row["z"]) < 4 for row in rows)


def test_replicates_with_each_others_masks_are_one_pair(
    small_run: SmallRun, tmp_path: Path
) -> None:
    controls = ControlsConfig(reinit=0, moved=1)
    run = _run(small_run, tmp_path, replicates=2, levels=1, controls=controls)
    found = run.analyse("masks")
    between = [row for row in found["between"].records() if row["level"] == 1]
    moved = [row for row in found["within"].records() if row["other"] == "moved-1"]
    assert len(moved) == 3
    for row, same in zip(moved, between, strict=True):
        assert row["pairs"] == 1
        assert row["z"] == pytest.approx(same["z"])
        assert row["z_by_input"] == pytest.approx(same["z_by_input"])


def test_densities_of_layers_sum_to_the_whole(two: Run, found: Measurement) -> None:
    rows = list(found["layers"].records())
    assert len(rows) == 3 * 2 * 3
    for key in two.results:
        if key.branch == MAIN:
            here = [
                row
                for row in rows
                if (row["level"], row["replicate"]) == (key.level, key.replicate)
            ]
            assert {row["layer"]: (row["kept"], row["total"]) for row in here} == {
                **two.results[key].layers,
                WHOLE: (two.results[key].weights_kept, two.results[key].weights_total),
            }
            assert all(row["effective"] <= row["kept"] for row in here)  # type: ignore[operator]
            assert here[-1]["effective"] == sum(row["effective"] for row in here[:-1])  # type: ignore[misc]


def test_units_and_their_distribution_agree(found: Measurement) -> None:
    for unit in found["units"].records():
        bins = [
            row
            for row in found["degrees"].records()
            if all(row[k] == unit[k] for k in ("level", "replicate", "layer", "side"))
        ]
        assert sum(row["units"] for row in bins) == unit["units"]  # type: ignore[misc]
        if bins[0]["to"] == 0:
            assert bins[0]["units"] == unit["empty"]
            assert bins[0]["chance"] == pytest.approx(unit["chance_empty"])


def test_what_decided_a_mask_is_compared_with_what_it_started_from(
    two: Run, found: Measurement
) -> None:
    rows = list(found["settling"].records())
    assert [(row["level"], row["replicate"], row["moment"], row["iteration"]) for row in rows] == [
        (1, 0, "start of training", 0),
        (1, 0, "on the way", 5),
        (1, 1, "start of training", 0),
        (1, 1, "on the way", 5),
        (2, 0, "start of training", 5),
        (2, 1, "start of training", 5),
    ]
    # 80 weights are left, 52 stay; of a magnitude's mask by other weights some of the same.
    assert all(0 <= row["distance"] <= 1 for row in rows)  # type: ignore[operator]
    assert "states that tickets are rewound to" in found["settling"].note
    end = two.store.weights(JobKey(0, MAIN, 0))
    mask = two.store.ticket(JobKey(0, MAIN, 1)).mask
    kept = end["fc1.weight"].abs()[mask["fc1.weight"]]
    assert kept.min() >= end["fc1.weight"].abs()[~mask["fc1.weight"]].max()


def test_masks_that_change_in_training_are_compared_from_start_to_end(
    small_run: SmallRun, tmp_path: Path
) -> None:
    run = _run(
        small_run,
        tmp_path,
        method=Dynamic(update="set", every=Length(amount=4)),
        prune=PruneConfig(criterion="random", scope="erk", fraction=0.5),
    )
    key = JobKey(0, MAIN, 1)
    start, end = run.store.ticket(key).mask, run.store.final_mask(key)
    found = run.analyse("masks")
    (row,) = found["settling"].records()
    assert row["moment"] == "start of training"
    assert row["distance"] == start.hamming(end) > 0
    kept = [row for row in found["layers"].records() if row["level"] == 1]
    assert kept[-1]["kept"] == end.kept
    assert "on the way a run keeps none" in found["settling"].note


def test_a_search_is_no_control_and_shows_how_its_mask_settles(
    small_run: SmallRun, tmp_path: Path
) -> None:
    run = _run(
        small_run,
        tmp_path,
        method=Dynamic(update="set", every=Length(amount=4), then="rewind"),
        prune=PruneConfig(criterion="random", scope="erk", fraction=0.5),
    )
    search = JobKey(0, "search-1", 1)
    start, end = run.store.ticket(search).mask, run.store.final_mask(search)
    looked_at = subject(run, None, None)
    assert looked_at.mask(search) == end == run.store.ticket(JobKey(0, MAIN, 1)).mask != start
    found = run.analyse("masks")
    assert {row["other"] for row in found["within"].records()} == {"random-mask-1"}
    (row,) = found["settling"].records()
    assert (row["level"], row["moment"]) == (1, "start of training")
    assert row["distance"] == start.hamming(end) > 0
    expected = {(0, MAIN), (1, MAIN), (1, "reinit"), (1, "random-mask")}
    moves = run.analyse("weights")["moves"]
    assert {(row["level"], row["branch"]) for row in moves.records()} == expected
    assert {
        (key.level, key.kind) for n in (0, 1) for key in trainings_to_compare(looked_at, n)
    } == expected


def test_drawn_masks_say_when_they_had_settled(small_run: SmallRun, tmp_path: Path) -> None:
    run = _run(
        small_run,
        tmp_path,
        levels=2,
        method=EarlyBird(every=Length(amount=2), window=3, distance=0.05),
        prune=PruneConfig(fraction=0.5, scope="global"),
    )
    found = run.analyse("masks")
    rows = list(found["settling"].records())
    assert [row["level"] for row in rows] == [1, 2]
    for row in rows:
        drawn = run.store.ticket(JobKey(0, MAIN, int(row["level"] or 0))).provenance
        assert row["iteration"] == drawn["drawn_at"]
        assert str(drawn["drawn"]).startswith(str(row["moment"]))
    again = run.analyse("masks")
    assert again["settling"] == found["settling"], "looks are among what it was made from"


class _Made(Subject):
    """A subject whose masks are said."""

    def mask(self, key: JobKey) -> Mask:
        kept = torch.zeros(4, 16, dtype=torch.bool)
        kept[key.level] = True
        return Mask({"fc1.weight": kept, "output.weight": torch.ones(4, 4, dtype=torch.bool)})


def test_masks_that_do_not_nest_are_compared_level_by_level(two: Run) -> None:
    found = masks(_Made(run=two, levels=(0, 1), replicates=(0,)))
    (row,) = [
        row
        for row in found["within"].records()
        if row["other"] == "level before" and row["layer"] == "fc1.weight"
    ]
    assert (row["overlap"], row["chance"]) == (0, 0.25)
    apart = masks(_Made(run=two, levels=(0, 2), replicates=(0,)))
    assert "level before" not in apart["within"].column("other"), "level 0 is not before level 2"
    layers = [row for row in found["layers"].records() if row["layer"] == "fc1.weight"]
    assert [(row["effective"], row["dead_units"]) for row in layers] == [(16, 3), (16, 3)]
    assert any("Of a single replicate" in sentence for sentence in found.found)


def test_networks_from_elsewhere_have_no_effective_density_and_everything_else(two: Run) -> None:
    assert isinstance(two.config, ExperimentConfig)
    named = replace(two, config=replace(two.config, model="somebody.nets:make"))
    found = masks(Subject(run=named, levels=(1,), replicates=(0, 1)))
    assert {row["effective"] for row in found["layers"].records()} == {None}
    assert any("the network is not built in" in sentence for sentence in found.found)
    assert found["between"].rows
    vit = replace(two, config=replace(two.config, model="vit-mini-4"))
    assert any(
        "vit" in s or "not known" in s or "not take" in s
        for s in masks(Subject(run=vit, levels=(1,), replicates=(0,))).found
    )


def test_units_removed_whole_have_no_z(two: Run) -> None:
    config = replace(two.config, prune=replace(two.config.prune, granularity="neuron"))
    found = masks(Subject(run=replace(two, config=config), levels=(1,), replicates=(0, 1)))
    assert {row["z"] for row in found["between"].records()} == {None}
    assert any("granularity neuron" in sentence for sentence in found.found)


def test_the_command_prints_sentences_and_tables(two: Run, tmp_path: Path) -> None:
    path = str(two.store.path)
    printed = CliRunner().invoke(app, ["analyse", "masks", path, "--csv", str(tmp_path / "tables")])
    assert printed.exit_code == 0, printed.output
    assert "two replicates' tickets have" in printed.output
    assert "Overlap between replicates" in printed.output
    rows = list(
        csv.DictReader((tmp_path / "tables" / "masks-between.csv").read_text().splitlines())
    )
    assert len(rows) == 3 * 3
    asked = CliRunner().invoke(app, ["analyse", "masks", path, "--levels", "1", "--json"])
    assert json.loads(asked.output)["settings"] == {"levels": [1], "replicates": [0, 1]}
    wrong = CliRunner().invoke(app, ["analyse", "masks", path, "--levels", "7"])
    assert wrong.exit_code == 2 or "level: expected some of" in str(wrong.exception)


def test_tables_do_not_go_where_a_file_is(cli: Cli, tmp_path: Path) -> None:
    """Which is said before anything is looked for."""
    Path("taken").write_text("mine")
    for wrong in ("taken", "taken/tables", tmp_path / "taken"):
        code, _, told = cli("analyse", "masks", "no-such-run", "--csv", wrong)
        assert (code, "expected a directory, got a file: " in told) == (2, True)
    assert Path("taken").read_text() == "mine"


@pytest.mark.parametrize("text", ["3-1", "0-99999999", "-1", "1-", "²", "", "9" * 5000])
def test_numbers_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="expected numbers such as"):
        numbers(text)


def test_it_is_among_the_analyses() -> None:
    assert ANALYSES["masks"].read
