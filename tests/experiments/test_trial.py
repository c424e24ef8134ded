"""Networks that cannot take the data are found out before anything is trained."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from bound import check
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny
from torch import Tensor, nn
from torch.nn import functional as F

from lottery.core import CRITERIA, CriterionEntry, ScoreContext, Scores
from lottery.data import DataConfig, Dataset, load_dataset
from lottery.errors import LotteryError, MaskError, UsageError
from lottery.experiments import ExperimentConfig, RunOptions, run_experiment
from lottery.experiments.lengths import last_iteration
from lottery.experiments.trial import check_batches_of_one, check_forward, smallest_batch
from lottery.methods import AtStep, ControlsConfig, EarlyBird, Iterative, RewindConfig
from lottery.models import MODELS, build_model
from lottery.tasks import Supervised
from lottery.testing import tiny_dataset
from lottery.tickets import PruneConfig
from lottery.training import Length, TrainingConfig


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 60))
def test_the_smallest_batch_is_that_of_an_order_cut_up(
    examples: int, batch_size: int, iterations: int
) -> None:
    sizes = [len(batch) for batch in torch.arange(examples).split(batch_size)]
    assert smallest_batch(examples, batch_size, iterations) == min(sizes[:iterations])


class Wanting(nn.Module):
    """Takes what comes, and gives what a function makes of it and of the training mode."""

    def __init__(self, give: Callable[[Tensor, bool], object]) -> None:
        super().__init__()
        self.give = give

    def forward(self, inputs: Tensor) -> object:
        return self.give(inputs, self.training)


def linear(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, outputs))


def no_network(inputs: Tensor, _: bool) -> object:
    raise LotteryError("this network says itself what is wrong")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return tiny_dataset(input_shape=(1, 4, 4))  # three classes


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (lambda: linear(48, 3), "in evaluation mode it fails with RuntimeError: mat1 and mat2"),
        (lambda: linear(16, 5), r"in evaluation mode it gives outputs of shape \(2, 5\)"),
        (lambda: nn.Linear(4, 3), r"in evaluation mode it gives outputs of shape \(2, 1, 4, 3\)"),
        (lambda: Wanting(lambda x, _: (x, x)), "in evaluation mode it gives an object of type tu"),
        (
            lambda: Wanting(lambda x, training: (x,) if training else x.flatten(1)[:, :3]),
            "in training mode it gives an object of type tuple",
        ),
        (
            lambda: Wanting(lambda x, _: x.flatten(1)[:, :3].long()),
            "in evaluation mode it gives numbers of type torch.int64",
        ),
        (
            lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(3), nn.Linear(16, 3)),
            "in evaluation mode it fails with",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_what_was_fed(
    data: Dataset, network: Callable[[], nn.Module], said: str
) -> None:
    with torch.random.fork_rng(devices=[]), pytest.raises(UsageError, match=said) as caught:
        check_forward("mine:net", network, data)
    text = str(caught.value)
    assert text.startswith("model 'mine:net': expected outputs of shape (2, 3), for 3 classes")
    assert "from a batch of shape (2, 1, 4, 4)" in text
    assert text.endswith("choose a network for examples of shape (1, 4, 4), or other data")


def test_an_error_that_says_what_to_do_is_left_as_it_is(data: Dataset) -> None:
    with pytest.raises(LotteryError, match="says itself what is wrong") as caught:
        check_forward("mine:net", lambda: Wanting(no_network), data)
    assert not isinstance(caught.value, UsageError)


def test_a_trial_draws_nothing_that_others_draw(data: Dataset) -> None:
    """Neither building, nor dropout in training mode, moves torch's global generator."""
    before = torch.random.get_rng_state()
    check_forward("mine:net", lambda: nn.Sequential(linear(16, 3), nn.Dropout()), data)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_networks_in_double_precision_are_fed_that(data: Dataset) -> None:
    with torch.random.fork_rng(devices=[]):
        check_forward("mine:net", lambda: linear(16, 3).double(), data)


@pytest.mark.parametrize("name", ["lenet-300-100", "conv-2", "resnet-20", "vit-mini-4"])
def test_networks_of_ours_fit(name: str) -> None:
    shape, classes = MODELS[name].task
    data = tiny_dataset(input_shape=shape, classes=classes)
    check_forward(name, lambda: build_model(name, shape, classes), data)


def test_a_run_says_so_before_it_begins(tmp_path: Path) -> None:
    config = tiny(model="torch.nn:Identity")  # it takes any arguments, and gives what it is given
    with pytest.raises(UsageError, match=r"it gives outputs of shape \(2, 1, 28, 28\)"):
        run_experiment(config, RunOptions(out=tmp_path, jobs=1, device="cpu"))
    assert not list(tmp_path.iterdir())


