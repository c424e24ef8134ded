"""What a run is called, and what it says of itself where it is printed."""

from __future__ import annotations

import os
from pathlib import Path

import own_loops
import pytest

from lottery.analysis import compare_runs, comparison_text
from lottery.errors import UsageError
from lottery.experiments import Run, find_run, open_run
from lottery.experiments.own import find_tickets


def found(out: Path | None, **settings: object) -> Run:
    sizes = {"levels": 1, "replicates": 1, "controls": {}, "verbose": False}
    functions = (own_loops.make_model, own_loops.train, own_loops.evaluate)
    return find_tickets(*functions, out=out, **{**sizes, **settings})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with runs ``net`` and ``net2`` of different loops without a title."""
    out = tmp_path_factory.mktemp("runs")
    found(out / "net")
    found(out / "net2", fingerprint="another version")
    return out


def test_an_untitled_loop_is_called_by_its_directory(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = open_run(runs / "net")
    assert (run.label, run.verdict.name, run.config.name) == ("net", "net", "own loop")
    titled = found(tmp_path / "x", title="my net")
    assert titled.label == titled.verdict.name == "my net"
    assert found(None).label == "own loop"
    monkeypatch.chdir(runs / "net")
    assert open_run(Path(os.curdir)).label == "net"


def test_loops_of_one_title_are_told_apart_by_their_directories(runs: Path, tmp_path: Path) -> None:
    compared = compare_runs([open_run(runs / name) for name in ("net", "net2")])
    assert [method.label for method in compared.methods] == ["net", "net2"]
    titled = [
        found(tmp_path / name, title="mine", fingerprint=name) for name in ("first", "second")
    ]
    labels = [method.label for method in compare_runs(titled).methods]
    assert labels == ["mine [first]", "mine [second]"]


def test_no_table_of_a_comparison_is_printed_twice(runs: Path) -> None:
    text = comparison_text(compare_runs([open_run(runs / name) for name in ("net", "net2")]))
    assert text.count("Test accuracy at the end") == 1


def test_a_name_of_several_runs_lists_them_with_what_was_meant(runs: Path) -> None:
    with pytest.raises(UsageError) as error:
        find_run("own", runs)
    assert "net (own loop), net2 (own loop)" in str(error.value)
    assert "begins" not in str(error.value)


def test_a_printed_run_is_one_line(runs: Path) -> None:
    run = open_run(runs / "net")
    assert repr(run) == f"<Run net: 2 of 2 trainings, {runs / 'net'}>"
    assert run.verdict.headline == "not tested"
    assert ", verdict: not tested," in str(run)
    assert repr(found(None)) == "<Run own loop: 2 of 2 trainings, in memory>"
