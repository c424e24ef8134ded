"""What is allowed and hardly meant is told before a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny

from lottery.core import CRITERIA
from lottery.experiments import RECIPES, Listener, RunOptions, cautions, run_experiment
from lottery.tickets import ControlsConfig, EarlyBirdConfig, PruneConfig
from lottery.training import Length

BEFORE = {"snip", "grasp", "synflow"}


@pytest.mark.parametrize("name", CRITERIA)
def test_criteria_for_networks_before_training(name: str) -> None:
    granularity = "neuron" if CRITERIA[name].per_unit else "weight"
    prune = PruneConfig(criterion=name, granularity=granularity)
    found = cautions(tiny(prune=prune))
    assert len(found) == (name in BEFORE)
    assert all("that are trained; the paper means --set prune.by=rewound" in f for f in found)
    if CRITERIA[name].at_initialization:
        assert cautions(tiny(prune=replace(prune, by="rewound"))) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rounds": 20, "regrow": True}, True),  # FORCE
        ({"rounds": 20, "regrow": True, "by": "rewound"}, False),
        ({"by": "early-bird", "early_bird": EarlyBirdConfig(every=Length(amount=2))}, True),
    ],
)
def test_other_forms_of_it(changes: dict[str, Any], told: bool) -> None:
    assert bool(cautions(tiny(prune=PruneConfig(criterion="snip", **changes)))) == told


def test_an_experiment_that_prunes_nothing_is_told_so() -> None:
    (told,) = cautions(tiny(prune=PruneConfig(criterion="snip"), levels=0))
    assert "nothing is pruned" in told


@pytest.mark.parametrize("name", RECIPES)
def test_no_recipe_needs_one(name: str) -> None:
    assert cautions(RECIPES[name]()) == []


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
    assert told == [*cautions(config), "a training", "a training"]
