"""Experiments whose criterion looks at the network and at examples."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from bound import bound, initialized, make_model, task_of
from tiny import contents, tiny

from lottery.core import (
    CRITERIA,
    CriterionEntry,
    Mask,
    Schedule,
    ScoreContext,
    Scores,
    find_criterion,
)
from lottery.errors import UsageError
from lottery.experiments import RunOptions, RunSummary, run_experiment, smoke
from lottery.methods import AtStep, ControlsConfig
from lottery.store import JobKey, Store
from lottery.tickets import PruneConfig, level_densities, make_probe, prune_mask


def go(prune: PruneConfig, out: Path) -> RunSummary:
    config = tiny(prune=prune, replicates=1, controls=ControlsConfig(reinit=0))
    return run_experiment(config, RunOptions(out=out, jobs=1, device="cpu"))


@pytest.mark.parametrize(
    "prune",
    [
        PruneConfig(criterion="grasp", fraction=0.5, examples=50, batch_size=20),
        PruneConfig(criterion="snip", fraction=0.5, examples=50, rounds=3, regrow=True),
        PruneConfig(criterion="synflow", fraction=0.5, schedule="one-shot", rounds=4, examples=1),
    ],
    ids=lambda prune: prune.criterion,
)
def test_the_same_bytes_again_and_the_masks_it_should_have(
    prune: PruneConfig, tmp_path: Path
) -> None:
    from lottery.data import load_dataset
    from lottery.rng import Streams

    summary = go(prune, tmp_path / "one")

    assert summary.failed == 0
    assert contents(summary.run) == contents(go(prune, tmp_path / "two").run)
    config = tiny(prune=prune, replicates=1, controls=ControlsConfig(reinit=0))
    data, streams, store = load_dataset(config.data), Streams(config.seed, 0), Store(summary.run)
    initial = initialized(config, data, streams, "init").state_dict()
    for level in (1, 2):
        one_shot = prune.schedule == "one-shot"
        deciding = JobKey(0, "main", 0 if one_shot else level - 1)
        before, trained = store.ticket(deciding).mask, store.weights(deciding)
        probe = make_probe(
            prune,
            level,
            before,
            model=make_model(config, data),
            trained=trained,
            data=data,
            loss="cross-entropy",
            streams=streams,
        )
        expected = prune_mask(
            prune, level, before, trained=trained, initial=initial, streams=streams, probe=probe
        )
        mask = store.ticket(JobKey(0, "main", level)).mask
        assert mask == expected
        above = store.ticket(JobKey(0, "main", level - 1)).mask
        assert mask.kept == sum(kept - round(0.5 * kept) for kept, _ in above.layers.values())


ONE_SHOT = [
    {"criterion": "random"},
    {"criterion": "snip", "examples": 50, "rounds": 3},
    {"criterion": "grasp", "examples": 50, "batch_size": 20},
    {"criterion": "synflow", "examples": 1, "rounds": 4},
    {"criterion": "l1", "granularity": "neuron"},
]


@pytest.mark.parametrize("looks", ONE_SHOT, ids=lambda looks: looks["criterion"])
def test_a_one_shot_mask_depends_on_its_density_alone(
    looks: dict[str, Any], tmp_path: Path
) -> None:
    def last_mask(densities: tuple[float, ...], schedule: Schedule, out: str) -> Mask:
        prune = PruneConfig(scope="global", schedule=schedule, densities=densities, **looks)
        config = tiny(
            method=AtStep(),
            prune=prune,
            levels=len(densities),
            replicates=1,
            controls=ControlsConfig(reinit=0),
        )
        store = Store(run_experiment(config, RunOptions(out=tmp_path / out, jobs=1)).run)
        return store.ticket(JobKey(0, "main", len(densities))).mask

    mask = last_mask((0.2,), "one-shot", "one")

    assert mask == last_mask((0.6, 0.4, 0.2), "one-shot", "three")
    if looks["criterion"] != "l1":  # its scores are always the same
        assert mask != last_mask((0.6, 0.4, 0.2), "listed", "listed")


def test_too_few_examples_are_found_before_anything_is_trained(tmp_path: Path) -> None:
    prune = PruneConfig(criterion="snip", examples=4_501)

    with pytest.raises(UsageError, match=r"training examples of mnist-5k, to look at; got 4,501"):
        go(prune, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_criterion_that_cannot_be_imported_is_found_before_anything_is_trained(
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageError, match="no_such_package cannot be imported"):
        go(PruneConfig(criterion="no_such_package:mine"), tmp_path)
    assert not list(tmp_path.iterdir())


def negative(context: ScoreContext) -> Scores:
    return {name: -weight.abs() for name, weight in context.weights.items()}


def test_a_criterion_of_ones_own_may_say_that_it_cannot_be_rescaled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ModuleType("made_up_entry")
    own.mine = CriterionEntry(  # type: ignore[attr-defined]
        score=negative, looks_at="weights", about="-|w|", source="me", rescalable=False
    )
    monkeypatch.setitem(sys.modules, own.__name__, own)
    prune = PruneConfig(criterion="made_up_entry:mine", scope="lamp")
    assert prune.problems() == []
    with pytest.raises(UsageError, match=r"prune\.scope: 'lamp' squares scores"):
        go(prune, tmp_path)
    assert not list(tmp_path.iterdir())
    assert go(replace(prune, scope="global"), tmp_path).failed == 0


def test_examples_do_not_matter_to_weights(tmp_path: Path) -> None:
    """A criterion that looks at weights alone is not held to the number of examples."""
    assert go(PruneConfig(examples=10**6), tmp_path).failed == 0


def test_smoke_keeps_rounds_rounds() -> None:
    prune = PruneConfig(criterion="synflow", rounds=100, regrow=True, examples=5_000)

    shrunk = smoke(tiny(prune=prune)).prune

    assert (shrunk.rounds, shrunk.regrow, shrunk.examples) == (2, True, 20)
    assert shrunk.problems() == []


@pytest.mark.parametrize("schedule", ["geometric", "one-shot"])
def test_speed_is_measured_without_examples_at_the_densities_of_levels(schedule: Schedule) -> None:
    from lottery.data import load_dataset
    from lottery.experiments.measure import _tickets

    prune = PruneConfig(criterion="snip", rounds=3, regrow=True, schedule=schedule)
    config = tiny(prune=prune)
    assert find_criterion("snip") is CRITERIA["snip"]

    data = load_dataset(config.data)
    tickets = [ticket for _, ticket in _tickets(bound(config, data), task_of(config, data))]

    dense = tickets[0].mask
    densities = [ticket.mask.density for ticket in tickets]
    assert densities == pytest.approx(level_densities(prune, dense, 2))
