"""The report of a real run: what the page shows is what the files hold."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny

from lottery.errors import StoreError
from lottery.experiments import RunOptions, open_run, plan, run_experiment
from lottery.report import of_run, report_data, write_report
from lottery.report.weights import _added
from lottery.store import JobKey, Store


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = RunOptions(
        out=tmp_path_factory.mktemp("runs"), jobs=1, device="cpu", command="lottery run <tiny>"
    )
    return run_experiment(tiny(), options).run


def test_everything_is_gathered(run: Path) -> None:
    data = report_data(open_run(run))
    assert {result.key for result in data.results} == set(plan(tiny()))
    assert all(len(curve) == 8 for curve in data.curves.values())
    assert data.verdict.complete
    assert data.command == "lottery run <tiny>"
    assert data.config["prune"]["fraction"] == 0.5


def test_data_that_are_not_the_published_ones_are_said_to_be(run: Path) -> None:
    opened = open_run(run)
    assert opened.experiment["data"]["variant"] == ""
    assert "data" not in report_data(opened).environment

    data = {**opened.experiment["data"], "variant": "decoded from JPEG"}
    other = replace(opened, experiment={**opened.experiment, "data": data})

    assert report_data(other).environment["data"] == "decoded from JPEG"


def test_pixels_are_those_of_the_first_layer_at_every_level(run: Path) -> None:
    store = Store(run)
    for level, picture in report_data(open_run(run)).pixels.items():
        masks = [store.ticket(JobKey(r, "main", level)).mask["fc1.weight"] for r in (0, 1)]
        expected = np.mean(
            [mask.float().mean(dim=0).view(28, 28).numpy() for mask in masks], axis=0
        )
        np.testing.assert_allclose(np.asarray(picture), expected, atol=1e-6)
    assert set(report_data(open_run(run)).pixels) == {0, 1, 2}


def test_what_files_tell_of_the_inside_is_found_and_kept(run: Path) -> None:
    data = report_data(open_run(run))
    assert data.inside["masks"].settings == {"levels": [0, 1, 2], "replicates": [0, 1]}
    assert (run / "analyses" / "masks.json").is_file()
    assert set(data.first_layers) == {
        (level, replicate) for level in (1, 2) for replicate in (0, 1)
    }
    mask = Store(run).ticket(JobKey(1, "main", 2)).mask["fc1.weight"]
    pixels = data.first_layers[2, 1].pixels
    assert pixels is not None
    np.testing.assert_allclose(pixels, mask.float().mean(dim=0).view(28, 28).numpy(), atol=1e-6)


def test_what_was_found_of_some_levels_is_found_of_all(run: Path) -> None:
    open_run(run).analyse("masks", levels=[1])
    assert report_data(open_run(run)).inside["masks"].settings["levels"] == [0, 1, 2]


def test_a_run_that_cannot_be_written_to_has_a_report(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    shutil.rmtree(copy / "analyses", ignore_errors=True)
    (copy / "analyses").write_text("no directory")
    assert report_data(open_run(copy)).inside["masks"].found


def test_large_runs_are_looked_at_when_they_are_asked_to(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    shutil.rmtree(copy / "analyses", ignore_errors=True)
    monkeypatch.setattr(of_run, "MOST_WEIGHTS", 1000)
    assert report_data(open_run(copy)).inside == {}
    open_run(copy).analyse("masks", levels=[1])
    assert report_data(open_run(copy)).inside["masks"].settings["levels"] == [1]


def test_the_report_of_a_run_is_one_page(run: Path, tmp_path: Path) -> None:
    target = write_report(run, tmp_path / "report.html")
    page = target.read_text(encoding="utf-8")
    assert "lottery run &lt;tiny&gt;" in page
    assert "lottery run <tiny>" not in page
    assert write_report(run, tmp_path / "again.html").read_bytes() == target.read_bytes()


def test_a_place_that_cannot_be_written_is_a_clear_error(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write"):
        write_report(run, tmp_path / "file" / "report.html")


def test_a_report_runs_no_code_that_a_run_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "own_network.py"
    source.write_text(
        "from lottery.models import mlp\n"
        "def make(input_shape, classes):\n"
        "    return mlp(input_shape, (5,), classes)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = tiny(model="own_network:make", replicates=1, levels=1)
    run = run_experiment(config, RunOptions(out=tmp_path / "runs", jobs=1, device="cpu")).run
    monkeypatch.delitem(sys.modules, "own_network")
    source.write_text("raise RuntimeError('this was run')\n")

    write_report(run, tmp_path / "report.html")

    data = report_data(open_run(run))
    assert "own_network" not in sys.modules
    assert data.layers == ()
    assert data.masks_are == "matrix", "the layer that reads the input is known by its shape"
    assert set(data.masks) == {0, 1}


def test_layers_are_in_the_order_of_the_network(run: Path) -> None:
    assert report_data(open_run(run)).layers == ("fc1.weight", "output.weight")


def test_weights_are_counted_by_what_the_verdict_s_level_keeps(run: Path) -> None:
    opened = open_run(run)
    data = report_data(opened)
    level = data.verdict.level or 2
    store = Store(run)
    kept, initial = 0, []
    for replicate in (0, 1):
        mask = store.ticket(JobKey(replicate, "main", level)).mask["fc1.weight"]
        kept += int(mask.sum())
        initial.append(store.ticket(JobKey(replicate, "main", 0)).weights["fc1.weight"][mask])
    counts = data.weights["fc1.weight"]
    found = counts.counts["initial-kept"]
    assert 0.98 * kept <= found.sum() <= kept, "a few may lie beyond the ends"
    values = torch.cat(initial).numpy()
    np.testing.assert_array_equal(found, np.histogram(values, counts.edges)[0])
    assert set(counts.counts) == {
        f"{moment}-{part}" for moment in ("initial", "trained") for part in ("kept", "pruned")
    }


@pytest.mark.parametrize(
    ("values", "counted"), [([0, 0, 0, 0], 4), ([np.nan, np.inf, 1, -1], 2), ([], 0)]
)
def test_weights_of_any_value_have_bins(values: list[float], counted: int) -> None:
    weights = np.array(values, np.float32)
    counts = _added(None, "initial", weights, np.ones(len(values), bool))
    assert counts.counts["initial-kept"].sum() == counted
    assert np.isfinite(counts.edges).all()
