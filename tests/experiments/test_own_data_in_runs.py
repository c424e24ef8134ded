"""Runs on data of the user's: their code runs when an experiment is run, and never to read it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import tiny

from lottery import judge_run
from lottery.data import DataConfig, load_dataset
from lottery.errors import UsageError
from lottery.experiments import ExperimentConfig, RunOptions, open_run, run_experiment
from lottery.methods import ControlsConfig
from lottery.store import JobKey
from lottery.tickets import PruneConfig
from lottery.training import Length


def config(data: str, model: str) -> ExperimentConfig:
    made = tiny(
        model=model,
        replicates=1,
        data=DataConfig(name=f"own_sources:{data}", validation=50),
        prune=PruneConfig(fraction=0.5),
        controls=ControlsConfig(reinit=1),
    )
    training = replace(
        made.training, length=Length(amount=6), evaluate_every=Length(amount=3), batch_size=20
    )
    return replace(made, training=training)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    ("data", "model"), [("points", "lenet-300-100"), ("tokens", "own_sources:bag_of_tokens")]
)
def test_a_run_is_read_without_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, model: str, jobs: int
) -> None:
    made = config(data, model)
    options = RunOptions(out=tmp_path, jobs=jobs, device="cpu", engine="torch")
    path = run_experiment(made, options).run
    monkeypatch.setitem(sys.modules, "own_sources", None)  # importing it would fail

    run = open_run(path)

    assert judge_run(run).paragraph
    assert run.store.ticket(JobKey(0, "main", 1)).mask.kept > 0
    assert run.config == made
    with pytest.raises(UsageError, match="own_sources cannot be imported"):
        load_dataset(made.data)


def test_a_network_for_other_inputs_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"choose a network for examples of shape \(6,\)"):
        run_experiment(config("tokens", "lenet-300-100"), RunOptions(out=tmp_path, jobs=1))
