"""Tickets that train on from the weights they were drawn by, against trainings made by hand."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from bound import drawn, make_ticket, mask_looks, planned_iterations, training_job
from tiny import contents, tiny
from typer.testing import CliRunner

from lottery.analysis import judge_run
from lottery.cli.main import app
from lottery.core import Mask
from lottery.data import load_dataset
from lottery.errors import ConfigError, MaskError, Preempted, StoreError, UsageError
from lottery.experiments import (
    ExperimentConfig,
    Listener,
    RunOptions,
    RunSummary,
    config_hash,
    load_config,
    open_run,
    plan,
    planned_at_most,
    run_experiment,
    smoke,
    to_plain,
)
from lottery.experiments.execute import JobMonitor
from lottery.methods import ControlsConfig, DrawnRewindConfig, EarlyBird
from lottery.report import write_report
from lottery.rng import Streams
from lottery.store import MAIN, JobKey, Store
from lottery.testing.expect import same_bytes
from lottery.tickets import PruneConfig, Ticket
from lottery.training import (
    LearningRateConfig,
    Length,
    NullMonitor,
    OptimizerConfig,
    State,
    TrainingResult,
    make_engine,
    resolve_device,
)

DENSE = JobKey(0, MAIN, 0)
REWOUND = DrawnRewindConfig(kind="weights")
BIRD = EarlyBird(every=Length(amount=2), window=3, distance=0.05)
NEVER = EarlyBird(every=Length(amount=10), window=2, distance=0.0)
ENGINES = ("torch", "sparse_cpu")

# Plain gradient descent remembers nothing, so that a new optimizer goes on as the old one would.
PLAIN = replace(
    tiny().training,
    optimizer=OptimizerConfig(name="sgd"),
    learning_rate=LearningRateConfig(
        schedule="step", base=0.2, warmup=Length(amount=4), drops=(Length(amount=20),)
    ),
)
FILTERS: dict[str, Any] = {
    "model": "tiny:NormalizedConvolutions",
    "training": replace(PLAIN, learning_rate=LearningRateConfig(base=0.02)),
    "method": EarlyBird(every=Length(amount=3), window=3, distance=0.1),
    "prune": PruneConfig(
        criterion="bn-scale",
        granularity="filter",
        scope="global",
        fraction=0.25,
        fractions={"output.weight": 0.0},
        examples=20,
    ),
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "torch": ("torch", {}),
    "sparse_cpu": ("sparse_cpu", {}),
    "filters": ("torch", FILTERS),
}


def early(**changes: Any) -> ExperimentConfig:
    """A mask every two iterations of thirty, of which two levels settle at different ones."""
    prune = PruneConfig(fraction=0.5, scope="global")
    values = {
        "replicates": 1,
        "prune": prune,
        "method": BIRD,
        "training": PLAIN,
        "controls": ControlsConfig(reinit=0),
    }
    return tiny(**(values | changes))


def go(config: ExperimentConfig, out: Path, engine: str = "torch") -> RunSummary:
    return run_experiment(config, RunOptions(out=out, jobs=1, device="cpu", engine=engine))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunSummary]:
    out = tmp_path_factory.mktemp("runs")
    return {
        name: go(early(**changes), out / name, engine) for name, (engine, changes) in CASES.items()
    }


def by_hand(config: ExperimentConfig, engine: str, ticket: Ticket, **job: Any) -> TrainingResult:
    """Train a ticket outside of any run, as the dense network is trained."""
    data, streams = load_dataset(config.data), Streams(config.seed, 0)
    plain = training_job(DENSE, ticket, config=config, data=data, streams=streams)
    trainer = make_engine(engine, resolve_device("cpu"))
    (trained,) = trainer.train([replace(plain, observer=None, **job)], [NullMonitor()])
    return trained


def dense_ticket(config: ExperimentConfig) -> Ticket:
    data, streams = load_dataset(config.data), Streams(config.seed, 0)
    return make_ticket(DENSE, config=config, store=Store(Path()), data=data, streams=streams)


def same_states(one: State, other: State) -> bool:
    """Names, types, shapes and bytes."""
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype
        and one[name].shape == other[name].shape
        and same_bytes(one[name], other[name])
        for name in one
    )


@pytest.mark.parametrize("case", CASES)
def test_a_ticket_has_the_dense_networks_state_where_it_was_drawn(
    runs: dict[str, RunSummary], case: str
) -> None:
    engine, changes = CASES[case]
    config, store = early(**changes), Store(runs[case].run)
    looks = mask_looks(config, load_dataset(config.data))
    assert looks[-1] < 30
    states = by_hand(config, engine, dense_ticket(config), snapshots_at=looks).snapshots
    drawn_at = set()
    for level in (1, 2):
        ticket = store.ticket(JobKey(0, MAIN, level))
        at = ticket.provenance["drawn_at"]
        assert isinstance(at, int)
        assert ticket.iteration == at < looks[-1], "nothing settled; the test would prove little"
        assert same_states(ticket.weights, states[at])
        assert not same_states(ticket.weights, states[looks[0]])
        assert str(ticket.provenance["drawn"]).startswith("settled")
        drawn_at.add(at)
    if case == "filters":
        assert ticket.weights["norm1.num_batches_tracked"].dtype == torch.int64
        assert int(ticket.weights["norm1.num_batches_tracked"]) == at
    else:
        assert len(drawn_at) == 2, "levels that settle at one iteration would hide a mix-up"


@pytest.mark.parametrize("case", CASES)
def test_with_nothing_pruned_it_would_end_as_the_dense_network(
    runs: dict[str, RunSummary], case: str
) -> None:
    """The state, the schedule and the data order are those of then."""
    engine, changes = CASES[case]
    config, store = early(**changes), Store(runs[case].run)
    for level in (1, 2):
        ticket = store.ticket(JobKey(0, MAIN, level))
        whole = replace(ticket, mask=Mask({n: torch.ones_like(m) for n, m in ticket.mask.items()}))
        trained = by_hand(config, engine, whole)
        assert trained.curve[0].iteration == ticket.iteration
        assert same_states(trained.final, store.weights(DENSE))
        own = by_hand(config, engine, ticket)
        assert same_states(own.final, store.weights(JobKey(0, MAIN, level)))
        assert not same_states(own.final, trained.final)


@pytest.mark.parametrize("case", CASES)
def test_the_state_of_then_lies_beside_each_mask_and_changes_none(
    runs: dict[str, RunSummary], case: str, tmp_path: Path
) -> None:
    engine, changes = CASES[case]
    config, ours = early(**changes), Store(runs[case].run)
    assert isinstance(config.method, EarlyBird)
    rewound = replace(config, method=replace(config.method, rewind=REWOUND))
    theirs = Store(go(rewound, tmp_path, engine).run)
    for level in (1, 2):
        kept = drawn(ours, level)
        assert kept.state is not None
        assert same_states(kept.state, ours.ticket(JobKey(0, MAIN, level)).weights)
        assert replace(kept, state=None) == drawn(theirs, level)
    for name in ("final.safetensors", "curves.csv"):
        dense = [store.directory(DENSE) / name for store in (ours, theirs)]
        assert dense[0].read_bytes() == dense[1].read_bytes()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("at", [7, 15])
def test_stopped_before_and_after_a_draw_it_ends_with_the_same_bytes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    runs: dict[str, RunSummary],
    engine: str,
    at: int,
) -> None:
    monkeypatch.setattr(JobMonitor, "_REPORT_SECONDS", 0.0)
    monkeypatch.setattr(JobMonitor, "steps_at_once", 1)
    config, options = early(), RunOptions(out=tmp_path, jobs=1, device="cpu", engine=engine)

    class Stop(Listener):
        """Stops each training once, at this iteration or its first after."""

        def __init__(self) -> None:
            self.stop, self.stopped = threading.Event(), set[JobKey]()

        def progressed(self, key: JobKey, iteration: int) -> None:
            if iteration >= at and key not in self.stopped:
                self.stopped.add(key)
                self.stop.set()

    listener = Stop()
    for _ in plan(config):
        listener.stop.clear()
        with pytest.raises(Preempted):
            run_experiment(config, options, listener=listener, stop=listener.stop)
        kept = [path.name for path in tmp_path.rglob(".checkpoint-level-00-*")]
        assert bool(kept) == (len(listener.stopped) == 1)
    cut = run_experiment(config, options)
    assert contents(cut.run) == contents(runs[engine].run)


def test_a_mask_that_never_settles_leaves_a_ticket_something_to_train(tmp_path: Path) -> None:
    prune = replace(early().prune, fraction=0.02, fractions={})
    summary = go(early(method=NEVER, prune=prune), tmp_path)
    assert summary.failed == 0
    store = Store(summary.run)
    for level in (1, 2):
        result = summary.results[JobKey(0, MAIN, level)]
        assert (result.start_iteration, result.provenance["drawn_at"]) == (20, 20)
        assert str(result.provenance["drawn"]).startswith("never settled, drawn at the last look")
        assert [p.iteration for p in store.curve(result.key)] == [20, 20, 30, 30]
    verdict = judge_run(open_run(summary.run), margin=0.5)
    assert [level.matches_on_means for level in verdict.levels[1:]] == [True, True]
    assert [level.wins_on_means for level in verdict.levels] == [False] * 3
    assert verdict.level is None
    assert verdict.headline == "not tested"
    assert "no mask settled" in verdict.paragraph
    (caveat,) = [said for said in verdict.caveats if "never settled" in said]
    assert "1 at level 1 and 1 at level 2. A level with one is not called winning." in caveat
    shown = CliRunner().invoke(app, ["show", str(summary.run)]).output.replace("\n", " ")
    assert "level 1: mask drawn at iteration 20, trained on from there; never settled" in shown


def test_no_look_comes_at_the_very_end(tmp_path: Path) -> None:
    """Where a rewound ticket is drawn at iteration 30, this one would have nothing to train."""
    method = replace(NEVER, window=3)
    with pytest.raises(UsageError, match=r"3 masks or more before the end of a .* 30 .* gives 2;"):
        go(early(method=method), tmp_path)
    assert not list(tmp_path.iterdir())
    assert go(early(method=replace(method, rewind=REWOUND)), tmp_path).failed == 0


EVERY = ControlsConfig(
    reinit=1,
    random_mask=1,
    shuffled_global=1,
    signs_random_magnitudes=1,
    signs_constant=True,
    random_signs=1,
    scratch_epochs=1,
    scratch_flops=1,
    edge_popup=1,
    supermask=1,
)
FROM_THE_BEGINNING = ("scratch-epochs", "scratch-flops", "edge-popup", "supermask")


@pytest.fixture(scope="module")
def controls(tmp_path_factory: pytest.TempPathFactory) -> RunSummary:
    return go(early(controls=EVERY), tmp_path_factory.mktemp("controls"))


def test_controls_start_where_their_ticket_does_or_at_the_beginning(controls: RunSummary) -> None:
    store, config = Store(controls.run), early(controls=EVERY)
    assert controls.failed == 0
    assert set(controls.results) == set(plan(config))
    data = load_dataset(config.data)
    for key, result in controls.results.items():
        if key.branch == MAIN:
            continue
        ticket, own = store.ticket(JobKey(0, MAIN, key.level)), store.ticket(key)
        start = 0 if key.kind in FROM_THE_BEGINNING else ticket.iteration
        assert own.iteration == result.start_iteration == start
        assert store.curve(key)[0].iteration == start
        assert result.iterations == (60 if key.kind == "scratch-flops" else 30)
        assert result.iterations - start <= planned_iterations(key, config, data)
        masks = [kind in key.kind for kind in ("random-mask", "shuffled")]
        assert (own.mask == ticket.mask) != any(masks)
        if any(masks):
            assert same_states(own.weights, ticket.weights), "true values, none of them zero"
        for name, value in ticket.weights.items():
            if key.kind == "random-signs" and name in ticket.mask:
                assert torch.equal(own.weights[name].abs(), value.abs())
            if key.kind.startswith("signs") and name in ticket.mask:
                assert torch.equal(own.weights[name].sign(), value.sign())


def test_verdict_and_report_say_where_tickets_start(controls: RunSummary, tmp_path: Path) -> None:
    verdict = judge_run(open_run(controls.run))
    starts = [controls.results[JobKey(0, MAIN, level)].start_iteration for level in (1, 2)]
    assert [level.start_iteration for level in verdict.levels] == [0, *starts]
    assert [level.tickets_late for level in verdict.levels] == [0, 0, 0]
    assert (verdict.complete, verdict.rewind) == (True, "drawn")
    (caveat,) = [said for said in verdict.caveats if "drawn by" in said]
    assert f"until iteration {min(starts)} to {max(starts)}, means by level" in caveat
    page = write_report(controls.run, tmp_path / "report.html").read_text()
    assert "trained on from the weights of then" in page
    assert "rewound to their own weights" not in page


def test_what_is_planned_is_the_most_that_a_ticket_may_take(controls: RunSummary) -> None:
    config = early(controls=EVERY)
    data = load_dataset(config.data)
    bounded = {key.kind for key in controls.results if planned_at_most(key, config)}
    kinds = {key.kind for key in plan(config)}
    assert bounded == kinds - {"scratch-epochs", "edge-popup", "supermask"}
    assert not planned_at_most(DENSE, config)
    # The third look is the first at which three masks can be compared.
    assert planned_iterations(JobKey(0, MAIN, 1), config, data) == 30 - 6
    assert planned_iterations(DENSE, config, data) == 30


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"controls": ControlsConfig(continued=True)}, r"controls\.continued: .* the tickets them"),
        ({"method": replace(BIRD, pruned="frozen")}, r"method\.pruned: .* got 'frozen'"),
        ({"method": replace(BIRD, pruned="mixed")}, r"method\.pruned: .* got 'mixed'"),
        (
            {"method": replace(BIRD, rewind=DrawnRewindConfig(to=Length(amount=3)))},
            r"method\.rewind\.to: with kind = 'drawn' ea",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_with_one_reason(
    tmp_path: Path, changes: dict[str, Any], start: str
) -> None:
    with pytest.raises(ConfigError, match=start) as refused:
        go(early(**changes), tmp_path)
    assert len(refused.value.problems) == 1
    assert not list(tmp_path.iterdir())


def test_a_look_without_the_state_or_with_anothers_is_refused(
    runs: dict[str, RunSummary], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, store = early(), Store(shutil.copytree(runs["torch"].run, tmp_path / "run"))
    shutil.rmtree(store.directory(JobKey(0, MAIN, 1)))
    kept = drawn(store, 1)
    data, streams = load_dataset(config.data), Streams(config.seed, 0)

    def make(state: State | None) -> Ticket:
        monkeypatch.setattr(store, "look", lambda _: replace(kept, state=state))
        key = JobKey(0, MAIN, 1)
        return make_ticket(key, config=config, store=store, data=data, streams=streams)

    assert make(kept.state).iteration > 0
    with pytest.raises(StoreError, match="drawn-01 holds no state to train on from"):
        make(None)
    with pytest.raises(MaskError, match="do not fit the model"):
        make({"other": torch.zeros(1)})


def test_a_config_comes_back_and_a_smoke_run_ends(tmp_path: Path) -> None:
    config = early(method=EarlyBird(), prune=PruneConfig(), controls=EVERY)
    assert load_config(to_plain(config)) == config
    assert config_hash(config) != config_hash(
        replace(config, method=EarlyBird(rewind=REWOUND), controls=EVERY)
    )
    small = smoke(config)
    assert load_config(to_plain(small)) == small
    assert small.method.rewinding == "drawn"
    summary = go(small, tmp_path)
    assert summary.failed == 0
    assert 5 <= summary.results[JobKey(0, MAIN, 1)].start_iteration < 8
