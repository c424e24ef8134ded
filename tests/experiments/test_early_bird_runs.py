"""Early-Bird experiments, against masks made from snapshots of the same dense training."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from bound import make_ticket, training_job
from tiny import contents, tiny
from typer.testing import CliRunner

from lottery.analysis import judge_run
from lottery.cli.main import app
from lottery.core import Mask
from lottery.core.early_bird import has_settled
from lottery.data import load_dataset
from lottery.errors import ConfigError, Preempted, UsageError
from lottery.experiments import (
    ExperimentConfig,
    Listener,
    RunOptions,
    RunSummary,
    load_config,
    open_run,
    run_experiment,
    smoke,
    to_plain,
)
from lottery.experiments.execute import JobMonitor
from lottery.methods import ControlsConfig, DrawnRewindConfig, EarlyBird, Iterative
from lottery.report import write_report
from lottery.rng import Streams
from lottery.store import MAIN, JobKey, Store
from lottery.tickets import PruneConfig, prune_mask
from lottery.training import Length, NullMonitor, make_engine, resolve_device

DENSE = JobKey(0, MAIN, 0)
ONE_REINIT = ControlsConfig(reinit=1)
REWOUND = DrawnRewindConfig(kind="weights")
BIRD = EarlyBird(every=Length(amount=2), window=3, distance=0.05, rewind=REWOUND)


def early(**changes: Any) -> ExperimentConfig:
    """A mask every two iterations of thirty; the first level settles, the second hardly can."""
    prune = PruneConfig(fraction=0.5, scope="global")
    values = {"replicates": 1, "method": BIRD, "prune": prune, "controls": ONE_REINIT}
    return tiny(**(values | changes))


def go(config: ExperimentConfig, out: Path, engine: str = "torch") -> RunSummary:
    return run_experiment(config, RunOptions(out=out, jobs=1, device="cpu", engine=engine))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunSummary:
    return go(early(), tmp_path_factory.mktemp("runs"))


def masks_by_look(config: ExperimentConfig, level: int) -> dict[int, Mask]:
    """Train the dense network once more, keep every snapshot, and prune each."""
    data, streams = load_dataset(config.data), Streams(config.seed, 0)
    ticket = make_ticket(DENSE, config=config, store=Store(Path()), data=data, streams=streams)
    job = training_job(DENSE, ticket, config=config, data=data, streams=streams)
    assert job.observer is not None
    plain = replace(job, observer=None, snapshots_at=job.observer.at)
    engine = make_engine("torch", resolve_device("cpu"))
    (trained,) = engine.train([plain], [NullMonitor()])
    found = {}
    for at, state in trained.snapshots.items():
        one_shot = config.prune.schedule == "one-shot"
        mask = ticket.mask
        for number in [level] if one_shot else range(1, level + 1):
            mask = prune_mask(
                config.prune, number, mask, trained=state, initial=ticket.weights, streams=streams
            )
        found[at] = mask
    return found


@pytest.mark.parametrize("level", [1, 2])
def test_the_first_settled_mask_is_the_ticket(run: RunSummary, level: int) -> None:
    bird = BIRD
    looks = masks_by_look(early(), level)
    names = list(looks)
    assert names == list(range(2, 31, 2))
    at = next(
        name
        for number, name in enumerate(names, start=1)
        if name == 30
        or has_settled(
            [looks[n] for n in names[:number]], window=bird.window, distance=bird.distance
        )
    )
    ticket, store = Store(run.run).ticket(JobKey(0, MAIN, level)), Store(run.run)
    assert ticket.mask == looks[at]
    assert ticket.provenance["drawn_at"] == at
    assert at < 30, "nothing settled; the test would prove little"
    assert ticket.mask != looks[2]
    initial = store.ticket(DENSE).weights
    assert all(bool((ticket.weights[n] == initial[n]).all()) for n in initial)
    assert run.results[JobKey(0, MAIN, level)].provenance["drawn_at"] == at


def test_one_shot_masks_come_from_the_dense_network(tmp_path: Path) -> None:
    """Seen at a criterion that draws: it scores the dense network, once for all levels."""
    prune = replace(early().prune, criterion="random", schedule="one-shot")
    config = early(prune=prune, controls=ControlsConfig(reinit=0))
    store = Store(go(config, tmp_path).run)
    for level in (1, 2):
        mask = store.ticket(JobKey(0, MAIN, level)).mask
        assert all(look == mask for look in masks_by_look(config, level).values())


def test_watching_changes_nothing_of_the_dense_training(run: RunSummary, tmp_path: Path) -> None:
    trained = early(method=Iterative())
    store, plain = Store(run.run), Store(go(trained, tmp_path).run)
    for name in ("final.safetensors", "curves.csv"):
        ours = store.directory(DENSE) / name
        assert ours.read_bytes() == (plain.directory(DENSE) / name).read_bytes()
    assert [str(look) for look in store.looks(0)] == [
        f"replicate 0, mask drawn for level {level}" for level in (1, 2)
    ]
    assert plain.looks(0) == []


def test_a_mask_that_never_settles_is_the_last_one_and_says_so(tmp_path: Path) -> None:
    config = early(method=replace(BIRD, every=Length(amount=10), window=2, distance=0.0))
    summary = go(config, tmp_path)
    assert summary.failed == 0
    for level in (1, 2):
        result = summary.results[JobKey(0, MAIN, level)]
        assert result.provenance["drawn_at"] == 30
        assert str(result.provenance["drawn"]).startswith("never settled, drawn at the last look")
    told = judge_run(open_run(summary.run)).caveats
    assert any("no early ones: 1 at level 1 and 1 at level 2." in caveat for caveat in told)
    shown = CliRunner().invoke(app, ["show", str(summary.run)])
    assert "level 1: mask drawn at iteration 30; never settled" in shown.output.replace("\n", " ")


def test_filters_by_the_scales_of_batch_normalization(tmp_path: Path) -> None:
    """The paper's own form: whole filters, by the size of the scale that follows them."""
    bird = replace(BIRD, every=Length(amount=3), window=3, distance=0.1)
    prune = PruneConfig(
        criterion="bn-scale",
        granularity="filter",
        scope="global",
        fraction=0.5,
        fractions={"output.weight": 0.0},
        examples=20,
    )
    config = early(model="tiny:NormalizedConvolutions", method=bird, prune=prune, levels=1)
    summary = go(config, tmp_path)
    assert summary.failed == 0
    ticket = Store(summary.run).ticket(JobKey(0, MAIN, 1))
    whole = 0
    for name in ("conv1.weight", "conv2.weight"):
        kept = ticket.mask[name].flatten(1)
        assert torch.equal(kept.any(dim=1), kept.all(dim=1))
        whole += int(kept.all(dim=1).sum())
    assert whole == 7
    assert bool(ticket.mask["output.weight"].all())
    assert int(ticket.provenance["drawn_at"]) < 30
    assert str(ticket.provenance["drawn"]).startswith("settled")


