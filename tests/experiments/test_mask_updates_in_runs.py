"""Experiments whose masks change while a network trains."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from bound import make_model
from tiny import contents, tiny
from typer.testing import CliRunner

from lottery.analysis import judge_run
from lottery.cli.main import app
from lottery.core import Mask, prunable_weights
from lottery.data import load_dataset
from lottery.errors import ConfigError, Preempted, UsageError
from lottery.experiments import (
    ExperimentConfig,
    Listener,
    RunOptions,
    RunSummary,
    open_run,
    run_experiment,
    smoke,
)
from lottery.experiments.checks import check_updates_happen
from lottery.experiments.execute import JobMonitor
from lottery.methods import ChangingMask, ControlsConfig, Dynamic, GradualPruning
from lottery.report import write_report
from lottery.store import MAIN, JobKey, Store
from lottery.tickets import PruneConfig, level_densities
from lottery.training import Length, MaskUpdatesConfig

RANDOM = PruneConfig(criterion="random", scope="erk", fraction=0.5)
MAGNITUDE = PruneConfig(scope="global", fraction=0.5)


def changing(method: str, **changes: Any) -> ChangingMask:
    """An update after every four steps."""
    values = {"every": Length(amount=4)} | changes
    if method == "gradual":
        return GradualPruning(**values)
    return Dynamic(update=method, **values)  # type: ignore[arg-type]


def moving(update: str, **changes: Any) -> ExperimentConfig:
    """One replicate, two levels, one control; updates after every four of thirty steps."""
    values = {
        "replicates": 1,
        "method": changing(update),
        "prune": MAGNITUDE if update == "gradual" else RANDOM,
        "controls": ControlsConfig(reinit=1),
    }
    return tiny(**(values | changes))


def go(config: ExperimentConfig, out: Path, **options: Any) -> RunSummary:
    return run_experiment(config, RunOptions(out=out, jobs=1, device="cpu", **options))


@pytest.mark.parametrize("method", ["set", "rigl", "gradual"])
def test_every_pruned_level_moves_and_has_its_exact_density(tmp_path: Path, method: str) -> None:
    config = moving(method)
    summary = go(config, tmp_path)
    store = Store(summary.run)
    assert summary.failed == 0
    dense = Mask.dense(prunable_weights(make_model(config, load_dataset(config.data))))
    densities = level_densities(config.prune, dense, 2)
    for key, result in summary.results.items():
        ticket, final = store.ticket(key).mask, store.final_mask(key)
        assert result.engine == "torch"
        assert result.density == final.density == densities[key.level]
        assert result.layers == final.layers
        assert (final == ticket) == (key.level == 0)
        if method == "gradual":
            assert ticket == dense
            # 22, the first measurement from the 22nd step on: 0.75 of 30, rounded to even.
            assert key.level == 0 or (result.early_stop_iteration or 0) >= 22
        else:
            assert final.layers == ticket.layers
        for moment in ("end", "early-stop"):
            weights = store.weights(key, moment)
            assert set(weights) == set(store.ticket(key).weights)
            kept = {name: int((weights[name] != 0).sum()) for name in final}
            assert all(kept[name] <= final.layers[name][0] for name in final)
        end = store.weights(key)
        assert all(not end[name][~final[name]].any() for name in final)


def test_random_levels_are_nested_and_start_from_true_weights(tmp_path: Path) -> None:
    """What a level starts from is not what the level before ended with."""
    store = Store(go(moving("rigl"), tmp_path).run)
    initial = store.ticket(JobKey(0, MAIN, 0)).weights
    first, second = (store.ticket(JobKey(0, MAIN, level)) for level in (1, 2))
    assert second.mask.is_subset(first.mask)
    assert not second.mask.is_subset(store.final_mask(JobKey(0, MAIN, 1)))
    assert all(torch.equal(second.weights[name], initial[name]) for name in initial)


def test_gradual_pruning_from_a_late_point_goes_on_with_its_schedule(tmp_path: Path) -> None:
    config = moving("gradual", method=changing("gradual", step=Length(amount=10)))
    summary = go(config, tmp_path)
    result = summary.results[JobKey(0, MAIN, 2)]
    assert summary.failed == 0
    assert (result.start_iteration, result.density) == (10, 0.25)


class StopAt(Listener):
    """Asks the run to stop once the first pruned level has come to an iteration."""

    def __init__(self, iteration: int) -> None:
        self.iteration, self.stop = iteration, threading.Event()

    def progressed(self, key: JobKey, iteration: int) -> None:
        if key.level == 1 and iteration >= self.iteration:
            self.stop.set()


@pytest.mark.parametrize("method", ["set", "rigl", "gradual"])
def test_a_stopped_run_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Cut off before, at and after updates of the mask."""
    monkeypatch.setattr(JobMonitor, "_REPORT_SECONDS", 0.0)
    config = moving(method, levels=1, controls=ControlsConfig(reinit=0))
    whole = contents(go(config, tmp_path / "whole").run)
    options = RunOptions(out=tmp_path / "parts", jobs=1, device="cpu")
    for at in (3, 4, 5, 9, 22):
        listener = StopAt(at)
        with pytest.raises(Preempted):
            run_experiment(config, options, listener=listener, stop=listener.stop)
    assert contents(run_experiment(config, options).run) == whole


