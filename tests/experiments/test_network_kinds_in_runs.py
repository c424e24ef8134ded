"""Runs of networks of every kind: what they prune, what they say is not pruned, what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from bound import coverage, left_out, make_model
from tiny import tiny

from lottery.core import OutsideMask, prunable_weights
from lottery.data import load_dataset
from lottery.errors import StoreError, UsageError
from lottery.experiments import ExperimentConfig, Listener, RunOptions, open_run, run_experiment
from lottery.experiments.reading import Run
from lottery.methods import ControlsConfig
from lottery.store import JobKey
from lottery.store.commit import commit_directory
from lottery.tickets import PruneConfig
from lottery.training import Length

FROZEN = (OutsideMask(name="1.weight", weights=3_920, reason="frozen"),)


def one(model: str, **changes: Any) -> ExperimentConfig:
    """One replicate and two levels of three steps, each of half the weights."""
    config = tiny(
        model=f"kinds_of_networks:{model}",
        replicates=1,
        prune=PruneConfig(fraction=0.5),
        controls=ControlsConfig(random_mask=1, signs_constant=True),
    )
    training = replace(
        config.training, length=Length(amount=3), evaluate_every=Length(amount=3), batch_size=20
    )
    return replace(config, training=training, **changes)


def run(config: ExperimentConfig, out: Path, listener: Listener | None = None) -> Run:
    options = RunOptions(out=out, jobs=1, device="cpu", engine="torch")
    return open_run(run_experiment(config, options, listener=listener).run)


def test_every_kind_runs(tmp_path: Path) -> None:
    for model in ("lstm", "RecurrentAlone", "Attention", "foreign", "SharedStorage", "lazy"):
        config = one(model, prune=PruneConfig(fraction=0.5, scope="global"))
        made = run(config, tmp_path)
        weights = prunable_weights(make_model(config, load_dataset(config.data)))
        total = sum(weight.numel() for weight in weights.values())
        half = total - round(0.5 * total)
        for level, kept in enumerate((total, half, half - round(0.5 * half))):
            result = made.results[JobKey(0, "main", level)]
            assert result.status == "done", model
            assert (result.weights_kept, result.weights_total) == (kept, total), model
            mask = made.store.ticket(result.key).mask
            final = made.store.weights(result.key)
            assert all(final[name][~mask[name]].eq(0).all() for name in mask), model
        assert all(result.status == "done" for result in made.results.values()), model


def test_one_memory_is_one_layer_of_a_run(tmp_path: Path) -> None:
    made = run(one("SharedStorage", prune=PruneConfig(fraction=0.5, criterion="random")), tmp_path)
    for key, result in made.results.items():
        assert list(result.layers) == ["a.weight", "output.weight"]
        ticket, final = made.store.ticket(key), made.store.weights(key)
        for state in (ticket.weights, final):
            assert torch.equal(state["a.weight"], state["b.weight"])
        assert final["b.weight"][~ticket.mask["a.weight"]].eq(0).all()


class Told(Listener):
    """Notes what it is told of matrices outside the masks."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, Sequence[OutsideMask]]] = []
        self.started_first = False

    def started(self, run: Path, planned: int, finished: int, workers: int) -> None:
        self.started_first = not self.heard

    def outside_mask(self, covered: int, outside: Sequence[OutsideMask]) -> None:
        self.heard.append((covered, outside))


def test_what_lies_outside_is_told_and_recorded(tmp_path: Path) -> None:
    told = Told()
    made = run(one("frozen"), tmp_path, told)
    assert made.outside_mask == FROZEN
    assert told.heard == [(50, FROZEN)]
    assert told.started_first
    assert isinstance(made.config, ExperimentConfig)
    assert coverage(made.config, load_dataset(made.config.data)) == (50, FROZEN)
    assert made.experiment["outside_mask"] == [
        {"name": "1.weight", "weights": 3_920, "reason": "frozen"}
    ]

    whole = Told()
    assert run(one("lstm"), tmp_path, whole).outside_mask == ()
    assert not whole.heard


def edited(run_: Run, edit: Callable[[dict[str, Any]], object]) -> None:
    experiment = run_.store.read_experiment()
    assert experiment is not None
    edit(experiment)
    run_.store.write_experiment(experiment)


def test_a_run_from_before_it_was_recorded_is_read_and_gone_on_with(tmp_path: Path) -> None:
    made = run(one("frozen"), tmp_path)
    edited(made, lambda experiment: experiment.pop("outside_mask"))
    assert open_run(made.store.path).outside_mask == ()
    assert run(one("frozen"), tmp_path).results == made.results


