"""A run from its config to its files."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from bound import dense_state, initialized, training_job
from plain_method import find_tickets
from tiny import contents, tiny

from lottery.blas import blas_kernels
from lottery.core import Mask, prunable_weights
from lottery.data import load_dataset
from lottery.errors import ConfigError, DataError, Preempted, StoreError, UsageError
from lottery.experiments import (
    ExperimentConfig,
    Listener,
    RunOptions,
    RunSummary,
    find_run,
    list_runs,
    never_run,
    open_run,
    plan,
    run_experiment,
    run_name,
    verify_run,
)
from lottery.methods import ControlsConfig, Iterative, RewindConfig
from lottery.models import INITIALIZATIONS, build_model, glorot_normal_
from lottery.rng import Streams
from lottery.store import JobKey, JobResult, Store
from lottery.tickets import PruneConfig, Ticket, prune_mask
from lottery.training import (
    ENGINES,
    Length,
    NullMonitor,
    State,
    TrainingConfig,
    TrainingResult,
    make_engine,
)
from lottery.training.engines.torch_engine import TorchEngine


def go(config: ExperimentConfig, out: Path, **options: Any) -> RunSummary:
    return run_experiment(config, RunOptions(out=out, jobs=1, device="cpu", **options))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> RunSummary:
    return go(tiny(), tmp_path_factory.mktemp("runs"))


def test_every_planned_job_is_done_and_whole(reference: RunSummary) -> None:
    assert set(reference.results) == set(plan(tiny()))
    assert reference.failed == 0
    assert verify_run(reference.run) == {key: [] for key in plan(tiny())}
    opened = open_run(reference.run)
    assert opened.config == tiny()
    assert opened.results == reference.results


def test_densities_and_counts_are_exact(reference: RunSummary) -> None:
    for key, result in reference.results.items():
        first, last = 784 * 20, 20 * 10
        for _ in range(key.level):
            first, last = first - round(0.5 * first), last - round(0.25 * last)
        assert result.layers == {"fc1.weight": (first, 784 * 20), "output.weight": (last, 200)}
        assert result.weights_kept == first + last
        assert result.density == (first + last) / (784 * 20 + 200)


def test_the_run_is_what_find_tickets_finds(reference: RunSummary) -> None:
    """The library's function and the job graph are the same method, to the last bit."""
    config, store = tiny(), Store(reference.run)
    data, streams = load_dataset(config.data), Streams(config.seed, 1)
    initial = initialized(config, data, streams, "init").state_dict()
    model = initialized(config, data, streams, "init")
    engine = make_engine("auto", torch.device("cpu"), model=model, config=config.training)

    def train(ticket: Ticket) -> TrainingResult:
        job = training_job(JobKey(1, "main", 0), ticket, config=config, data=data, streams=streams)
        return engine.train([job], [NullMonitor()])[0]

    def prune(level: int, mask: Mask, trained: State) -> Mask:
        return prune_mask(
            config.prune, level, mask, trained=trained, initial=initial, streams=streams
        )

    def rewind(mask: Mask, dense: TrainingResult) -> Ticket:
        return Ticket(mask=mask, weights=initial)

    dense = Ticket(mask=Mask.dense(prunable_weights(model)), weights=initial)
    for level in find_tickets(dense=dense, train=train, prune=prune, rewind=rewind, levels=2):
        key = JobKey(1, "main", level.number)
        assert store.ticket(key).mask == level.ticket.mask
        assert store.curve(key) == list(level.trained.curve)
        for name, value in store.weights(key).items():
            assert torch.equal(value, level.trained.final[name])


def test_tickets_start_from_the_initialization_bit_for_bit(reference: RunSummary) -> None:
    store = Store(reference.run)
    for replicate in (0, 1):
        initial = store.ticket(JobKey(replicate, "main", 0)).weights
        for level in (1, 2):
            weights = store.ticket(JobKey(replicate, "main", level)).weights
            assert all(torch.equal(weights[name], initial[name]) for name in initial)


def test_every_control_changes_what_it_claims_and_nothing_else(reference: RunSummary) -> None:
    store = Store(reference.run)
    for level in (1, 2):
        ticket = store.ticket(JobKey(0, "main", level))
        reinit = store.ticket(JobKey(0, "reinit-1", level))
        shuffled = store.ticket(JobKey(0, "random-mask-1", level))
        continued = store.ticket(JobKey(0, "continued-1", level))

        assert reinit.mask == ticket.mask
        assert not torch.equal(reinit.weights["fc1.weight"], ticket.weights["fc1.weight"])

        assert shuffled.mask != ticket.mask
        assert shuffled.mask.layers == ticket.mask.layers
        assert all(torch.equal(shuffled.weights[n], ticket.weights[n]) for n in ticket.weights)

        before = store.weights(JobKey(0, "main", level - 1))
        assert continued.mask == ticket.mask
        assert all(torch.equal(continued.weights[n], before[n]) for n in before)


