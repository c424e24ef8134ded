"""An experiment's network, and that its channels are traced once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from bound import experiment_units, left_out, make_model
from tiny import contents, tiny
from torch import Tensor, nn

from lottery.core import Coupling, Units, find_channels
from lottery.data import load_dataset
from lottery.errors import UsageError
from lottery.experiments import ExperimentConfig, RunOptions, run_experiment
from lottery.methods import ControlsConfig
from lottery.models import build_model
from lottery.tasks.network import _units
from lottery.testing import tiny_dataset
from lottery.tickets import PruneConfig, network_units, pruning

pytest.importorskip("torch_pruning", reason="the package torch-pruning is not installed")


def channels(**changes: Any) -> ExperimentConfig:
    prune = PruneConfig(granularity="channel", criterion="l1", fraction=0.3, scope="global")
    values = {"model": "mlp-12-8", "prune": prune, "controls": ControlsConfig(reinit=1)}
    return tiny(**(values | changes))


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[nn.Module]]:
    """The networks whose channels were traced, since the beginning of the test."""
    networks = list[nn.Module]()

    def slowly(model: nn.Module, inputs: Tensor) -> Coupling:
        networks.append(model)
        time.sleep(0.05)  # long enough for others to ask as well
        return find_channels(model, inputs)

    monkeypatch.setattr(pruning, "find_channels", slowly)
    _units.cache_clear()
    yield networks
    _units.cache_clear()


def same(one: Units | None, other: Units | None) -> bool:
    assert one is not None
    assert other is not None
    return (
        one.homes == other.homes
        and one.labels.keys() == other.labels.keys()
        and all(
            a.equal(b)
            for name in one.labels
            for a, b in zip(one.labels[name], other.labels[name], strict=True)
        )
    )


def test_a_run_traces_its_network_once(traced: list[nn.Module], tmp_path: Path) -> None:
    config = channels()
    summary = run_experiment(config, RunOptions(out=tmp_path / "1", jobs=2, device="cpu"))
    assert summary.failed == 0
    assert len(summary.results) == 10
    assert len(traced) == 1

    data = load_dataset(config.data)
    fresh = network_units(config.prune, make_model(config, data), data.input_shape)
    assert same(experiment_units(config, data), fresh), "a job changed what all of them share"


def test_units_traced_anew_for_every_job_give_the_same_run(
    traced: list[nn.Module], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"jobs": 1, "device": "cpu", "engine": "torch"}
    config = channels(replicates=1)
    once = run_experiment(config, RunOptions(out=tmp_path / "1", **options))  # type: ignore[arg-type]
    monkeypatch.setattr("lottery.tasks.network._units", _units.__wrapped__)
    every = run_experiment(config, RunOptions(out=tmp_path / "2", **options))  # type: ignore[arg-type]
    assert len(traced) > 3
    assert contents(once.run) == contents(every.run)


def test_jobs_that_ask_at_once_wait_for_the_first(traced: list[nn.Module]) -> None:
    config, data = channels(), tiny_dataset(input_shape=(1, 4, 4))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: experiment_units(config, data), range(8)))
    assert len(traced) == 1
    assert all(units is found[0] for units in found)


def test_another_network_is_traced_for_itself(traced: list[nn.Module]) -> None:
    data = tiny_dataset(input_shape=(1, 4, 4))
    cases = [
        (channels(), data),
        (channels(model="mlp-6"), data),
        (channels(), tiny_dataset(input_shape=(1, 5, 5))),
        (channels(), tiny_dataset(input_shape=(1, 4, 4), classes=7)),
    ]
    for config, examples in cases:
        network = make_model(config, examples)
        direct = network_units(config.prune, network, examples.input_shape)
        assert same(experiment_units(config, examples), direct)
    assert len(traced) == 2 * len(cases)


def test_other_exceptions_are_other_units(traced: list[nn.Module]) -> None:
    data = tiny_dataset(input_shape=(1, 4, 4))
    homes = []
    for fractions in ({}, {"*.shortcut.*": 0.0}, {}):
        prune = PruneConfig(granularity="channel", criterion="l1", fractions=fractions)
        units = experiment_units(channels(model="resnet-8", prune=prune), data)
        assert units is not None
        homes.append({*units.homes})
    assert homes[0] == homes[2]
    assert homes[1] - homes[0] == {f"stage{n}.0.shortcut.conv.weight" for n in (2, 3)}
    assert len(traced) == 2


def test_a_fraction_that_nothing_has_is_refused_before_anything_runs(tmp_path: Path) -> None:
    prune = PruneConfig(granularity="channel", criterion="l1", fractions={"output.weight": 0.1})
    with pytest.raises(
        UsageError, match=r"'output\.weight': granularity 'channel' removes nothing"
    ):
        run_experiment(channels(prune=prune), RunOptions(out=tmp_path, device="cpu"))
    assert not [*tmp_path.iterdir()]


def test_what_is_left_out_is_told_with_the_reason(traced: list[nn.Module]) -> None:
    data = tiny_dataset(input_shape=(1, 4, 4))
    assert left_out(channels(), data) == {"output.weight": "its outputs are the network's"}
    assert left_out(channels(prune=PruneConfig()), data) == {}
    assert len(traced) == 1

    seen = find_channels(build_model("vit-mini-4", (3, 32, 32), 10), torch.zeros(2, 3, 32, 32))
    attention = channels(model="vit-mini-4")
    told = left_out(attention, tiny_dataset(input_shape=(3, 32, 32), classes=10))
    assert told == seen.left_out
    assert any("attention" in name for name in told)


def test_other_units_are_not_kept() -> None:
    data = tiny_dataset(input_shape=(1, 4, 4))
    neurons = channels(prune=PruneConfig(granularity="neuron"))
    units = experiment_units(neurons, data)
    assert units is not None
    assert {name: len(numbers) for name, numbers in units.homes.items()}["fc1.weight"] == 12
    assert experiment_units(channels(prune=PruneConfig()), data) is None
