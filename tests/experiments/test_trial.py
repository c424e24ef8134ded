"""Networks that cannot take the data are found out before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny import tiny
from torch import Tensor, nn

from lottery.data import Dataset
from lottery.errors import LotteryError, UsageError
from lottery.experiments import RunOptions, run_experiment
from lottery.experiments.trial import check_forward
from lottery.models import MODELS, build_model
from lottery.testing import tiny_dataset


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
