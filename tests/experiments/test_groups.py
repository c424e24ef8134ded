"""Jobs that train in one call: which they are, and that none costs another anything."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from typing_extensions import override

from lottery.core import Mask
from lottery.errors import Preempted
from lottery.experiments import Experiment, ExperimentConfig, Listener
from lottery.experiments.execute import JobMonitor
from lottery.experiments.plan import plan
from lottery.experiments.runner import run_all
from lottery.experiments.workers import WorkerSettings, serial_pool
from lottery.methods import ControlsConfig
from lottery.store import JobKey, JobResult, Store
from lottery.tasks import Supervised, TrainingVariant
from lottery.testing import tiny_dataset
from lottery.testing.random_walks import RandomWalks, calls, walking_experiment
from lottery.training import ENGINES, Checkpoint, Length, Monitor, TrainingJob, TrainingResult
from lottery.training.engines.torch_engine import TorchEngine

DENSE = [JobKey(replicate, "main", 0) for replicate in range(2)]


def go(experiment: Experiment, store: Store) -> dict[JobKey, JobResult]:
    """Run an experiment one group after another."""
    results: dict[JobKey, JobResult] = {}
    settings = WorkerSettings(
        remake=lambda: experiment, store=store, device="cpu", checkpoint_seconds=1e9
    )
    stop = threading.Event()
    with serial_pool(settings, experiment, stop, lambda key, iteration, points: None) as pool:
        run_all(experiment, store, results, pool, Listener(), stop)
    return results


def hashes(store: Store, experiment: Experiment) -> dict[JobKey, str]:
    return {key: store.contents_hash(key) for key in plan(experiment.config)}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[JobKey, str]:
    """What each job's contents are when it is trained alone."""
    folder = tmp_path_factory.mktemp("alone")
    experiment, store = walking_experiment(folder), Store(folder / "run")
    go(experiment, store)
    assert {len(call) for call in calls(folder)} == {1}
    return hashes(store, experiment)


def test_jobs_that_are_trained_alike_are_trained_together(
    tmp_path: Path, alone: dict[JobKey, str]
) -> None:
    experiment, store = walking_experiment(tmp_path, group_size=3), Store(tmp_path / "run")
    go(experiment, store)
    assert [len(call) for call in calls(tmp_path)] == [2, 3, 1]
    assert hashes(store, experiment) == alone


def test_jobs_that_are_trained_in_other_ways_are_not(tmp_path: Path) -> None:
    config = walking_experiment(tmp_path).config
    assert isinstance(config, ExperimentConfig)
    config = replace(config, controls=ControlsConfig(reinit=1, scratch_flops=1))
    experiment = Experiment(config, RandomWalks(config, tmp_path, group_size=10))
    go(experiment, Store(tmp_path / "run"))
    dense, tickets, stretched = [sorted(call) for call in calls(tmp_path)]
    assert dense == [str(key) for key in DENSE]
    assert len(tickets) == 4
    assert all("scratch-flops" in job for job in stretched)


def test_a_ticket_that_is_not_trained_stops_no_other(
    tmp_path: Path, alone: dict[JobKey, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where no signal passes its mask."""
    masks: list[Mask] = []

    def only_one_passes(self: RandomWalks, mask: Mask, pruned: object) -> bool:
        masks.append(mask)
        return mask == masks[0]

    monkeypatch.setattr(RandomWalks, "passes", only_one_passes)
    experiment, store = walking_experiment(tmp_path, group_size=4), Store(tmp_path / "run")
    results = go(experiment, store)
    done = {key for key, result in results.items() if result.status == "done"}
    assert done == {*DENSE, JobKey(0, "main", 1), JobKey(0, "reinit-1", 1)}
    assert {key: store.contents_hash(key) for key in done} == {key: alone[key] for key in done}
    assert results[JobKey(1, "main", 1)].status == "collapsed"


def test_a_checkpoint_that_is_damaged_costs_its_own_job_alone(
    tmp_path: Path, alone: dict[JobKey, str]
) -> None:
    experiment, store = walking_experiment(tmp_path, group_size=2), Store(tmp_path / "run")
    good = {name: torch.zeros_like(value) for name, value in _dense_state(experiment).items()}
    about = {"engine": "random walks", "device": "cpu"}
    store.write_checkpoint(DENSE[0], Checkpoint(iteration=3, tensors=good, values=about))
    store.write_checkpoint(DENSE[1], Checkpoint(iteration=2, tensors={}, values=about))
    go(experiment, store)
    first, second = map(str, DENSE)
    assert calls(tmp_path)[:2] == [{first: 3}, {second: 0}]
    assert [path.parent.name for path in store.corrupt()] == ["replicate-1"]
    assert store.contents_hash(DENSE[1]) == alone[DENSE[1]]
    assert store.contents_hash(DENSE[0]) != alone[DENSE[0]], "it went on from what was there"


def _dense_state(experiment: Experiment) -> dict[str, torch.Tensor]:
    return dict(experiment.task.make_model().state_dict())


# A stop


def monitors(store: Store, jobs: Sequence[JobKey]) -> list[JobMonitor]:
    group = set(jobs)
    return [
        JobMonitor(
            store,
            key,
            engine="walks",
            device="cpu",
            every=1e9,
            stop=lambda: True,
            report=lambda iteration, points: None,
            group=group,
        )
        for key in jobs
    ]


def checkpoint() -> Checkpoint:
    return Checkpoint(iteration=7, tensors={"a": torch.arange(3)})


def test_a_stop_waits_for_a_checkpoint_of_each(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, second = monitors(store, DENSE)
    first.step(7, checkpoint)
    with pytest.raises(Preempted):
        second.step(7, checkpoint)
    assert [store.checkpoint_iteration(key) for key in DENSE] == [7, 7]


def test_a_stop_does_not_wait_for_a_job_that_has_ended(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, _ = monitors(store, DENSE)
    first.step(7, checkpoint)
    with pytest.raises(Preempted):
        first.step(8, checkpoint)


# The built-in task


class ThreeAtOnce(TorchEngine):
    group_size = 3

    def __init__(self) -> None:
        super().__init__()
        self.given: list[int] = []

    @override
    def train(
        self, jobs: Sequence[TrainingJob], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        self.given.append(len(jobs))
        return super().train(jobs, monitors)


def test_an_engine_that_trains_groups_is_given_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = walking_experiment(tmp_path).config
    assert isinstance(config, ExperimentConfig)
    found = []
    grouping = ThreeAtOnce()
    for engine in (TorchEngine(), grouping):
        monkeypatch.setitem(ENGINES, "torch", partial(lambda engine, device: engine, engine))
        experiment = Experiment(config, Supervised(config, tiny_dataset(), engine="torch"))
        store = Store(tmp_path / str(engine.group_size))
        go(experiment, store)
        found.append(hashes(store, experiment))
    assert found[0] == found[1]
    assert grouping.given == [2, 3, 1]


def test_no_group_where_each_mask_has_a_length_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "torch", lambda device: ThreeAtOnce())
    config = walking_experiment(tmp_path).config
    assert isinstance(config, ExperimentConfig)
    task = Supervised(config, tiny_dataset(), engine="torch")
    assert task.group_size(TrainingVariant(fine_tune=Length(amount=2))) == 3
    assert task.group_size(TrainingVariant(same_multiplications=True)) == 1
