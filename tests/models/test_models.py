"""Networks: their names, their sizes, and weights that come from their stream alone."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from scipy import stats
from torch import nn

from lottery.core import prunable_weights
from lottery.errors import UsageError
from lottery.experiments import ExperimentConfig
from lottery.experiments.execute import initialized, make_model
from lottery.models import MODELS, build_model, check_model, glorot_normal_, mlp
from lottery.rng import Streams
from lottery.testing import tiny_dataset


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


@pytest.mark.parametrize(
    "name",
    ["lenet", "mlp", "mlp-", "mlp-0", "mlp-10-", "mlp-05", "mlp--3", "MLP-3", "mlp-3\n", ""]
    + ["mlp-tanh", "mlp-3-tanh-tanh", "mlp-3-relu", "mlp-3-dropout0.5-tanh", "lenet-300-100-tanh"]
    + [
        f"mlp-3-dropout{share}" for share in ("", "0", "0.0", "1", "1.0", "1.5", ".5", "0.50", "5%")
    ],
)
def test_unknown_names_list_the_choices(name: str) -> None:
    problem = check_model(name)

    assert problem is not None
    assert "lenet-300-100" in problem
    assert "mlp-A-B-C" in problem
    assert "-dropoutP may follow in this order, P between 0 and 1" in problem
    with pytest.raises(UsageError):
        build_model(name, (1, 28, 28), 10)


def test_known_names_have_no_problem() -> None:
    names = (*MODELS, "mlp-1", "mlp-300-100", "mlp-9-tanh", "mlp-9-tanh-dropout0.05")
    assert [check_model(name) for name in names] == [None] * len(names)


def test_near_misses_are_named() -> None:
    assert "did you mean 'lenet-300-100'?" in (check_model("lenet-300-10") or "")


def test_glorot_is_gaussian_with_the_right_deviation_and_biases_are_zero() -> None:
    model = build_model("lenet-300-100", (1, 28, 28), 10)

    glorot_normal_(model, torch.Generator().manual_seed(0))

    for name, weight in prunable_weights(model).items():
        fan_out, fan_in = weight.shape
        standard = weight.flatten().double().numpy() / math.sqrt(2 / (fan_in + fan_out))
        assert stats.kstest(standard, "norm").pvalue > 0.01, name
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()


def test_glorot_counts_a_kernels_area_and_spares_normalization() -> None:
    convolution, normalization = nn.Conv2d(16, 32, 3), nn.BatchNorm2d(32)
    with torch.no_grad():
        normalization.weight.fill_(0.7)
        normalization.bias.fill_(0.7)

    glorot_normal_(nn.Sequential(convolution, normalization), torch.Generator().manual_seed(0))

    deviation = float(convolution.weight.detach().std())
    assert deviation == pytest.approx(math.sqrt(2 / ((16 + 32) * 9)), rel=0.05)
    assert torch.equal(normalization.weight, torch.full((32,), 0.7))
    assert not normalization.bias.any()


def test_initial_weights_come_from_their_stream_and_leave_the_global_one() -> None:
    config, data = ExperimentConfig(name="test", model="mlp-6-5"), tiny_dataset()
    states, randomness = [], []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            before = torch.get_rng_state()
            make_model(config, data)
            states.append(initialized(config, data, Streams(0, 0), "init").state_dict())
            randomness.append(torch.equal(before, torch.get_rng_state()))

    assert randomness == [True, True]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_other_seeds_replicates_and_purposes_give_other_weights() -> None:
    config, data = ExperimentConfig(name="test", model="mlp-6-5"), tiny_dataset()
    models = [
        initialized(config, data, Streams(seed, replicate), purpose)
        for seed, replicate, purpose in [
            (0, 0, "init"),
            (1, 0, "init"),
            (0, 1, "init"),
            (0, 0, "reinit-1"),
        ]
    ]
    weights = [prunable_weights(model)["fc1.weight"] for model in models]

    for number, weight in enumerate(weights):
        assert not any((weight == other).any() for other in weights[number + 1 :])
