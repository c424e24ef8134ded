"""Figures and tables of a run as files, from the terminal."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import pytest
from command import Cli
from tiny import tiny

from lottery.experiments import RunOptions, open_run, plan, run_experiment
from lottery.report import latex_table


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = RunOptions(out=tmp_path_factory.mktemp("runs"), jobs=1, device="cpu")
    return run_experiment(tiny(), options).run


def test_show_prints_every_training_as_csv_and_nothing_else(cli: Cli, run: Path) -> None:
    code, out, err = cli("show", str(run), "--csv")
    assert (code, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == len(plan(tiny()))
    results = open_run(run).results
    for row, key in zip(rows, sorted(results), strict=True):
        assert (row["replicate"], row["branch"], row["level"]) == (
            str(key.replicate),
            key.branch,
            str(key.level),
        )
        assert float(row["test_accuracy_final"]) == results[key].score_final


def test_show_prints_a_latex_table_and_nothing_else(cli: Cli, run: Path) -> None:
    code, out, err = cli("show", str(run), "--latex")
    assert (code, out, err) == (0, latex_table(open_run(run)), "")


def test_csv_and_json_at_once_are_refused(cli: Cli, run: Path) -> None:
    for several in (("--csv", "--json"), ("--csv", "--latex"), ("--latex", "--json")):
        code, _, err = cli("show", str(run), *several)
        assert code == 2
        assert "choose one" in err


def test_figures_are_written_and_listed(
    cli: Cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    code, out, err = cli("report", str(run), "--figures", "figures")
    assert code == 0
    listed = out.split()
    assert set(map(Path, listed)) == set(Path("figures").iterdir())
    assert "figures/accuracy.svg" in listed
    assert "no PNG files" in err
    assert not (run / "report.html").exists(), "figures alone were asked for"


def test_page_and_figures_can_be_asked_for_at_once(
    cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    code, out, _ = cli("report", str(run), "--report", "page.html", "--figures", "figures")
    assert code == 0
    assert out.startswith("page.html\n")
    assert Path("page.html").is_file()


def test_a_place_that_is_no_directory_is_a_clear_error(cli: Cli, run: Path, tmp_path: Path) -> None:
    Path("taken").touch()
    code, _, err = cli("report", str(run), "--figures", "taken")
    assert code == 1
    assert "cannot write" in err
    assert "Traceback" not in err


def test_a_page_replaces_pages_and_nothing_else(cli: Cli, run: Path) -> None:
    """A slip such as --report README.md must not cost the file."""
    Path("notes.md").write_text("mine")
    for verb in (("report", str(run)), ("demo",), ("run", "demo")):
        code, _, err = cli(*verb, "--report", "notes.md")
        assert code == 2
        assert "notes.md is there already and is no page of lottery" in err
    assert Path("notes.md").read_text() == "mine"
    for _ in range(2):
        assert cli("report", str(run), "--report", "page.html")[0] == 0
