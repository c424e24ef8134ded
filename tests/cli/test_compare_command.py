"""``lottery compare``, with two real runs."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from command import Cli
from tiny import tiny

from lottery.experiments import RunOptions, open_run, run_experiment
from lottery.store import JobKey, Store


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs that differ in their criterion, and one without a result."""
    out = tmp_path_factory.mktemp("runs")
    options = RunOptions(out=out, jobs=1, device="cpu", engine="sparse_cpu")
    for name in ("magnitude", "random"):
        config = tiny(name=name)
        run_experiment(replace(config, prune=replace(config.prune, criterion=name)), options)
    empty = next(out.glob("random-*")).name.replace("random", "empty")
    (out / empty).mkdir()
    shutil.copy(next(out.glob("random-*")) / "experiment.json", out / empty)
    return out


def accuracies(out: Path, name: str, level: int) -> list[float]:
    run = open_run(next(out.glob(f"{name}-*")))
    return [
        found
        for replicate in range(2)
        if (found := run.results[JobKey(replicate, "main", level)].score_at_early_stop)
    ]


def test_two_runs_side_by_side(cli: Cli, out: Path) -> None:
    code, said, err = cli("compare", "magnitude", "random", "--out", out)
    assert (code, err) == (0, "reading run 1 of 2: magnitude\n")
    said = " ".join(said.split())
    assert "random has the same dense trainings" in said
    assert "Tests are paired by replicate" in said
    assert "prune.criterion" in said
    for name in ("magnitude", "random"):
        for level in range(3):
            values = accuracies(out, name, level)
            assert f"{100 * sum(values) / 2:.2f} ±" in said
    assert "--report FILE.html" in said


def test_json_has_every_number(cli: Cli, out: Path) -> None:
    code, said, _ = cli("compare", "magnitude", "random", "--out", out, "--json")
    assert code == 0
    found = json.loads(said)
    contrasts = [row["cells"][1]["against_first"] for row in found["rows"]]
    for level, contrast in enumerate(contrasts):
        left, right = accuracies(out, "magnitude", level), accuracies(out, "random", level)
        mean = sum(b - a for a, b in zip(left, right, strict=True)) / 2
        assert contrast["accuracy"]["contrast"]["estimate"]["mean"] == pytest.approx(mean)
        assert contrast["accuracy"]["contrast"]["paired"] is True
    assert contrasts[0]["accuracy"]["outcome"] == "same"
    assert contrasts[0]["accuracy"]["contrast"]["estimate"]["mean"] == 0
    assert [method["label"] for method in found["methods"]] == ["magnitude", "random"]
    assert found["methods"][0]["cost"]["engines"] == ["sparse_cpu"]
    assert found["methods"][0]["cost"]["seconds"] > 0
    assert found["settings"] == [
        {"key": "prune.criterion", "part": "method", "values": ["magnitude", "random"]}
    ]
    loose = cli(
        *("compare", "magnitude", "random", "--out", out, "--json"),
        *("--margin", "0.9", "--confidence", "0.8", "--tolerance", "0.5"),
    )[1]
    asked = json.loads(loose)
    assert (asked["margin"], asked["confidence"], asked["tolerance"]) == (0.9, 0.8, 0.5)
    assert asked["methods"][0]["verdict"]["margin"] == 0.9
    assert asked["methods"][0]["smallest_matching"]["level"] == 2


def test_the_page_is_written_where_asked_and_over_nothing_else(
    cli: Cli, out: Path, tmp_path: Path
) -> None:
    asked = ("compare", "magnitude", "random", "--out", out, "--report", "deep/c.html")
    code, said, _ = cli(*asked)
    assert code == 0
    assert said.endswith("\nreport: deep/c.html\n")
    assert (tmp_path / "deep/c.html").read_text().startswith("<!doctype html>")
    assert cli(*asked)[0] == 0
    assert json.loads(cli(*asked, "--json")[1])["schema_version"] == 2
    (tmp_path / "deep/c.html").write_text("my own")
    code, _, err = cli(*asked)
    assert code == 2
    assert "is there already" in err
    assert (tmp_path / "deep/c.html").read_text() == "my own"


def test_without_asking_nothing_is_written(cli: Cli, out: Path, tmp_path: Path) -> None:
    before = sorted(out.rglob("*"))
    cli("compare", "magnitude", "random", "--out", out)
    assert sorted(out.rglob("*")) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("magnitude",), 2, "two or more runs, got 1"),
        (("magnitude", "magnitude"), 2, "twice"),
        (("magnitude", "magntiude"), 2, "did you mean 'magnitude-"),
        (("magnitude", "empty"), 2, "has no result yet"),
        (("magnitude", "random", "--tolerance", "1"), 2, "tolerance in [0, 1), got 1"),
        (("magnitude", "random", "--margin", "2"), 2, "margin in [0, 1), got 2"),
        (("magnitude", "random", "--confidence", "0.2"), 2, "confidence in [0.5, 1), got 0.2"),
        ((), 2, "missing argument 'RUN'"),
    ],
)
def test_a_mistake_is_one_message(
    cli: Cli, out: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    found, _, err = cli("compare", *arguments, "--out", out)
    assert (found, message in err) == (code, True), err


def test_one_run_under_two_names_is_still_one(cli: Cli, out: Path) -> None:
    run = next(out.glob("random-*"))
    (out / "link").symlink_to(run)
    try:
        assert "twice" in cli("compare", run, out / "link")[2]
    finally:
        (out / "link").unlink()


@pytest.mark.parametrize("file", ["result.json", "ticket.safetensors"])
def test_a_damaged_run_is_named(cli: Cli, out: Path, tmp_path: Path, file: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(next(out.glob("random-*")), copy)
    (copy / "replicate-1" / "level-00" / file).write_bytes(b"{}")
    code, _, err = cli("compare", "magnitude", copy, "--out", out)
    assert code == 1
    assert file in err


def test_a_run_under_an_older_schema_is_read_and_warned_of(
    cli: Cli, out: Path, tmp_path: Path
) -> None:
    from lottery.experiments.config import plain_hash

    copy = tmp_path / "old"
    shutil.copytree(next(out.glob("random-*")), copy)
    experiment = Store(copy).read_experiment()
    assert experiment is not None
    experiment |= {"schema": 0, "config_sha256": plain_hash(experiment["config"], 0)}
    Store(copy).write_experiment(experiment)
    code, said, _ = cli("compare", "magnitude", copy, "--out", out)
    assert code == 0
    assert "schema 0" in said
    assert "no: other config schemas" in " ".join(said.split())