def test_each_reinitialization_has_weights_of_its_own(tmp_path: Path) -> None:
    config = tiny(replicates=1, controls=ControlsConfig(reinit=2))
    store = Store(go(config, tmp_path).run)
    keys = [JobKey(0, f"reinit-{n}", level) for n in (1, 2) for level in (1, 2)]
    firsts = {float(store.ticket(key).weights["fc1.weight"][0, 0]) for key in keys}
    assert len(firsts) == 4


def test_pruned_weights_are_zero_at_the_end_of_every_training(reference: RunSummary) -> None:
    store = Store(reference.run)
    for key in reference.results:
        mask = store.ticket(key).mask
        for moment in ("end", "early-stop"):
            weights = store.weights(key, moment)
            for name in mask:
                assert not weights[name][~mask[name]].any()
                assert bool(weights[name][mask[name]].all())


def test_processes_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = (
        run_experiment(
            tiny(),
            RunOptions(out=tmp_path / str(jobs), jobs=jobs, device="cpu", engine="torch"),
        )
        for jobs in (1, 2)
    )
    assert contents(one.run) == contents(two.run)


def test_running_again_trains_nothing(reference: RunSummary, tmp_path: Path) -> None:
    heard: list[JobResult] = []

    class Hear(Listener):
        def finished(self, result: JobResult) -> None:
            heard.append(result)

    options = RunOptions(out=reference.run.parent, jobs=1, device="cpu")
    again = run_experiment(tiny(), options, listener=Hear())
    assert heard == []
    assert again.results == reference.results


def test_an_engine_is_prepared_before_the_first_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = list[str]()

    class Slow(TorchEngine):
        def prepare(self) -> None:
            heard.append("prepared")

    class Hear(Listener):
        def started(self, run: Path, planned: int, finished: int, workers: int) -> None:
            heard.append("started")

    monkeypatch.setitem(ENGINES, "torch", Slow)
    options = RunOptions(out=tmp_path, jobs=1, device="cpu", engine="torch")
    for expected in (["prepared", "started"], ["started"]):
        heard.clear()
        run_experiment(tiny(replicates=1, levels=0), options, listener=Hear())
        assert heard == expected


def test_an_engine_that_cannot_train_the_network_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refuses(TorchEngine):
        def refusal(self, model: torch.nn.Module, config: TrainingConfig) -> str | None:
            return f"{type(model).__name__} is too wide for batches of {config.batch_size}"

    monkeypatch.setitem(ENGINES, "torch", Refuses)
    with pytest.raises(UsageError, match=r"Sequential is too wide for batches of 60\. Use"):
        run_experiment(tiny(), RunOptions(out=tmp_path, device="cpu", engine="torch"))
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_level_is_set_aside_and_made_anew(tmp_path: Path) -> None:
    config = tiny(replicates=1)
    run = go(config, tmp_path).run
    before = contents(run)
    victim = run / "replicate-0" / "level-01" / "final.safetensors"
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    assert [bool(found) for found in verify_run(run).values()].count(True) == 1
    summary = go(config, tmp_path)
    assert summary.failed == 0
    (aside,) = Store(run).corrupt()
    assert aside.name == ".corrupt-level-01-1"
    after = {name: c for name, c in contents(run).items() if ".corrupt-" not in name}
    assert after == before


# Rewinding


@pytest.mark.parametrize(
    ("to", "iteration"),
    [(Length(amount=7), 7), (Length(amount=0, unit="epochs"), 0)],
)
def test_rewinding_to_a_later_point(tmp_path: Path, to: Length, iteration: int) -> None:
    config = tiny(replicates=1, levels=1, method=Iterative(rewind=RewindConfig(to=to)))
    run = go(config, tmp_path).run
    store = Store(run)
    dense, ticket = store.ticket(JobKey(0, "main", 0)), store.ticket(JobKey(0, "main", 1))
    assert ticket.iteration == iteration
    assert store.curve(JobKey(0, "main", 1))[0].iteration == iteration
    expected = dense_state(store, iteration)
    assert all(torch.equal(ticket.weights[name], expected[name]) for name in expected)
    assert torch.equal(ticket.weights["fc1.weight"], dense.weights["fc1.weight"]) == (not iteration)