def half_normalized(input_shape: Sequence[int], classes: int) -> nn.Module:
    """Ten units with batch normalization, ten without, and the outputs."""
    layers: list[tuple[str, nn.Module]] = [
        ("flat", nn.Flatten()),
        ("fc1", nn.Linear(input_shape[0] * input_shape[1] * input_shape[2], 10)),
        ("norm", nn.BatchNorm1d(10)),
        ("relu", nn.ReLU()),
        ("fc2", nn.Linear(10, 10)),
        ("relu2", nn.ReLU()),
        ("output", nn.Linear(10, classes)),
    ]
    return nn.Sequential(OrderedDict(layers))


class Uncalled(nn.Module):
    """A layer whose weight is used without it."""

    def __init__(self, input_shape: Sequence[int], classes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(input_shape[1] * input_shape[2], 10)
        self.output = nn.Linear(10, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.output(F.linear(inputs.flatten(1), self.fc1.weight).relu())
        return outputs


class Deep(nn.Module):
    """So many residual blocks that the signal overflows unless normalization fits the data."""

    def __init__(self, input_shape: Sequence[int], classes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(input_shape[1] * input_shape[2], 4)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 4)) for _ in range(500)
        )
        self.output = nn.Linear(4, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        signal = self.fc1(inputs.flatten(1))
        for block in self.blocks:
            signal = signal + block(signal)
        outputs: Tensor = self.output(signal)
        return outputs


class Squeezed(nn.Module):
    """Drops every dimension of one, that of the batch too."""

    def __init__(self, input_shape: Sequence[int], classes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(input_shape[1] * input_shape[2], classes)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.fc1(inputs.flatten(1))
        return outputs.squeeze()


def failing(_: ScoreContext) -> Scores:
    raise ZeroDivisionError("this criterion of mine is wrong")


def of_half(context: ScoreContext) -> Scores:
    return {name: weight[:1].abs() for name, weight in context.weights.items()}


def drawing(context: ScoreContext) -> Scores:
    return {name: torch.rand(weight.shape) for name, weight in context.weights.items()}


def relative(context: ScoreContext) -> Scores:
    """NaN wherever a weight has not moved."""
    moved = {name: context.weights[name] - context.initial[name] for name in context.mask}
    return {name: change.abs() / change.norm() for name, change in moved.items()}


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of a user's own with these networks and criteria."""
    own = ModuleType("made_up_trials")
    for one in (half_normalized, Squeezed, Uncalled, Deep, failing, of_half, drawing, relative):
        setattr(own, one.__name__, one)
    monkeypatch.setitem(sys.modules, own.__name__, own)
    return own


def experiment(prune: PruneConfig, model: str = "mlp-20", **changes: Any) -> ExperimentConfig:
    values = {"replicates": 1, "controls": ControlsConfig(reinit=0)} | changes
    return tiny(model=model, prune=prune, **values)


def checked(config: ExperimentConfig) -> None:
    assert config.problems() == config.prune.problems() == []
    check(config, load_dataset(config.data))


NORMALIZED = "made_up_trials:half_normalized"


def with_batches(
    model: str, batch_size: int, length: int, *, recalibrate: int = 0, **changes: Any
) -> ExperimentConfig:
    """Of 3,601 training examples: 60 batches of 60, and one more."""
    training = TrainingConfig(
        length=Length(amount=length), batch_size=batch_size, recalibrate_batch_norm=recalibrate
    )
    data = DataConfig(name="mnist-5k", validation=399)
    return experiment(PruneConfig(), model, training=training, data=data, **changes)


ONE_EPOCH_LATER = Iterative(rewind=RewindConfig(kind="fine-tune", length=Length(amount=61)))
FOR_LONGER = ControlsConfig(reinit=0, scratch_flops=1)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (with_batches(NORMALIZED, 60, 61), "3,601 training examples in batches of 60 give"),
        (with_batches(NORMALIZED, 3_600, 2), "3,601 training examples in batches of 3,600 give"),
        (with_batches(NORMALIZED, 1, 3), "3,601 training examples in batches of 1 give"),
        (with_batches(NORMALIZED, 60, 9, method=ONE_EPOCH_LATER), "in batches of 60 give"),
        (with_batches(NORMALIZED, 60, 31, controls=FOR_LONGER), "in batches of 60 give"),
        (with_batches("made_up_trials:Squeezed", 60, 61), "it gives outputs of shape (10,) ("),
    ],
)
def test_a_batch_of_one_that_a_network_cannot_learn_from_stops_a_run_before_it_begins(
    config: ExperimentConfig, said: str, made_up: ModuleType, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        run_experiment(config, RunOptions(out=tmp_path, jobs=1, device="cpu"))
    assert str(caught.value).startswith(f"model '{config.model}': 3,601 training examples in ")
    assert said in str(caught.value)
    assert "batch norm needs 2 values or more of each channel" in str(caught.value)
    assert "change training.batch_size, or by data.validation" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_statistics_of_one_example_stop_a_run_before_it_begins(
    made_up: ModuleType, tmp_path: Path
) -> None:
    config = with_batches(NORMALIZED, 60, 5, recalibrate=1)
    with pytest.raises(UsageError, match=r"training\.recalibrate_batch_norm: expected 2 .*got 1"):
        run_experiment(config, RunOptions(out=tmp_path, jobs=1, device="cpu"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "config",
    [
        with_batches(NORMALIZED, 60, 60),  # it ends before the batch of one
        with_batches(NORMALIZED, 90, 40, recalibrate=2),
        with_batches("tiny:NormalizedConvolutions", 60, 61, recalibrate=1),
        with_batches("mlp-20", 60, 61),
        with_batches("mlp-20", 1, 3),
    ],
)
def test_a_batch_of_one_that_never_comes_or_does_no_harm_is_not_refused(
    config: ExperimentConfig, made_up: ModuleType, tmp_path: Path
) -> None:
    summary = run_experiment(config, RunOptions(out=tmp_path, jobs=1, device="cpu"))
    assert summary.failed == 0


@pytest.mark.parametrize(("side", "goes"), [(16, False), (32, True)])
def test_a_batch_of_one_small_image_is_too_little_for_vgg(side: int, goes: bool) -> None:
    """On 16 x 16 pixels the last maps of VGG-11 are one number each."""
    data = tiny_dataset(7, input_shape=(3, side, side))
    training = TrainingConfig(length=Length(amount=3), batch_size=3)
    config = ExperimentConfig(model="vgg-11", training=training)
    task = Supervised(config, data)
    if goes:
        check_batches_of_one(config, task)
        return
    with pytest.raises(UsageError, match="7 training examples in batches of 3 give a batch of 1"):
        check_batches_of_one(config, task)


def test_the_longest_training_is_what_counts() -> None:
    data = tiny_dataset()  # 27 examples
    config = with_batches("mlp-20", 9, 10)
    assert last_iteration(config, len(data.train)) == 10
    assert last_iteration(replace(config, method=ONE_EPOCH_LATER), len(data.train)) == 71
    epochs = replace(ONE_EPOCH_LATER.rewind, length=Length(amount=2, unit="epochs"))
    assert (
        last_iteration(
            replace(config, method=Iterative(rewind=epochs), controls=FOR_LONGER), len(data.train)
        )
        == 20
    )
    assert (
        last_iteration(
            replace(config, method=Iterative(rewind=RewindConfig(to=Length(amount=4)))),
            len(data.train),
        )
        == 10
    )


SCALES = PruneConfig(criterion="bn-scale", granularity="neuron", scope="global", examples=20)
PAIRS = PruneConfig(criterion="snip", examples=20, batch_size=2)


@pytest.mark.parametrize(
    ("prune", "model", "said"),
    [
        (SCALES, "mlp-20", "'bn-scale' cannot say what of fc1.weight is superfluous"),
        # 20 units, of which 6 are left after the second level, and 10 have no score.
        (replace(SCALES, fraction=0.45), "made_up_trials:half_normalized", "what of fc2.weight"),
        (
            replace(SCALES, schedule="linear", final_density=0.4),
            "made_up_trials:half_normalized",
            "what of fc2.weight",
        ),
        (
            replace(SCALES, schedule="listed", densities=(0.8, 0.4)),
            "made_up_trials:half_normalized",
            "what of fc2.weight",
        ),
        (
            replace(PAIRS, batch_size=1, batch_statistics=True),
            "tiny:NormalizedConvolutions",
            "expected batches of 2 examples or more, got one of 1",
        ),
        (
            replace(PAIRS, criterion="grasp", examples=3),
            "tiny:NormalizedConvolutions",
            "expected batches of 2 examples or more, got one of 1",
        ),
        (
            PruneConfig(criterion="wanda", examples=20),
            "made_up_trials:Uncalled",
            "looks at the layers of fc1.weight, but the network never calls them",
        ),
        (
            PruneConfig(criterion="apoz", granularity="neuron", examples=20),
            "made_up_trials:Uncalled",
            "looks at the layers of fc1.weight, but the network never calls them",
        ),
        (
            PruneConfig(criterion="made_up_trials:failing", examples=20),
            "mlp-20",
            "prune.criterion: 'made_up_trials:failing' fails on this network, before any training, "
            "with ZeroDivisionError: this criterion of mine is wrong; choose another, or mend it",
        ),
        (
            PruneConfig(criterion="made_up_trials:relative", examples=20),
            AtStep(),
            "surviving scores of 'fc1.weight' are NaN",
        ),
        (
            PruneConfig(criterion="made_up_trials:of_half", examples=20),
            "mlp-20",
            "scores of 'fc1.weight' have shape (1, 784), its weight (20, 784)",
        ),
    ],
)
def test_a_criterion_that_cannot_score_the_network_is_found_before_anything_is_trained(
    prune: PruneConfig, model: str | AtStep, said: str, made_up: ModuleType, tmp_path: Path
) -> None:
    config = experiment(
        prune, **({"model": model} if isinstance(model, str) else {"method": model})
    )
    with pytest.raises((UsageError, MaskError)) as caught:
        run_experiment(config, RunOptions(out=tmp_path, jobs=1, device="cpu"))
    assert said in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("prune", "model"),
    [
        (SCALES, "made_up_trials:half_normalized"),  # 13 of 20 are left
        (replace(SCALES, fractions={"fc2.weight": 0.0}), "made_up_trials:half_normalized"),
        (PAIRS, "tiny:NormalizedConvolutions"),
        (replace(PAIRS, batch_size=1), "tiny:NormalizedConvolutions"),
        (replace(PAIRS, batch_size=1, batch_statistics=True), "mlp-20"),
        (PruneConfig(criterion="taylor", examples=20), "made_up_trials:Uncalled"),
        (PruneConfig(criterion="taylor", examples=20), "made_up_trials:Deep"),
        (PruneConfig(criterion="made_up_trials:relative", examples=20), "mlp-20"),
    ],
)
def test_a_criterion_that_can_score_it_is_not_refused(
    prune: PruneConfig, model: str, made_up: ModuleType
) -> None:
    checked(experiment(prune, model))


def test_only_what_was_never_trained_is_scored_as_if_it_were_not(made_up: ModuleType) -> None:
    prune = PruneConfig(criterion="made_up_trials:relative", examples=20)
    for method in (AtStep(step=Length(amount=3)), EarlyBird(every=Length(amount=1))):
        checked(experiment(prune, method=method))
    with pytest.raises(MaskError):
        checked(experiment(prune, method=AtStep()))


def test_a_criterion_of_ones_own_is_tried_with_all_its_examples_and_ours_with_few(
    made_up: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[list[int]] = []

    def mine(context: ScoreContext) -> Scores:
        assert context.probe is not None
        sizes.append([len(targets) for _, targets in context.probe.batches])
        return context.weights

    made_up.mine = mine  # type: ignore[attr-defined]
    monkeypatch.setitem(CRITERIA, "snip", replace(CRITERIA["snip"], score=mine))
    for name in ("made_up_trials:mine", "snip"):
        checked(experiment(PruneConfig(criterion=name, examples=50, batch_size=20, rounds=3)))
    assert sizes == [[17, 17, 16], [2]]


def test_what_looks_at_weights_alone_and_what_prunes_nothing_is_not_tried(
    made_up: ModuleType,
) -> None:
    made_up.entry = CriterionEntry(  # type: ignore[attr-defined]
        score=failing, looks_at="weights", about="wrong", source="me"
    )
    checked(experiment(PruneConfig(criterion="made_up_trials:entry")))
    checked(experiment(PruneConfig(criterion="made_up_trials:failing", examples=20), levels=0))


def test_a_trial_of_a_criterion_draws_nothing_that_others_draw(made_up: ModuleType) -> None:
    before = torch.random.get_rng_state()
    checked(experiment(PruneConfig(criterion="made_up_trials:drawing", examples=20)))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("known", "prune", "said"),
    [
        ({"at_initialization": False}, {}, "prune.criterion: with method.kind"),
        ({"per_unit": True}, {}, "prune.granularity: the criterion"),
        ({"scores_pruned": False}, {"rounds": 2, "regrow": True}, "prune.regrow: the criterion"),
    ],
)
def test_what_a_criterion_of_ones_own_says_of_itself_is_heeded(
    known: dict[str, Any], prune: dict[str, Any], said: str, made_up: ModuleType
) -> None:
    def entry(**known: Any) -> CriterionEntry:
        return CriterionEntry(score=drawing, looks_at="weights", about="", source="", **known)

    made_up.entry = entry()  # type: ignore[attr-defined]
    method = AtStep() if "at_initialization" in known else Iterative()
    config = experiment(PruneConfig(criterion="made_up_trials:entry", **prune), method=method)
    checked(config)
    made_up.entry = entry(**known)  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match=said):
        checked(config)