def test_show_verdict_and_report_take_the_density_at_the_end(tmp_path: Path) -> None:
    run = go(moving("gradual", controls=ControlsConfig(reinit=0)), tmp_path).run
    shown = CliRunner().invoke(app, ["show", str(run)])
    assert shown.exit_code == 0
    assert "50.00%" in shown.output
    assert "25.00%" in shown.output
    said = "densities are those at its end"
    assert said in shown.output.replace("\n", " ")
    assert any(said in caveat for caveat in judge_run(open_run(run)).caveats)
    assert [level.density for level in judge_run(open_run(run)).levels] == [1.0, 0.5, 0.25]
    assert "25%" in write_report(run, tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        (
            {"prune": replace(RANDOM, scope="layer", granularity="neuron")},
            "prune.granularity: with method.kind = 'dynamic'",
        ),
    ],
)
def test_what_does_not_go_with_changing_masks(changes: dict[str, Any], start: str) -> None:
    assert any(problem.startswith(start) for problem in moving("set", **changes).problems())


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"prune": replace(MAGNITUDE, criterion="random")}, "prune.criterion: with"),
        ({"prune": replace(MAGNITUDE, rounds=2)}, "prune.criterion: with"),
        ({"prune": replace(MAGNITUDE, scope="lamp")}, "prune.scope: with"),
        (
            {"controls": ControlsConfig(random_mask=1)},
            "controls.random_mask: every training starts dense",
        ),
        (
            {"controls": ControlsConfig(shuffled_global=1)},
            "controls.shuffled_global: every training starts dense",
        ),
        (
            {"controls": ControlsConfig(scratch_flops=1)},
            "controls.scratch_flops: every training starts dense",
        ),
    ],
)
def test_what_does_not_go_with_gradual_pruning(changes: dict[str, Any], start: str) -> None:
    assert moving("gradual").problems() == []
    (problem,) = moving("gradual", **changes).problems()
    assert problem.startswith(start)


def test_problems_stop_a_run_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"prune\.granularity"):
        go(moving("set", prune=PruneConfig(granularity="neuron")), tmp_path)
    rare = changing("set", every=Length(amount=23))
    with pytest.raises(UsageError, match="no update is due, of one every 23 iterations"):
        go(moving("set", method=rare), tmp_path)
    with pytest.raises(UsageError, match="its kernels are made for one mask"):
        go(moving("set"), tmp_path, engine="sparse_cpu")
    assert not list(tmp_path.iterdir())


GRADUAL = MaskUpdatesConfig(method="gradual", every=Length(amount=100))


