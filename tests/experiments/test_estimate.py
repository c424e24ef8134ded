"""What a dry run promises."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from bound import bound
from tiny import tiny

from lottery.core import Schedule
from lottery.data import load_dataset
from lottery.experiments import (
    ExperimentConfig,
    Listener,
    RunOptions,
    estimate,
    plan,
    run_experiment,
)
from lottery.methods import (
    AtStep,
    ControlsConfig,
    DrawnRewindConfig,
    Dynamic,
    EarlyBird,
    Iterative,
)
from lottery.tickets import PruneConfig
from lottery.training import Length

TO_0 = DrawnRewindConfig(kind="weights")


def test_densities_and_disk_are_what_a_run_then_takes(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    config = tiny(replicates=1)
    data = load_dataset(config.data)
    found = estimate(bound(config, data, "torch"), workers=1)
    summary = run_experiment(
        config, RunOptions(out=tmp_path_factory.mktemp("runs"), jobs=1, device="cpu")
    )
    for key, result in summary.results.items():
        assert found.densities[key.level] == pytest.approx(result.density, abs=1e-12)
    used = sum(path.stat().st_size for path in summary.run.rglob("*") if path.is_file())
    assert found.bytes_on_disk == pytest.approx(used, rel=0.3)
    assert found.seconds_per_step
    assert found.seconds_per_job
    assert found.seconds
    assert found.seconds_per_step > 0
    assert found.seconds >= found.seconds_per_job > 0
    assert found.seconds >= found.seconds_per_job * len(plan(config)) / found.workers * 0.99


@pytest.mark.usefixtures("unmeasured")
def test_without_times_all_else_is_the_same() -> None:
    config = tiny()
    data = load_dataset(config.data)
    with_times, without = (
        estimate(bound(config, data, "torch"), workers=2, timed=timed) for timed in (True, False)
    )
    assert without == replace(
        with_times,
        seconds_per_step=None,
        seconds_per_evaluation=None,
        seconds_per_level=None,
        seconds_per_job=None,
        seconds=None,
    )
    assert with_times.seconds is not None


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every training takes no time, so that what it takes on disk is known at once."""
    module = import_module("lottery.experiments.estimate")  # the function has its name
    monkeypatch.setattr(module, "measure", lambda *_: {1.0: (0.0, 0.0)})


def bytes_of(config: ExperimentConfig) -> int:
    data = load_dataset(config.data)
    return estimate(bound(config, data, "torch"), workers=1).bytes_on_disk


@pytest.mark.usefixtures("unmeasured")
def test_notes_of_early_bird_masks_are_counted(tmp_path: Path) -> None:
    """A byte for each weight of each level's mask, in every replicate."""
    bird = EarlyBird(every=Length(amount=2), window=3, distance=0.05, rewind=TO_0)
    config = tiny(
        method=bird,
        prune=PruneConfig(fraction=0.5),
        controls=ControlsConfig(reinit=0),
        model="mlp-300",
    )
    weights, replicates, levels = 784 * 300 + 300 * 10, 2, 2
    plain = replace(config, method=Iterative())
    assert bytes_of(config) - bytes_of(plain) == weights * replicates * levels
    summary = run_experiment(config, RunOptions(out=tmp_path, jobs=1, device="cpu", engine="torch"))
    looks = [path.stat().st_size for path in summary.run.rglob("look.safetensors")]
    assert sum(looks) == pytest.approx(weights * replicates * levels, rel=0.01)


@pytest.mark.usefixtures("unmeasured")
def test_states_that_tickets_go_on_from_are_counted(tmp_path: Path) -> None:
    """One for each level."""
    weights, biases, replicates = 784 * 300 + 300 * 10, 310, 2

    def early(levels: int, every: int) -> ExperimentConfig:
        bird = EarlyBird(every=Length(amount=every), window=3, distance=0.05)
        prune, controls = PruneConfig(fraction=0.5), ControlsConfig(reinit=0)
        return tiny(method=bird, prune=prune, controls=controls, model="mlp-300", levels=levels)

    for levels, every in ((2, 2), (5, 7)):
        config = early(levels, every)
        assert isinstance(config.method, EarlyBird)
        rewound = replace(config, method=replace(config.method, rewind=TO_0))
        more = bytes_of(config) - bytes_of(rewound)
        assert more == 4 * (weights + biases) * levels * replicates
    config = early(2, 9)
    summary = run_experiment(config, RunOptions(out=tmp_path, jobs=1, device="cpu", engine="torch"))
    looks = [path.stat().st_size for path in summary.run.rglob("look.safetensors")]
    kept = 2 * (weights + 4 * (weights + biases)) * replicates
    assert sum(looks) == pytest.approx(kept, rel=0.01)


@pytest.mark.usefixtures("unmeasured")
def test_masks_that_training_changes_are_counted_at_its_end_too() -> None:
    weights = 784 * 20 + 20 * 10
    plain = tiny(prune=PruneConfig(), method=AtStep(), controls=ControlsConfig(reinit=1))
    moving = replace(plain, method=Dynamic(update="set", every=Length(amount=5)))
    pruned = 2 * 2 * 2  # replicates, levels, the ticket and its control
    assert bytes_of(moving) - bytes_of(plain) == weights * pruned
    learned = replace(plain, controls=ControlsConfig(reinit=0, edge_popup=1))
    assert bytes_of(learned) - bytes_of(plain) == weights * 2 * 2


@pytest.mark.parametrize("schedule", ["geometric", "one-shot"])
def test_levels_between_the_measured_ones_are_interpolated(
    monkeypatch: pytest.MonkeyPatch, schedule: Schedule
) -> None:
    config = tiny(levels=3, prune=PruneConfig(fraction=0.5, schedule=schedule))
    data = load_dataset(config.data)
    # 30 steps and 4 evaluations: 100 s when dense, 40 s at the last level.
    module = import_module("lottery.experiments.estimate")  # the function has its name
    monkeypatch.setattr(module, "measure", lambda *_: {1.0: (2.0, 10.0), 0.125: (0.8, 4.0)})
    found = estimate(bound(config, data, "torch"), workers=4)
    assert (found.seconds_per_step, found.seconds_per_evaluation) == (2.0, 10.0)
    expected = [40 + 60 * (density - 0.125) / 0.875 for density in found.densities]
    assert found.seconds_per_level == pytest.approx(expected, rel=1e-3)
    assert found.seconds_per_level
    dense, *sparse = found.seconds_per_level
    # One-shot levels wait for the dense network alone, and controls for their level.
    longest = dense + (sum(sparse) + sparse[-1] if schedule == "geometric" else 2 * sparse[0])
    # Each pruned level has one training of the main line and three controls.
    total = config.replicates * (dense + 4 * sum(sparse))
    assert found.seconds_per_job == pytest.approx(total / len(plan(config)))
    assert found.seconds == pytest.approx(max(total / 4, longest))


def test_the_listener_hears_what_is_measured() -> None:
    heard = list[str]()

    class Hear(Listener):
        def preparing(self, message: str) -> None:
            heard.append(message)

    config = tiny(levels=0)
    data = load_dataset(config.data)
    found = estimate(bound(config, data, "torch"), workers=1, listener=Hear())
    assert found.engine == "torch"
    assert heard == ["measuring steps with 100.0% of the weights"]
