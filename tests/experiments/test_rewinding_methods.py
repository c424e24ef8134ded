"""What tickets go back to: learning rate, fine-tuning, and pruned weights that are held."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from bound import dense_state, initialized, training_job
from plain_method import find_tickets
from tiny import contents, tiny

from lottery.core import Mask, prunable_weights
from lottery.data import load_dataset
from lottery.errors import ConfigError, Preempted, UsageError
from lottery.experiments import (
    ExperimentConfig,
    Listener,
    RunOptions,
    RunSummary,
    plan,
    run_experiment,
)
from lottery.experiments.execute import JobMonitor
from lottery.methods import ControlsConfig, Iterative, RewindConfig
from lottery.rng import Streams
from lottery.store import MAIN, JobKey, Store
from lottery.testing.expect import same_bytes
from lottery.tickets import PruneConfig, Ticket, last_trained, prune_mask
from lottery.training import (
    LearningRateConfig,
    Length,
    NullMonitor,
    PrunedValues,
    State,
    TrainingResult,
)
from lottery.training.engines.torch_engine import TorchEngine

LEARNING_RATE = Iterative(rewind=RewindConfig(kind="learning-rate", to=Length(amount=6)))
FINE_TUNE = Iterative(rewind=RewindConfig(kind="fine-tune", length=Length(amount=8)))
TUNED_FROM_3 = replace(FINE_TUNE, rewind=replace(FINE_TUNE.rewind, to=Length(amount=3)))
COSINE = LearningRateConfig(schedule="cosine", base=0.1)


def one(**changes: Any) -> ExperimentConfig:
    """One replicate with two controls that move masks and weights."""
    values = {"replicates": 1, "controls": ControlsConfig(reinit=1, random_mask=1)}
    return tiny(**(values | changes))


def go(config: ExperimentConfig, out: Path, **options: Any) -> RunSummary:
    return run_experiment(config, RunOptions(out=out, jobs=1, device="cpu", **options))


@pytest.mark.parametrize("method", [LEARNING_RATE, FINE_TUNE], ids=lambda m: m.rewinding)
def test_survivors_stay_trained_and_training_starts_where_it_should(
    tmp_path: Path, method: Iterative
) -> None:
    summary = go(one(method=method), tmp_path)
    store, tuned = Store(summary.run), method.rewinding == "fine-tune"
    assert summary.failed == 0
    assert not list(summary.run.rglob("rewind.safetensors")), "no state has to be kept for it"
    start, end = (30, 38) if tuned else (6, 30)
    for level in (1, 2):
        key = JobKey(0, MAIN, level)
        ticket, before = store.ticket(key), store.weights(JobKey(0, MAIN, level - 1))
        for name, value in ticket.start().items():
            kept = ticket.mask[name] if name in ticket.mask else torch.ones_like(value) > 0
            assert same_bytes(value[kept], before[name][kept])
        for branch in (MAIN, "reinit-1", "random-mask-1"):
            result = summary.results[JobKey(0, branch, level)]
            assert (result.start_iteration, result.iterations) == (start, end)
            curve = store.curve(JobKey(0, branch, level))
            assert (curve[0].iteration, curve[-1].iteration) == (start, end)
        control = store.ticket(JobKey(0, "random-mask-1", level))
        for name, kept in control.mask.items():
            assert bool(control.weights[name][kept].all()), "no enabled weight starts at zero"
    dense = store.weights(JobKey(0, MAIN, 0))
    ticket = store.ticket(JobKey(0, MAIN, 2))
    gone = ~store.ticket(JobKey(0, MAIN, 1)).mask["fc1.weight"]
    assert same_bytes(ticket.weights["fc1.weight"][gone], dense["fc1.weight"][gone])


def test_one_shot_goes_on_from_the_dense_network(tmp_path: Path) -> None:
    config = one(method=LEARNING_RATE, prune=replace(tiny().prune, schedule="one-shot"))
    store = Store(go(config, tmp_path).run)
    dense = store.weights(JobKey(0, MAIN, 0))
    for level in (1, 2):
        weights = store.ticket(JobKey(0, MAIN, level)).weights
        assert all(same_bytes(weights[name], dense[name]) for name in dense)


def test_the_run_is_what_find_tickets_finds(tmp_path: Path) -> None:
    """Learning-rate rewinding written with the library's function, to the last bit."""
    config = one(method=LEARNING_RATE, controls=ControlsConfig(reinit=0))
    store = Store(go(config, tmp_path, engine="torch").run)
    data, streams = load_dataset(config.data), Streams(config.seed, 0)
    model = initialized(config, data, streams, "init")
    initial = {name: value.clone() for name, value in model.state_dict().items()}
    last: list[tuple[Ticket, State]] = []

    def train(ticket: Ticket) -> TrainingResult:
        job = training_job(JobKey(0, MAIN, 1), ticket, config=config, data=data, streams=streams)
        result = TorchEngine().train([job], [NullMonitor()])[0]
        last.append((ticket, result.final))
        return result

    def prune(level: int, mask: Mask, trained: State) -> Mask:
        return prune_mask(
            config.prune, level, mask, trained=trained, initial=initial, streams=streams
        )

    def rewind(mask: Mask, dense: TrainingResult) -> Ticket:
        return Ticket(mask=mask, weights=last_trained(*last[-1]), iteration=6)

    first = Ticket(mask=Mask.dense(prunable_weights(model)), weights=initial)
    for level in find_tickets(dense=first, train=train, prune=prune, rewind=rewind, levels=2):
        key = JobKey(0, MAIN, level.number)
        assert store.ticket(key).mask == level.ticket.mask
        for name, value in store.weights(key).items():
            assert same_bytes(value, level.trained.final[name])