def test_a_rewind_point_after_the_end_is_refused_before_training(tmp_path: Path) -> None:
    method = Iterative(rewind=RewindConfig(to=Length(amount=1, unit="epochs")))
    config = tiny(method=method)
    with pytest.raises(UsageError, match="not before the end"):
        go(config, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_pattern_that_fits_no_layer_is_refused_before_training(tmp_path: Path) -> None:
    config = tiny(prune=PruneConfig(fractions={"fc9.weight": 0.1}))
    with pytest.raises(UsageError, match=r"fc1\.weight, output\.weight"):
        go(config, tmp_path)
    assert list(tmp_path.iterdir()) == []


# Jobs that end badly


def test_a_diverged_job_ends_alone_and_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights of one replicate are made infinite; the other replicate is not touched by it."""

    def exploding(model: torch.nn.Module, generator: torch.Generator) -> None:
        glorot_normal_(model, generator)
        if generator.initial_seed() == Streams(0, 1).seed_of("init"):
            with torch.no_grad():
                model.get_parameter("output.weight").fill_(3e38)

    monkeypatch.setitem(INITIALIZATIONS, "glorot-normal", exploding)
    summary = go(tiny(), tmp_path)
    bad = [result for result in summary.results.values() if result.status == "diverged"]
    assert [result.key for result in bad] == [JobKey(1, "main", 0)]
    assert "not finite" in bad[0].reason
    assert bad[0].score_final is None
    assert {key.replicate for key in summary.skipped} == {1}
    assert len(summary.results) + len(summary.skipped) == len(plan(tiny()))
    assert never_run(tiny(), summary.results) == summary.skipped
    assert sum(key.replicate == 0 for key in summary.results) == len(plan(tiny())) // 2
    # Once more: nothing is run again, and the same jobs cannot be run.
    again = go(tiny(), tmp_path)
    assert (again.results, again.skipped) == (summary.results, summary.skipped)


def test_a_mask_that_empties_a_layer_ends_its_branch(tmp_path: Path) -> None:
    config = tiny(
        replicates=1, levels=4, prune=PruneConfig(fraction=0.5, fractions={"output.weight": 0.99})
    )
    summary = go(config, tmp_path)
    statuses = {
        key.level: result.status for key, result in summary.results.items() if key.branch == "main"
    }
    assert statuses == {0: "done", 1: "done", 2: "collapsed"}
    collapsed = summary.results[JobKey(0, "main", 2)]
    assert "output.weight" in collapsed.reason
    assert collapsed.layers["output.weight"] == (0, 200)
    controls = [summary.results[key] for key in plan(config) if key.level == 2][1:]
    assert {result.status for result in controls} == {"collapsed"}
    assert all("output.weight" in result.reason for result in controls)
    assert {key.level for key in summary.skipped} == {3, 4}
    assert "collapsed" in summary.skipped[JobKey(0, "reinit-1", 3)]
    assert never_run(config, summary.results) == summary.skipped


def test_a_mask_without_a_way_through_ends_its_branch_though_no_layer_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def severed(*_: object, **__: object) -> Mask:
        """One hidden unit is fed, and another one is read."""
        kept = {name: torch.zeros_like(mask) for name, mask in dense.items()}
        for name, mask in kept.items():
            mask[0, 1 if name == "output.weight" else 0] = True
        return Mask(kept)

    dense = Mask.dense(prunable_weights(build_model(tiny().model, (1, 28, 28), 10)))
    monkeypatch.setattr("lottery.methods.base.prune_mask", severed)
    summary = go(tiny(replicates=1, levels=1), tmp_path)
    cut = summary.results[JobKey(0, "main", 1)]
    assert (cut.status, cut.empty_layers) == ("collapsed", ())
    assert "no way from the input to an output" in cut.reason


# What must not be mixed up


def test_another_config_in_the_same_place_is_refused_with_the_difference(
    reference: RunSummary, tmp_path: Path
) -> None:
    other = tiny(seed=7)
    run = tmp_path / run_name(other)
    run.mkdir()
    (run / "experiment.json").write_bytes((reference.run / "experiment.json").read_bytes())
    with pytest.raises(StoreError, match="seed is 0 there, 7 here"):
        go(other, tmp_path)


def test_other_data_under_the_same_name_are_refused(reference: RunSummary, tmp_path: Path) -> None:
    run = tmp_path / reference.run.name
    run.mkdir()
    experiment = json.loads((reference.run / "experiment.json").read_text())
    experiment["data"]["sha256"] = "0" * 64
    Store(run).write_experiment(experiment)
    with pytest.raises(StoreError, match="other data"):
        go(tiny(), tmp_path)


@pytest.mark.parametrize(
    ("what", "now"),
    [("torch", torch.__version__), ("blas", blas_kernels()), ("threads", 1)],
    ids=["torch", "blas", "threads"],
)
def test_another_environment_is_told(
    reference: RunSummary, tmp_path: Path, what: str, now: str | int
) -> None:
    run = tmp_path / reference.run.name
    run.mkdir()
    experiment = json.loads((reference.run / "experiment.json").read_text())
    experiment["environment"][what] = "another"
    Store(run).write_experiment(experiment)
    heard: list[tuple[str, Any, Any]] = []

    class Hear(Listener):
        def environment_changed(self, changes: list[tuple[str, Any, Any]]) -> None:
            heard.extend(changes)

    stop = threading.Event()
    stop.set()
    options = RunOptions(out=tmp_path, jobs=1, device="cpu")
    with pytest.raises(Preempted):
        run_experiment(tiny(), options, listener=Hear(), stop=stop)
    assert heard == [(what, now, "another")]


def test_a_config_made_in_python_is_checked_too(tmp_path: Path) -> None:
    for changes in ({"levels": -1}, {"replicates": 0}, {"prune": PruneConfig(fraction=2)}):
        with pytest.raises(ConfigError):
            go(tiny(**changes), tmp_path)
    with pytest.raises(UsageError, match="jobs"):
        run_experiment(tiny(), RunOptions(out=tmp_path / "other", jobs=0, device="cpu"))


def test_missing_data_are_an_error_before_anything_is_written(tmp_path: Path) -> None:
    from lottery.data import DataConfig

    config = tiny(data=DataConfig(name=f"idx:{tmp_path / 'nowhere'}"))
    with pytest.raises(DataError):
        go(config, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{}",
        b"[]",
        b'{"schema": 1, "config": 3}',
    ],
)
def test_a_damaged_experiment_file_is_a_clear_error(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "experiment.json").write_bytes(damage)
    with pytest.raises(StoreError, match=r"experiment\.json"):
        open_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "value"),
    [("test_examples", 0), ("classes", "10"), ("input_shape", [28, -1]), ("input_shape", 784)],
)
def test_what_a_run_says_of_its_data_is_checked(
    reference: RunSummary, tmp_path: Path, name: str, value: Any
) -> None:
    experiment = json.loads((reference.run / "experiment.json").read_text())
    experiment["data"][name] = value
    Store(tmp_path).write_experiment(experiment)
    with pytest.raises(StoreError, match=f"data.{name}"):
        open_run(tmp_path)


def test_a_config_changed_by_hand_is_noticed(reference: RunSummary, tmp_path: Path) -> None:
    experiment = json.loads((reference.run / "experiment.json").read_text())
    experiment["config"]["seed"] = 1
    (tmp_path / "experiment.json").write_text(json.dumps(experiment))
    with pytest.raises(StoreError, match="SHA-256"):
        open_run(tmp_path)


def test_runs_are_found_by_path_name_and_beginning(reference: RunSummary) -> None:
    out = reference.run.parent
    assert list_runs(out) == [reference.run]
    for name in (str(reference.run), reference.run.name, "tiny", "t"):
        assert find_run(name, out) == reference.run
    with pytest.raises(UsageError, match=reference.run.name):
        find_run("demo", out)


def test_one_shot_prunes_by_the_dense_weights_to_the_same_densities(
    reference: RunSummary, tmp_path: Path
) -> None:
    config = tiny(replicates=1, prune=replace(tiny().prune, schedule="one-shot"))
    run = go(config, tmp_path).run
    store, iterative = Store(run), Store(reference.run)
    trained = store.weights(JobKey(0, "main", 0))
    for level in (1, 2):
        key = JobKey(0, "main", level)
        mask = store.ticket(key).mask
        assert mask.layers == iterative.ticket(key).mask.layers
        for name in mask:
            magnitude = trained[name].abs()
            assert magnitude[mask[name]].min() >= magnitude[~mask[name]].max()
    assert store.ticket(JobKey(0, "main", 1)).mask == iterative.ticket(JobKey(0, "main", 1)).mask
    assert store.ticket(JobKey(0, "main", 2)).mask != iterative.ticket(JobKey(0, "main", 2)).mask
