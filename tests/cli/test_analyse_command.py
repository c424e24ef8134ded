"""``lottery analyse``: what all its analyses are given alike."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from command import Cli
from small_run import SmallRun

from lottery.experiments import RunOptions, run_experiment
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
