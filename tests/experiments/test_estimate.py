"""What a dry run promises."""

from __future__ import annotations

import pytest
from tiny import tiny

from lottery.data import load_dataset
from lottery.experiments import RunOptions, estimate, plan, run_experiment


def test_densities_and_disk_are_what_a_run_then_takes(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    config = tiny(replicates=1)
    data = load_dataset(config.data)
    found = estimate(config, data, device="cpu", engine="torch", workers=1)
    summary = run_experiment(
        config, RunOptions(out=tmp_path_factory.mktemp("runs"), jobs=1, device="cpu")
    )
    for key, result in summary.results.items():
        assert found.densities[key.level] == pytest.approx(result.density, abs=1e-12)
    used = sum(path.stat().st_size for path in summary.run.rglob("*") if path.is_file())
    assert found.bytes_on_disk == pytest.approx(used, rel=0.3)
    assert found.seconds_per_step > 0
    assert found.seconds >= found.seconds_per_job > 0
    assert found.seconds >= found.seconds_per_job * len(plan(config)) / found.workers * 0.99
