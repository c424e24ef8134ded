"""What is allowed and hardly meant is told before a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny import tiny

from lottery.core import CRITERIA
from lottery.experiments import RECIPES, Listener, RunOptions, config_warnings, run_experiment
from lottery.methods import AtStep, ControlsConfig, EarlyBird
from lottery.tickets import PruneConfig
from lottery.training import Length

BEFORE = {"snip", "grasp", "synflow"}
FORCE = PruneConfig(criterion="snip", rounds=20, regrow=True)


@pytest.mark.parametrize("name", CRITERIA)
def test_criteria_for_networks_before_training(name: str) -> None:
    granularity = "neuron" if CRITERIA[name].per_unit else "weight"
    prune = PruneConfig(criterion=name, granularity=granularity)
    found = config_warnings(tiny(prune=prune))
    assert len(found) == (name in BEFORE)
    assert all("that are trained; the paper means --set method.kind=at-step" in f for f in found)
    if CRITERIA[name].at_initialization:
        assert config_warnings(tiny(prune=prune, method=AtStep())) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"prune": FORCE}, True),
        ({"prune": FORCE, "method": AtStep()}, False),
        ({"prune": FORCE, "method": EarlyBird(every=Length(amount=2))}, True),
    ],
)
def test_other_forms_of_it(changes: dict[str, Any], told: bool) -> None:
    assert bool(config_warnings(tiny(**changes))) == told


def test_an_experiment_that_prunes_nothing_is_told_so() -> None:
    (told,) = config_warnings(tiny(prune=PruneConfig(criterion="snip"), levels=0))
    assert "nothing is pruned" in told


@pytest.mark.parametrize("name", RECIPES)
def test_no_recipe_needs_one(name: str) -> None:
    assert config_warnings(RECIPES[name]()) == []


def test_a_run_says_it_first(tmp_path: Path) -> None:
    told = list[str]()

    class Hear(Listener):
        def noted(self, note: str) -> None:
            told.append(note)

        def finished(self, result: object) -> None:
            told.append("a training")

    prune = PruneConfig(criterion="snip", examples=20, batch_size=20)
    config = tiny(prune=prune, replicates=1, levels=1, controls=ControlsConfig(reinit=0))
    options = RunOptions(out=tmp_path, jobs=1, device="cpu")
    run_experiment(config, options, listener=Hear())
    assert told == [*config_warnings(config), "a training", "a training"]