@pytest.mark.parametrize("to", [0, 6])
@pytest.mark.parametrize("rule", ["frozen", "mixed"])
def test_pruned_weights_are_held_in_files_and_in_training(
    tmp_path: Path, rule: PrunedValues, to: int
) -> None:
    config = one(method=Iterative(rewind=RewindConfig(to=Length(amount=to)), pruned=rule))
    summary = go(config, tmp_path)
    store = Store(summary.run)
    assert {result.engine for result in summary.results.values()} == {"torch"}
    dense = JobKey(0, MAIN, 0)
    assert store.ticket(dense).pruned is None
    rewound = dense_state(store, to)
    zeros = set()
    for key in summary.results:
        if key.level == 0:
            continue
        ticket = store.ticket(key)
        assert ticket.pruned is not None
        at = ticket.weights if key.kind == "reinit" else rewound
        for moment in ("end", "early-stop"):
            state = store.weights(key, moment)
            for name, kept in ticket.mask.items():
                assert same_bytes(state[name][~kept], ticket.pruned[name][~kept])
        for name, kept in ticket.mask.items():
            held = ticket.pruned[name][~kept]
            zero = held == 0
            assert same_bytes(held[~zero], at[name][~kept][~zero])
            zeros.add((bool(zero.any()), bool(zero.all())))
    assert zeros == ({(False, False)} if rule == "frozen" else {(True, False)})


@pytest.mark.parametrize(
    "changes",
    [
        {"method": FINE_TUNE},
        {"method": LEARNING_RATE},
        {"method": Iterative(pruned="mixed")},
    ],
    ids=["fine-tune", "learning-rate", "mixed"],
)
def test_stopped_after_every_level_and_gone_on_it_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    monkeypatch.setattr(JobMonitor, "_REPORT_SECONDS", 0.0)
    config = one(**changes)
    whole = go(config, tmp_path / "whole", engine="torch")

    class StopIn(Listener):
        """Stops as soon as a job says how far it is."""

        def __init__(self) -> None:
            self.stop = threading.Event()

        def progressed(self, key: JobKey, iteration: int) -> None:
            self.stop.set()

    options = RunOptions(out=tmp_path / "parts", jobs=1, device="cpu", engine="torch")
    for _ in range(3 * len(plan(config))):
        listener = StopIn()
        with pytest.raises(Preempted):
            run_experiment(config, options, listener=listener, stop=listener.stop)
    summary = run_experiment(config, options)
    assert contents(summary.run) == contents(whole.run)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (
            {
                "method": replace(LEARNING_RATE, pruned="frozen"),
            },
            "method.pruned: 'frozen' holds pruned weights where survivors are rewound to",
        ),
        (
            {"prune": PruneConfig(scope="global", schedule="listed", densities=(0.5,))},
            r"levels: prune.densities lists 1 levels, got 2",
        ),
        ({"method": TUNED_FROM_3}, r"method\.rewind\.to: fine-tuning goes back"),
        (
            {
                "method": FINE_TUNE,
                "training": replace(tiny().training, learning_rate=COSINE),
            },
            r"method\.rewind\.kind: 'fine-tune' .* with training\.learning_rate\.schedule",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(
    tmp_path: Path, changes: dict[str, Any], match: str
) -> None:
    with pytest.raises(ConfigError, match=match):
        go(one(**changes), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", [Iterative(), LEARNING_RATE], ids=lambda m: m.rewinding)
def test_a_cosine_goes_with_rewinding(method: Iterative) -> None:
    training = replace(tiny().training, learning_rate=COSINE)
    controls = ControlsConfig(reinit=1)
    assert one(training=training, method=method, controls=controls).problems() == []


def test_a_density_that_exempt_layers_exceed_is_refused_before_training(tmp_path: Path) -> None:
    prune = PruneConfig(
        scope="uniform", schedule="listed", densities=(0.5, 0.1), fractions={"fc1.*": 0.0}
    )
    with pytest.raises(UsageError, match="as many as are exempt"):
        go(one(prune=prune), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_sparse_engine_is_refused_by_name(tmp_path: Path) -> None:
    config = one(method=Iterative(pruned="frozen"))
    with pytest.raises(UsageError, match="its pruned weights are zero"):
        go(config, tmp_path, engine="sparse_cpu")


@pytest.mark.parametrize(
    "prune",
    [
        PruneConfig(scope="erk", schedule="linear", final_density=0.1),
        PruneConfig(scope="lamp", schedule="listed", densities=(0.3, 0.04)),
        PruneConfig(scope="uniform", schedule="one-shot", fraction=0.7),
    ],
    ids=lambda prune: prune.scope,
)
def test_scopes_and_schedules_reach_their_densities_in_a_run(
    tmp_path: Path, prune: PruneConfig
) -> None:
    summary = go(one(prune=prune, controls=ControlsConfig(reinit=0)), tmp_path)
    total = 784 * 20 + 200
    kept = [summary.results[JobKey(0, MAIN, level)].weights_kept for level in (1, 2)]
    linear = [total - round((total - round(0.1 * total)) / 2), round(0.1 * total)]
    geometric = [total - round(0.7 * total)]
    geometric.append(geometric[0] - round(0.7 * geometric[0]))
    listed = [round(0.3 * total), round(0.04 * total)]
    assert kept == {"linear": linear, "listed": listed, "one-shot": geometric}[prune.schedule]
