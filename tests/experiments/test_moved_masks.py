"""A ticket's mask on another replicate's initialization: as it is, and with neurons aligned."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from bound import bound
from tiny import tiny
from torch import nn

from lottery import find_tickets
from lottery.core import Mask
from lottery.core.matching import correlate, match
from lottery.core.symmetry import permute, probe_symmetry
from lottery.data import load_dataset
from lottery.errors import ConfigError, UsageError
from lottery.experiments import ExperimentConfig, RunOptions, RunSummary, plan, run_experiment
from lottery.experiments.plan import needs, why_never_run
from lottery.experiments.runner import changed_needs
from lottery.methods import AtStep, ControlsConfig, EarlyBird, Iterative, RewindConfig
from lottery.store import MAIN, JobKey, Store
from lottery.tickets import PruneConfig
from lottery.training import Length

BOTH = ControlsConfig(reinit=0, moved=1, aligned=1)
LATE = Iterative(rewind=RewindConfig(to=Length(amount=4)))


def moving(**changes: Any) -> ExperimentConfig:
    return tiny(**({"controls": BOTH, "levels": 2, "method": LATE} | changes))


def go(config: ExperimentConfig, out: Path) -> RunSummary:
    return run_experiment(config, RunOptions(out=out, jobs=1, device="cpu", engine="torch"))


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return go(moving(replicates=3), tmp_path_factory.mktemp("three")).run


@pytest.mark.parametrize(("replicate", "source"), [(0, 1), (1, 0), (2, 1)])
@pytest.mark.parametrize("level", [1, 2])
def test_the_mask_is_the_source_s_and_the_weights_are_its_own(
    three: Path, replicate: int, source: int, level: int
) -> None:
    store = Store(three)
    own = store.ticket(JobKey(replicate, MAIN, level))
    others = store.ticket(JobKey(source, MAIN, level)).mask
    found = {k: store.ticket(JobKey(replicate, f"{k}-1", level)) for k in ("moved", "aligned")}
    assert found["moved"].mask == others != own.mask
    assert found["aligned"].mask not in (others, own.mask)
    for ticket in found.values():
        assert ticket.iteration == 4
        assert ticket.mask.layers == others.layers
        assert all(torch.equal(ticket.weights[n], own.weights[n]) for n in own.weights)


def test_the_aligned_mask_is_the_source_s_under_one_permutation_of_its_neurons(three: Path) -> None:
    config, store = moving(replicates=3), Store(three)
    experiment = bound(config, load_dataset(config.data))
    dense = store.weights(JobKey(2, MAIN, 0))
    whole = store.ticket(JobKey(2, MAIN, 0)).mask
    streams = experiment.context.streams(2)
    probe = experiment.task.probe(config.prune, 0, whole, trained=dense, streams=streams)
    other = deepcopy(probe.model)
    other.load_state_dict(dict(store.weights(JobKey(1, MAIN, 0))))
    symmetry = probe_symmetry(probe)
    moves = match(correlate(probe, other, symmetry))
    assert list(moves) == ["fc1.weight"]
    assert sorted(moves["fc1.weight"].tolist()) == [*range(20)]
    for level in (1, 2):
        mask = store.ticket(JobKey(1, MAIN, level)).mask
        aligned = store.ticket(JobKey(2, "aligned-1", level)).mask
        assert Mask(permute(mask, symmetry, moves)) == aligned


def test_a_run_that_grew_by_a_replicate_is_the_one_made_at_once(
    three: Path, tmp_path: Path
) -> None:
    """And by its controls: what they need of the dense networks was kept with them."""
    plain = moving(replicates=2, levels=1, controls=ControlsConfig(reinit=0))
    for config in (
        plain,
        replace(plain, controls=BOTH),
        moving(replicates=2),
        moving(replicates=3),
    ):
        grown = go(config, tmp_path)
    jobs = plan(moving(replicates=3))
    assert {*grown.results} == {*jobs}
    ours, theirs = Store(grown.run), Store(three)
    assert {k: ours.contents_hash(k) for k in jobs} == {k: theirs.contents_hash(k) for k in jobs}
    experiment = bound(moving(replicates=3), load_dataset(tiny().data), "torch")
    assert changed_needs(experiment, ours, jobs) == {}
    assert {"replicate 1, main, level 0", "replicate 2, main, level 1"} <= {
        *ours.about(JobKey(2, "aligned-1", 2))["made_from"]
    }


def test_an_identity_knows_the_source_and_leaves_those_of_all_other_jobs() -> None:
    data = load_dataset(tiny().data)

    def identities(config: ExperimentConfig) -> dict[JobKey, str]:
        return {key: bound(config, data).identity(key) for key in plan(config)}

    two, five = identities(moving()), identities(moving(replicates=5))
    assert two.items() <= five.items()
    plain = identities(moving(controls=ControlsConfig(reinit=0)))
    assert plain.items() <= two.items()
    start = PruneConfig(criterion="random", fraction=0.5)
    at_start = identities(moving(replicates=3, prune=start, method=AtStep()))
    assert len({*at_start.values()}) == len(at_start), "though the moved ones need no job"


def test_a_control_waits_for_its_source_and_falls_with_it() -> None:
    config, key = moving(replicates=3), JobKey(2, "aligned-1", 2)
    assert needs(key, config) == tuple(
        JobKey(number, MAIN, level) for number in (2, 1) for level in (0, 1)
    )
    lost = {JobKey(1, MAIN, 1): "replicate 1, main, level 0 diverged: loss"}
    assert why_never_run(key, config, {}, lost) == lost[JobKey(1, MAIN, 1)]
    once = moving(prune=PruneConfig(schedule="one-shot"))
    assert needs(JobKey(0, "moved-1", 2), once) == (JobKey(0, MAIN, 0), JobKey(1, MAIN, 0))


@pytest.mark.parametrize(
    "changes",
    [
        {"prune": PruneConfig(fraction=0.5, criterion="random"), "method": AtStep()},
        {
            "prune": PruneConfig(fraction=0.5),
            "method": EarlyBird(every=Length(amount=2), window=2, distance=0.5),
        },
        {"method": Iterative(rewind=RewindConfig(kind="learning-rate"))},
        {"prune": PruneConfig(granularity="neuron", fraction=0.3)},
    ],
    ids=["at initialization", "early-bird", "trained weights", "neurons"],
)
def test_with_every_method(tmp_path: Path, changes: dict[str, Any]) -> None:
    run = go(moving(levels=1, **changes), tmp_path)
    assert {r.status for r in run.results.values()} == {"done"}
    store = Store(run.run)
    source = store.ticket(JobKey(1, MAIN, 1)).mask
    assert store.ticket(JobKey(0, "moved-1", 1)).mask == source
    aligned = store.ticket(JobKey(0, "aligned-1", 1)).mask
    assert aligned.layers == source.layers
    if "granularity" in str(changes) and changes["prune"].granularity == "neuron":
        assert torch.equal(aligned["fc1.weight"].any(1), aligned["fc1.weight"].all(1))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"replicates": 1}, "controls.moved: its mask is that of another .* replicates = 2 or"),
        ({"controls": replace(BOTH, moved=2)}, "controls.moved: nothing of it is drawn"),
        (
            {"prune": PruneConfig(granularity="block-2x2"), "method": Iterative()},
            "controls.aligned: with prune.granularity = 'block-2x2' units are neighbours",
        ),
    ],
)
def test_what_cannot_be_moved_is_refused(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        go(moving(**changes), tmp_path)


def test_too_few_examples_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"prune.examples: expected 3,500 or fewer"):
        go(moving(prune=PruneConfig(examples=5_000)), tmp_path)


def own_loop() -> dict[str, Any]:
    def make_model() -> nn.Module:
        return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))

    x = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long()

    def train(model: nn.Module) -> float:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        return float((model(x).argmax(1) == y).float().mean())

    return {"make_model": make_model, "train": train, "batches": lambda: [(x, y)]}


def test_of_a_loop_of_ones_own() -> None:
    own = own_loop()
    asked: dict[str, Any] = {"levels": 1, "replicates": 2, "verbose": False}
    run = find_tickets(**own, controls={"moved": 1, "aligned": 1}, **asked)
    masks = {key: run.store.ticket(key).mask for key in run.results}
    assert masks[JobKey(0, "moved-1", 1)] == masks[JobKey(1, MAIN, 1)]
    assert masks[JobKey(1, "aligned-1", 1)].layers == masks[JobKey(0, MAIN, 1)].layers
    single: dict[str, Any] = {**own, "make_model": lambda: nn.Sequential(nn.Linear(6, 2))}
    with pytest.raises(UsageError, match=r"no neurons or channels .*\(0\.weight: its outputs"):
        find_tickets(**single, controls={"aligned": 1}, **asked)
    own.pop("batches")
    with pytest.raises(UsageError, match=r"controls.aligned: .* pass batches="):
        find_tickets(**own, controls={"aligned": 1}, **asked)
    with pytest.raises(ConfigError, match=r"controls.moved: its mask is that of another"):
        find_tickets(**own, controls={"moved": 1}, **asked | {"replicates": 1})
