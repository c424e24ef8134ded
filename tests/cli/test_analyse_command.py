"""``lottery analyse``: what all its analyses are given alike."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from command import Cli
from small_run import SmallRun

from lottery.cli.analyse import progress_line, table_text
from lottery.errors import printable
from lottery.experiments import RunOptions, run_experiment
from lottery.inside import Table
from lottery.methods import ControlsConfig


def test_files_that_a_config_names_are_looked_for_beside_the_run(
    cli: Cli, small_run: SmallRun, tmp_path: Path
) -> None:
    out = tmp_path / "elsewhere"
    out.mkdir()
    layer = {"positive": 0.5, "below": [-1.0, -0.5], "above": [0.5, 1.0]}
    learned = {"learned": 1, "usual": "glorot-normal", "layers": {"fc1.weight": layer}}
    (out / "learned.json").write_text(json.dumps(learned))
    config = replace(
        small_run.config,
        initialization="learned:learned.json",
        controls=ControlsConfig(reinit=0),
    )
    run = run_experiment(config, RunOptions(out=out, jobs=1, device="cpu", engine="torch")).run
    for words in (
        ("cka", "small", "--out", out, "--examples", "40"),
        ("cka", run, "--examples", "40", "--again"),
        ("curvature", "small", "--out", out, "--examples", "20", "--eigenvalues", "1"),
        ("pools", "small", "--out", out, "--recalibrate", "20"),
    ):
        code, _, err = cli("analyse", *words)
        assert code == 0, err


def test_without_a_terminal_lines_say_now_and_then_what_is_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = [0.0]
    with progress_line(clock=lambda: now[0]) as progress:
        for second in range(0, 65, 5):
            now[0] = float(second)
            progress(f"at \x1b {second}")
    said = capsys.readouterr()
    assert said.err.splitlines() == [f"at {printable(chr(27))} {second}" for second in (0, 30, 60)]
    assert not said.out
    with progress_line(silent=True) as progress:
        progress("nothing")
    assert not capsys.readouterr().err


def test_a_table_is_aligned_and_counts_are_written_whole() -> None:
    rows = ((0, "fc1", 266200.0), (10, None, 0.012345), (2, "a", 2.5e300))
    table = Table(name="t", title="", note="", columns=("level", "the_layer", "count"), rows=rows)
    assert table_text(table).splitlines() == [
        "level  the layer     count",
        "    0        fc1   266,200",
        "   10          -   0.01235",
        "    2          a  2.5e+300",
    ]
    many = replace(table, rows=rows * 20)
    assert table_text(many).splitlines()[13] == "... 36 more rows: --csv DIR"


@pytest.mark.parametrize("verb", ["masks", "connectivity"])
def test_it_says_at_once_what_it_reads_unless_quiet(
    cli: Cli, small_run: SmallRun, tmp_path: Path, verb: str
) -> None:
    run = small_run.copied(tmp_path)
    words = ("analyse", verb, run, *(["--no-train"] if verb == "connectivity" else []))
    code, told, err = cli(*words)
    assert (code, err) == (0, f"{verb}: reading {run}\n")
    for how in ("--quiet", "--json"):
        code, out, err = cli(*words, "--again", how)
        assert (code, err) == (0, "")
        assert how == "--json" or out == told
