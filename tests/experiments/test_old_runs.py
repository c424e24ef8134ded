"""Runs that earlier versions made stay readable."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lottery.analysis import judge_run
from lottery.experiments import ExperimentConfig, open_run, verify_run
from lottery.report import write_report
from lottery.store import JobKey

ASSETS = Path(__file__).parents[1] / "assets"


def test_a_run_before_records_were_hashed_is_read_verified_and_judged(tmp_path: Path) -> None:
    path = Path(shutil.copytree(ASSETS / "run-v2", tmp_path / "run-v2"))
    assert len(verify_run(path)) == 6
    assert not any(verify_run(path).values())
    run = open_run(path)
    assert isinstance(run.config, ExperimentConfig)
    assert run.config.model == "mlp-6"
    assert "record_sha256" not in run.experiment
    assert run.results[JobKey(1, "main", 1)].layers == {
        "fc1.weight": (192, 384),
        "output.weight": (12, 24),
    }
    assert run.store.ticket(JobKey(0, "main", 1)).iteration == 5
    verdict = judge_run(run)
    assert verdict.complete
    assert [level.density for level in verdict.levels] == [1.0, 0.5]
    dense = verdict.levels[0].groups["main"].accuracy
    assert dense is not None
    assert dense.mean == pytest.approx(1.0)
    assert write_report(path, tmp_path / "report.html").is_file()
