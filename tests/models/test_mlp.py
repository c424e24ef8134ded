"""Fully connected networks: their names, their sizes, and what they compute."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from lottery.core import prunable_weights
from lottery.models import build_model, mlp


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_lenet_300_100_is_that_of_the_paper() -> None:
    model = build_model("lenet-300-100", (1, 28, 28), 10)

    weights = prunable_weights(model)

    assert parameters(model) == 266_610
    assert {name: tuple(w.shape) for name, w in weights.items()} == {
        "fc1.weight": (300, 784),
        "fc2.weight": (100, 300),
        "output.weight": (10, 100),
    }
    assert sum(w.numel() for w in weights.values()) == 266_200
    assert parameters(model) - 266_200 == 410


@pytest.mark.parametrize(
    ("name", "widths"), [("mlp-300-100", [784, 300, 100, 10]), ("mlp-5", [784, 5, 10])]
)
def test_hidden_widths_by_name(name: str, widths: list[int]) -> None:
    model = build_model(name, (1, 28, 28), 10)

    shapes = [tuple(w.shape) for w in prunable_weights(model).values()]

    assert shapes == [(after, before) for before, after in pairwise(widths)]
    assert model(torch.zeros(3, 1, 28, 28)).shape == (3, 10)


def test_mlp_computes_what_it_says() -> None:
    model = mlp((2,), (3,), 2)
    x = torch.tensor([[0.3, -1.2]])
    first, output = model.get_submodule("fc1"), model.get_submodule("output")
    assert isinstance(first, nn.Linear)
    assert isinstance(output, nn.Linear)

    hidden = (x @ first.weight.T + first.bias).clamp(min=0)

    torch.testing.assert_close(model(x), hidden @ output.weight.T + output.bias)
    assert [*dict(mlp((2,), (), 2).named_children())] == ["flatten", "output"]


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("mlp-6-5", "flatten fc1 relu1 fc2 relu2 output"),
        ("mlp-6-5-tanh", "flatten fc1 tanh1 fc2 tanh2 output"),
        ("mlp-6-dropout0.5", "flatten fc1 relu1 dropout1 output"),
        ("mlp-6-5-tanh-dropout0.25", "flatten fc1 tanh1 dropout1 fc2 tanh2 dropout2 output"),
    ],
)
def test_activation_and_dropout_by_name(name: str, layers: str) -> None:
    model = build_model(name, (2, 2), 3)
    plain = mlp((2, 2), (6, 5) if "fc2" in layers else (6,), 3)

    assert " ".join(dict(model.named_children())) == layers
    assert [*model.state_dict()] == [*plain.state_dict()]
    shares = {module.p for module in model.modules() if isinstance(module, nn.Dropout)}
    assert shares == ({float(name.partition("dropout")[2])} if "dropout" in name else set())


def test_tanh_is_the_hidden_layers_alone() -> None:
    model = mlp((2,), (3,), 2, activation="tanh", dropout=0.5).eval()
    x = torch.tensor([[0.3, -1.2]])
    first, output = model.get_submodule("fc1"), model.get_submodule("output")
    assert isinstance(first, nn.Linear)
    assert isinstance(output, nn.Linear)

    hidden = (x @ first.weight.T + first.bias).tanh()

    torch.testing.assert_close(model(x), hidden @ output.weight.T + output.bias)