def test_report_and_verdict(run: RunSummary, tmp_path: Path) -> None:
    assert judge_run(open_run(run.run)).complete
    assert "drawn" not in run.results[DENSE].provenance
    assert write_report(run.run, tmp_path / "report.html").stat().st_size > 0


@pytest.mark.parametrize("engine", ["torch", "sparse_cpu"])
def test_stopped_on_the_way_it_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    monkeypatch.setattr(JobMonitor, "_REPORT_SECONDS", 0.0)
    monkeypatch.setattr(JobMonitor, "steps_at_once", 7)
    config, stop = early(levels=1, controls=ControlsConfig(reinit=0)), threading.Event()

    class Stop(Listener):
        def progressed(self, key: JobKey, iteration: int) -> None:
            if iteration >= 7:
                stop.set()

    def options(out: str) -> RunOptions:
        return RunOptions(out=tmp_path / out, jobs=1, device="cpu", engine=engine)

    with pytest.raises(Preempted):
        run_experiment(config, options("cut"), listener=Stop(), stop=stop)
    assert list(tmp_path.rglob(".checkpoint-*"))
    cut = run_experiment(config, options("cut"))
    assert contents(cut.run) == contents(run_experiment(config, options("whole")).run)


def test_too_few_looks_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected 5 masks or more .* every 1 epoch gives 0"):
        go(early(method=EarlyBird(rewind=REWOUND), prune=PruneConfig()), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"controls": ControlsConfig(continued=True)}, "controls.continued: Early-Bird masks"),
        ({"controls": ControlsConfig(trained_signs=1)}, "controls.trained_signs: Early-Bird masks"),
        ({"method": replace(BIRD, pruned="mixed")}, "method.pruned: masks are drawn"),
    ],
)
def test_what_needs_trained_weights_is_refused(
    tmp_path: Path, changes: dict[str, Any], start: str
) -> None:
    with pytest.raises(ConfigError, match=start):
        go(early(**changes), tmp_path)


def test_smoke_still_looks_often_enough(tmp_path: Path) -> None:
    small = smoke(early(method=EarlyBird(rewind=REWOUND), prune=PruneConfig()))
    assert load_config(to_plain(small)) == small
    assert isinstance(small.method, EarlyBird)
    assert small.method.window == 5
    assert go(small, tmp_path).failed == 0