def test_masks_of_an_earlier_rule_are_shown_but_not_gone_on_with(tmp_path: Path) -> None:
    made = run(one("lstm"), tmp_path)
    edited(made, lambda experiment: experiment.pop("outside_mask"))
    for key in made.results:  # masks as they were: of the linear layer alone
        _narrow(made, key)
    old = open_run(made.store.path)
    assert {result.weights_total for result in old.results.values()} == {50}
    assert list(old.store.ticket(JobKey(0, "main", 1)).mask) == ["output.weight"]
    with pytest.raises(StoreError, match=r"only now: rnn\.weight_hh_l0, rnn\.weight_ih_l0.*--out"):
        run(one("lstm"), tmp_path)


def _narrow(made: Run, key: JobKey) -> None:
    store, result = made.store, made.results[key]
    ticket = store.ticket(key)
    mask = type(ticket.mask)({"output.weight": ticket.mask["output.weight"]})
    narrow = replace(
        result,
        layers=mask.layers,
        density=mask.density,
        weights_kept=mask.kept,
        weights_total=mask.total,
    )
    directory = store.directory(key)
    files = _contents(directory)
    shutil.rmtree(directory)
    store.write_job(replace(ticket, mask=mask), narrow, None)
    files |= _contents(directory)
    shutil.rmtree(directory)
    commit_directory(directory, files)


def _contents(directory: Path) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in directory.iterdir() if f.name != "manifest.json"}


def test_another_network_of_the_same_name_is_noticed(tmp_path: Path) -> None:
    made = run(one("frozen"), tmp_path)
    edited(made, lambda experiment: experiment.update(outside_mask=[]))
    with pytest.raises(StoreError, match=r"other matrices .*: none there, 1\.weight here"):
        run(one("frozen"), tmp_path)


@pytest.mark.parametrize(
    "damaged",
    [
        None,
        {},
        [1],
        [{"name": "a", "weights": 1}],
        [{"name": 3, "weights": 1, "reason": "frozen"}],
        [{"name": "a", "weights": 0, "reason": "frozen"}],
        [{"name": "a", "weights": True, "reason": "frozen"}],
        [{"name": "a", "weights": 2**60, "reason": "frozen"}],
    ],
)
def test_a_damaged_record_is_an_error(tmp_path: Path, damaged: object) -> None:
    made = run(one("frozen", levels=0), tmp_path)
    edited(made, lambda experiment: experiment.update(outside_mask=damaged))
    with pytest.raises(
        StoreError, match="outside_mask: expected a list of name, weights and reason"
    ):
        open_run(made.store.path)


REFUSED: Mapping[str, str] = {
    "weight_normed": r"1\.weight: computed from other parameters.*remove_parametrizations",
    "all_frozen": r"nothing to prune.*1\.weight \(frozen\); 3\.weight \(frozen\)",
    "MixedTypes": r"one type of real numbers, got torch\.float64 \(first\.weight, first\.bias\); "
    r"torch\.float32 \(output\.weight, output\.bias\)",
    "never": r"the loss never depends on block\.weight \(64 batches tried\)",
    "lazy_and_unused": r"gave no shape to 1\.unused\.weight, 1\.unused\.bias",
    "TransposedStorage": r"a\.weight, b\.weight are parameters of their own in the same memory",
}


@pytest.mark.parametrize("model", REFUSED)
def test_what_cannot_be_pruned_is_refused_before_anything_runs(model: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=REFUSED[model]):
        run(one(model), tmp_path)
    assert not [*tmp_path.iterdir()]


def test_a_block_that_is_skipped_now_and_then_does_not_stop_a_run(tmp_path: Path) -> None:
    config = one("SkippedBlock")
    training = replace(config.training, length=Length(amount=40))
    made = run(replace(config, training=training), tmp_path)
    assert {result.status for result in made.results.values()} == {"done"}
    start, end = (made.store.ticket(JobKey(0, "main", 1)), made.store.weights(JobKey(0, "main", 1)))
    assert not torch.equal(start.weights["block.weight"], end["block.weight"])


def test_lazy_layers_start_from_the_streams() -> None:
    config = one("lazy")
    data = load_dataset(config.data)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = make_model(config, data)
        torch.manual_seed(2)
        second = make_model(config, data)
    assert first[1][0].weight.shape == (5, 784)  # type: ignore[index]
    assert all(module.training for module in first.modules())
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    assert first.state_dict()["1.1.num_batches_tracked"] == 0


def test_what_no_unit_has_is_told_with_its_kind() -> None:
    prune = PruneConfig(granularity="neuron", criterion="l2", fraction=0.5)
    config = one("Attention", prune=prune)
    told = left_out(config, load_dataset(config.data))
    assert told["layer.self_attn.in_proj_weight"] == (
        "the rows of its weight are parts of queries, keys and values"
    )
    assert "output.weight" in told
