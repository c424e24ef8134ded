"""Whose weights decide, what goes as one, and what weights are drawn from, in whole runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from bound import dense_state
from tiny import tiny
from torch import Tensor

from lottery.core import CRITERIA
from lottery.data import load_dataset
from lottery.errors import UsageError
from lottery.experiments import ExperimentConfig, Listener, RunOptions, run_experiment
from lottery.experiments.plan import needs
from lottery.methods import AnyMethod, AtStep, ControlsConfig, EarlyBird, Iterative
from lottery.models import build_model, kaiming_normal_
from lottery.rng import Streams
from lottery.store import MAIN, JobKey, Store
from lottery.testing.expect import same_bytes
from lottery.tickets import PruneConfig
from lottery.training import Length

DENSE, FIRST, SECOND = (JobKey(0, MAIN, level) for level in range(3))
NAMES = ("fc1.weight", "output.weight")


def go(out: Path, **changes: Any) -> Store:
    """One replicate without controls."""
    values = {"replicates": 1, "controls": ControlsConfig(reinit=0)}
    config = tiny(**(values | changes))
    assert config.problems() == config.prune.problems() == []
    summary = run_experiment(config, RunOptions(out=out, jobs=1, device="cpu"))
    assert summary.failed == 0
    return Store(summary.run)


def largest(weight: Tensor, count: int) -> Tensor:
    """A mask of the largest weights, by sorting them all."""
    kept = torch.zeros(weight.numel(), dtype=torch.bool)
    kept[weight.abs().flatten().argsort(descending=True)[:count]] = True
    return kept.view(weight.shape)


@pytest.mark.parametrize("rewind", [0, 6])
def test_rewound_weights_decide(tmp_path: Path, rewind: int) -> None:
    store = go(
        tmp_path,
        prune=PruneConfig(fraction=0.5),
        method=AtStep(step=Length(amount=rewind)),
    )
    trained = store.weights(DENSE)
    deciding = dense_state(store, rewind)
    for key, share in ((FIRST, 2), (SECOND, 4)):
        ticket = store.ticket(key)
        for name in NAMES:
            count = deciding[name].numel() // share
            assert ticket.mask[name].equal(largest(deciding[name], count))
            assert not ticket.mask[name].equal(largest(trained[name], count))
            assert same_bytes(ticket.weights[name], deciding[name])


@pytest.mark.parametrize(("rewind", "waits_for"), [(0, ()), (6, (DENSE,))])
def test_a_level_pruned_by_rewound_weights_does_not_wait_for_trained_ones(
    rewind: int, waits_for: tuple[JobKey, ...]
) -> None:
    method = AtStep(step=Length(amount=rewind))
    config = tiny(prune=PruneConfig(), method=method, controls=ControlsConfig())
    assert needs(JobKey(0, MAIN, 2), config) == waits_for


def test_neurons_go_whole(tmp_path: Path) -> None:
    prune = PruneConfig(
        granularity="neuron", criterion="l1", fraction=0.5, fractions={"output.weight": 0.0}
    )
    store = go(tmp_path, prune=prune)
    norms = store.weights(DENSE)["fc1.weight"].abs().sum(dim=1, dtype=torch.float64)
    rows = store.ticket(FIRST).mask["fc1.weight"]
    assert rows.all(dim=1).equal(largest(norms, 10))
    assert rows.any(dim=1).equal(rows.all(dim=1))
    assert int(store.ticket(SECOND).mask["fc1.weight"].any(dim=1).sum()) == 5
    assert bool(store.ticket(SECOND).mask["output.weight"].all())


def test_no_class_is_taken_away(tmp_path: Path) -> None:
    prune = PruneConfig(granularity="neuron", criterion="l2", fraction=0.5)
    store = go(tmp_path, model="mlp-20-10", prune=prune)
    for key in (FIRST, SECOND):
        mask = store.ticket(key).mask
        assert mask["output.weight"].all()
        assert mask.kept < mask.total


def test_a_layer_named_for_its_neurons_is_no_output(tmp_path: Path) -> None:
    prune = PruneConfig(granularity="neuron", fractions={"output.weight": 0.2})
    with pytest.raises(UsageError, match="outputs of the network never go"):
        go(tmp_path, prune=prune)
    assert not [*tmp_path.iterdir()]


def test_two_of_four(tmp_path: Path) -> None:
    prune = PruneConfig(granularity="2:4", schedule="one-shot", fractions={"output.weight": 0.0})
    store = go(tmp_path, prune=prune, levels=1)
    mask = store.ticket(FIRST).mask
    assert (mask["fc1.weight"].view(20, -1, 4).sum(dim=2) == 2).all()
    assert mask["output.weight"].all()


def test_whole_residual_blocks_go_and_the_rest_trains(tmp_path: Path) -> None:
    """Two of three branches are empty; the signal goes around them, so that is no collapse."""
    prune = PruneConfig(granularity="residual-block", scope="global", fraction=0.67)
    store = go(tmp_path, model="resnet-8", prune=prune, levels=1)
    mask, result = store.ticket(FIRST).mask, store.result(FIRST)
    branches = [{name for name in mask if name.startswith(f"stage{s}.0.conv")} for s in (1, 2, 3)]
    assert sum(branch <= {*mask.empty_layers} for branch in branches) == 2
    assert {*mask.empty_layers} <= set.union(*branches)
    assert result.status == "done"
    assert {*result.empty_layers} == {*mask.empty_layers}


def test_a_structure_has_the_mean_of_scores_that_are_its_own(tmp_path: Path) -> None:
    """Rows of 784 and of 20 weights compete: a sum would let none of the short ones live."""
    prune = PruneConfig(
        granularity="neuron", criterion="mean-activation", scope="global", fraction=0.5, examples=60
    )
    store = go(tmp_path, model="mlp-20-10", prune=prune, levels=1)
    layers = store.ticket(FIRST).mask.layers
    assert layers["output.weight"] == (100, 100)
    rows = {"fc1.weight": 784, "fc2.weight": 20}
    assert sum(layers[name][0] // width for name, width in rows.items()) == 15
    assert layers["fc2.weight"][0] > 0


def test_weights_are_drawn_as_the_config_says(tmp_path: Path) -> None:
    store = go(tmp_path, initialization="kaiming-normal", levels=0)
    data = load_dataset(tiny().data)
    model = build_model("mlp-20", data.input_shape, data.classes)
    kaiming_normal_(model, Streams(0, 0).generator("init"))
    for name, value in model.state_dict().items():
        assert same_bytes(store.ticket(DENSE).weights[name], value)


CONVOLUTIONS = {"conv1.weight", "conv2.weight"}


@pytest.mark.parametrize(
    ("granularity", "units", "without", "said"),
    [
        ("filter", 14, {"output.weight"}, "a filter is all weights of one output of a convolution"),
        ("kernel", 6 + 48, {"output.weight"}, "a kernel is one input-output pair of a convolut"),
        ("layer", 2, {"output.weight"}, "its outputs are the network's"),
        ("block-4x4", None, set(), ""),
        ("weight", None, set(), ""),
    ],
)
def test_what_is_no_unit_is_told_as_a_run_starts(
    granularity: str, units: int, without: set[str], said: str, tmp_path: Path
) -> None:
    told = list[tuple[int, Mapping[str, str]]]()

    class Hear(Listener):
        def left_out(self, units: int, reasons: Mapping[str, str]) -> None:
            told.append((units, reasons))

    config = tiny(
        model="tiny:NormalizedConvolutions",
        prune=PruneConfig(granularity=granularity, scope="global"),
        replicates=1,
        levels=1,
        controls=ControlsConfig(reinit=0),
    )
    options = RunOptions(out=tmp_path, jobs=1, device="cpu")
    for _ in ("at its start", "not when nothing is left to do"):
        run_experiment(config, options, listener=Hear())
    if not without:
        assert not told
        return
    ((number, reasons),) = told
    assert number == units
    assert reasons.keys() == without
    assert all(reason.startswith(said) for reason in reasons.values())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"method": AtStep(), "controls": ControlsConfig(continued=True)},
            "controls.continued: with method.kind = 'at-step'",
        ),
        (
            {"prune": PruneConfig(granularity="1:2", schedule="one-shot"), "levels": 2},
            "levels: granularity 1:2 is reached at level 1",
        ),
    ],
)
def test_what_contradicts_is_refused(changes: dict[str, Any], said: str) -> None:
    config: ExperimentConfig = tiny(**({"controls": ControlsConfig()} | changes))
    assert any(said in problem for problem in config.problems())


@pytest.mark.parametrize("criterion", [*CRITERIA, "made_up:mine"])
def test_what_only_training_tells_is_not_asked_of_the_initialization(criterion: str) -> None:
    def found(method: AnyMethod) -> list[str]:
        prune = PruneConfig(criterion=criterion, granularity="neuron")
        return tiny(prune=prune, method=method, controls=ControlsConfig()).problems()

    refused = criterion in ("movement", "magnitude-increase", "bn-scale")
    assert found(AtStep()) == refused * [
        "prune.criterion: with method.kind = 'at-step' and method.step = 0 it is the "
        f"initialization that is scored, where '{criterion}' scores all alike; set method.step "
        "above 0, or use another criterion such as 'magnitude'"
    ]
    assert not found(AtStep(step=Length(amount=1)))
    assert not found(Iterative())
    assert not found(EarlyBird())


def test_rounds_and_units_that_contradict_are_refused() -> None:
    prune = PruneConfig(granularity="2:4", schedule="one-shot", rounds=3)
    assert prune.problems() == ["rounds: granularity 2:4 is reached in one round"]
    prune = PruneConfig(scope="lamp", rounds=3, regrow=True)
    assert any("rescales the scores of survivors" in problem for problem in prune.problems())
