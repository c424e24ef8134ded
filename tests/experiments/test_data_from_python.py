"""Data that are passed to a call from Python."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import tiny

from lottery.data import DataConfig
from lottery.errors import DataError, UsageError
from lottery.experiments import RunOptions, open_run, run_experiment
from lottery.methods import ControlsConfig

INPUTS = torch.randn(300, 6, generator=torch.Generator().manual_seed(0))
TARGETS = (INPUTS[:, 0] > 0).long()
CONFIG = tiny(
    replicates=2,
    levels=1,
    controls=ControlsConfig(reinit=1),
    data=DataConfig(name="python:numbers", validation=40),
)


def parts() -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
    return (INPUTS[:200], TARGETS[:200]), (INPUTS[200:], TARGETS[200:])


@pytest.mark.parametrize(("jobs", "engine"), [(1, "sparse_cpu"), (2, "torch")])
def test_a_run_on_given_data_goes_on_and_can_be_read(
    tmp_path: Path, jobs: int, engine: str
) -> None:
    options = RunOptions(out=tmp_path, jobs=jobs, engine=engine, device="cpu")
    if jobs == 1:
        run_experiment(replace(CONFIG, replicates=1), options, data=parts())
    grown = run_experiment(CONFIG, options, data=parts())
    run = open_run(grown.run)
    assert len(run.results) == 6
    assert run.experiment["data"]["training_examples"] == 160
    assert run.facts.title == "mlp-20 on python:numbers"


def test_without_the_data_or_with_others_it_is_refused(tmp_path: Path) -> None:
    options = RunOptions(out=tmp_path, jobs=1, device="cpu")
    with pytest.raises(DataError, match="passed to a call from Python; make that call again"):
        run_experiment(CONFIG, options)
    with pytest.raises(UsageError, match="must be 'python:' and a name, got 'mnist-5k'"):
        run_experiment(tiny(), options, data=parts())