@pytest.mark.parametrize(
    ("updates", "start", "goes"),
    [
        (GRADUAL, 0, True),
        (replace(GRADUAL, every=Length(amount=3, unit="epochs")), 0, True),  # 30
        (replace(GRADUAL, every=Length(amount=749)), 0, True),
        (replace(GRADUAL, every=Length(amount=750)), 0, False),
        (replace(GRADUAL, every=Length(amount=76, unit="epochs")), 0, False),
        (replace(GRADUAL, begin=0.7), 0, False),
        (replace(GRADUAL, begin=0.7, every=Length(amount=40)), 0, True),
        (GRADUAL, 699, True),
        (GRADUAL, 700, False),
        (GRADUAL, 750, False),
        (GRADUAL, 900, False),
    ],
)
def test_gradual_pruning_has_to_be_gradual(
    updates: MaskUpdatesConfig, start: int, goes: bool
) -> None:
    """Of 1,000 steps the first 750 prune: two cuts or more must come after steps were taken."""
    epoch = 10
    cuts = [
        i
        for i in range(start + 1, 1_001)
        if updates.due(i, start=start, total=1_000, steps_per_epoch=epoch)
    ]
    assert (len(cuts) >= 2) == goes
    if goes:
        check_updates_happen(updates, start=start, total=1_000, epoch=epoch)
        return
    said = rf"method: expected .* between iteration {start}, .* and 750, the last"
    with pytest.raises(UsageError, match=said):
        check_updates_happen(updates, start=start, total=1_000, epoch=epoch)


def test_gradual_pruning_at_once_stops_a_run_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="between iteration 25, where it starts, and 22"):
        go(moving("gradual", method=changing("gradual", step=Length(amount=25))), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("method", ["set", "rigl", "gradual"])
@pytest.mark.parametrize(
    ("share", "begin", "until"),
    [(0.0, 0.0, 0.1), (0.0, 0.93, 1.0), (0.7, 0.0, 0.72), (0.87, 0.0, 1.0), (0.0, 0.5, 0.51)],
)
def test_what_changes_in_full_changes_in_a_smoke_run(
    method: str, share: float, begin: float, until: float
) -> None:
    step = Length(amount=round(1_000 * share))
    config = moving(
        method,
        method=changing(method, step=step, every=Length(amount=1), begin=begin, until=until),
        training=replace(tiny().training, length=Length(amount=1_000)),
    )
    check_updates_happen(config.method.updates, start=step.amount, total=1_000, epoch=75)

    shrunk = smoke(config)

    assert shrunk.problems() == shrunk.training.problems() == []
    assert isinstance(shrunk.method, ChangingMask)
    assert shrunk.method.problems() == []
    start, total = shrunk.method.step.amount, shrunk.training.length.amount
    check_updates_happen(shrunk.method.updates, start=start, total=total, epoch=75)


@pytest.mark.parametrize("start", [750, 900])
def test_what_is_too_late_in_full_is_too_late_in_a_smoke_run(start: int) -> None:
    config = moving("gradual", method=changing("gradual", step=Length(amount=start)))
    shrunk = smoke(replace(config, training=replace(config.training, length=Length(amount=1_000))))
    with pytest.raises(UsageError, match="expected"):
        check_updates_happen(
            shrunk.method.updates,
            start=shrunk.method.start.amount,
            total=shrunk.training.length.amount,
            epoch=75,
        )


@pytest.mark.parametrize("method", ["set", "rigl", "gradual"])
def test_smoke_still_moves_the_mask(method: str) -> None:
    epochs = Length(amount=3, unit="epochs")
    shrunk = smoke(moving(method, method=changing(method, every=epochs)))
    total = shrunk.training.length.amount
    moves = shrunk.method.updates
    due = [i for i in range(total) if moves.due(i, start=0, total=total, steps_per_epoch=75)]
    assert due[:2] == ([0, 1] if method == "gradual" else [1, 2])
    assert shrunk.problems() == []
    assert smoke(tiny()).method == tiny().method
