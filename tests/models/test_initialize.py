"""Initial weights: their distribution, and that they come from their generator alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from bound import initialized, make_model
from kinds_of_networks import Conv1D
from scipy import stats
from torch import Tensor, nn

from lottery.core import prunable_weights
from lottery.experiments import ExperimentConfig
from lottery.models import (
    INITIALIZATIONS,
    MODEL_FAMILIES,
    MODELS,
    Initialization,
    build_model,
    glorot_normal_,
    kaiming_normal_,
    truncated_normal_,
)
from lottery.rng import Streams
from lottery.testing import tiny_dataset

NETWORKS = [
    ("mlp-20-dropout0.5", (1, 4, 4)),
    ("conv-4", (3, 8, 8)),
    ("resnet-8", (3, 8, 8)),
    ("wrn-10-2", (3, 8, 8)),
    ("vgg-11", (3, 16, 16)),
    ("vit-mini-4", (3, 8, 8)),
]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def standardized(values: Tensor, deviation: float) -> float:
    """How well values fit N(0, deviation^2): the p-value of Kolmogorov and Smirnov's test."""
    standard = values.detach().flatten().double().numpy() / deviation
    return float(stats.kstest(standard, "norm").pvalue)


# Distributions


def test_glorot_is_gaussian_with_the_right_deviation_and_biases_are_zero() -> None:
    model = build_model("lenet-300-100", (1, 28, 28), 10)

    glorot_normal_(model, generator())

    for name, weight in prunable_weights(model).items():
        fan_out, fan_in = weight.shape
        assert standardized(weight, math.sqrt(2 / (fan_in + fan_out))) > 0.01, name
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()


def test_glorot_counts_a_kernels_area_and_spares_normalization() -> None:
    convolution, normalization = nn.Conv2d(16, 32, 3), nn.BatchNorm2d(32)
    with torch.no_grad():
        normalization.weight.fill_(0.7)
        normalization.bias.fill_(0.7)

    glorot_normal_(nn.Sequential(convolution, normalization), generator())

    deviation = float(convolution.weight.detach().std())
    assert deviation == pytest.approx(math.sqrt(2 / ((16 + 32) * 9)), rel=0.05)
    assert torch.equal(normalization.weight, torch.full((32,), 0.7))
    assert not normalization.bias.any()


def test_kaiming_counts_what_a_convolution_sends_and_a_linear_layer_gets() -> None:
    model = nn.ModuleDict(
        {
            "convolution": nn.Conv2d(24, 48, (3, 5)),
            "grouped": nn.Conv2d(64, 128, 3, groups=8),
            "linear": nn.Linear(300, 100),
            "table": nn.Embedding(500, 64),
        }
    )

    kaiming_normal_(model, generator())

    weights = dict(model.named_parameters())
    # Each input of a grouped convolution goes to 128 / 8 channels.
    fans = {"convolution": 48 * 15, "grouped": 16 * 9, "linear": 300, "table": 64}
    for name, fan in fans.items():
        assert standardized(weights[f"{name}.weight"], math.sqrt(2 / fan)) > 0.01, name
        assert standardized(weights[f"{name}.weight"], math.sqrt(2.3 / fan)) < 0.01, name


def test_kaiming_keeps_the_size_of_gradients_through_many_convolutions() -> None:
    layers = [layer for _ in range(10) for layer in (nn.Conv2d(64, 64, 3, padding=1), nn.ReLU())]
    model = nn.Sequential(*layers)
    kaiming_normal_(model, generator())
    x = torch.randn(4, 64, 12, 12, generator=generator(1), requires_grad=True)

    sent = torch.randn(4, 64, 12, 12, generator=generator(2))
    model(x).backward(sent)

    assert x.grad is not None
    # A little is lost at the borders; with the wrong gain it would be 2**10 times less.
    assert 0.2 < float(x.grad.square().mean() / sent.square().mean()) < 5


def test_the_truncated_gaussian_is_that_of_scipy() -> None:
    layer = nn.Linear(300, 100)

    truncated_normal_(layer, generator())

    weights = layer.weight.detach().flatten().double().numpy()
    assert stats.kstest(weights / 0.02, stats.truncnorm(-2, 2).cdf).pvalue > 0.01
    assert abs(weights).max() <= 0.04 * (1 + 1e-6)
    assert weights.std() == pytest.approx(0.0176, abs=2e-4)
    assert not layer.bias.any()


@pytest.mark.parametrize("initialize", [kaiming_normal_, truncated_normal_])
def test_normalization_starts_as_the_identity_and_other_vectors_stay(
    initialize: Initialization,
) -> None:
    model = nn.ModuleDict(
        {
            "batch": nn.BatchNorm2d(3),
            "layer": nn.LayerNorm((3, 4)),
            "group": nn.GroupNorm(2, 4),
            "bare": nn.BatchNorm1d(3, affine=False),
            "prelu": nn.PReLU(5),
        }
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.7)

    initialize(model, generator())

    for name, parameter in model.named_parameters():
        expected = 0.7 if name == "prelu.weight" else float(name.endswith("weight"))
        assert torch.equal(parameter, torch.full_like(parameter, expected)), name


# Where the numbers come from


def test_weights_are_drawn_in_the_networks_own_order() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    kaiming_normal_(model, generator(5))

    same, (first, _, last) = generator(5), model
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    for layer in (first, last):
        fan_out, fan_in = layer.weight.shape
        drawn = torch.empty(fan_out, fan_in).normal_(0, math.sqrt(2 / fan_in), generator=same)
        assert torch.equal(layer.weight, drawn)


def test_glorot_draws_the_same_numbers_as_ever() -> None:
    model = build_model("resnet-8", (3, 8, 8), 10)
    glorot_normal_(model, generator(5))

    same = generator(5)
    for name, parameter in model.named_parameters():
        if parameter.dim() >= 2:
            drawn = nn.init.xavier_normal_(torch.empty_like(parameter), generator=same)
            assert torch.equal(parameter, drawn), name
    assert len([*model.parameters()]) > 20


def test_tied_weights_are_drawn_once() -> None:
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    alone = nn.Linear(4, 4)

    kaiming_normal_(nn.Sequential(first, second), generator(5))
    kaiming_normal_(alone, generator(5))

    assert torch.equal(first.weight, alone.weight)


@pytest.mark.parametrize(("name", "shape"), NETWORKS)
@pytest.mark.parametrize("initialization", INITIALIZATIONS)
def test_two_builds_end_equal_whatever_the_global_generator_drew(
    initialization: str, name: str, shape: Sequence[int]
) -> None:
    states = []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = build_model(name, shape, 5)
            before = torch.get_rng_state()
            INITIALIZATIONS[initialization](model, generator(3))
            assert torch.equal(before, torch.get_rng_state())
        states.append(model.state_dict())

    assert [n for n, value in states[0].items() if not torch.equal(value, states[1][n])] == []
    constant = [n for n, value in states[0].items() if value.dim() >= 2 and not value.std() > 0]
    assert constant == []


@pytest.mark.parametrize(
    ("name", "task"),
    [
        *((name, entry.task) for name, entry in MODELS.items()),
        *((family.example, family.task) for family in MODEL_FAMILIES),
    ],
)
def test_no_network_has_a_parameter_that_an_initialization_would_leave(
    name: str, task: tuple[tuple[int, ...], int]
) -> None:
    with torch.device("meta"):
        model = build_model(name, *task)
    scales = {
        f"{module_name}.weight"
        for module_name, module in model.named_modules()
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm)
    }

    for parameter_name, parameter in model.named_parameters():
        drawn, bias = parameter.dim() >= 2, parameter_name.endswith(".bias")
        assert drawn or bias or parameter_name in scales, parameter_name


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


# Weights that are several matrices


class Experts(nn.Module):
    """Nothing but a weight with a matrix for each of four experts."""

    def __init__(self) -> None:
        super().__init__()
        self.num_experts = 4
        self.weight = nn.Parameter(torch.empty(4, 50, 30))


@pytest.mark.parametrize(
    ("layer", "name", "glorot", "kaiming"),
    [
        (nn.LSTM(30, 40), "weight_ih_l0", 2 / (30 + 40), 2 / 30),
        (nn.LSTM(30, 40), "weight_hh_l0", 2 / (40 + 40), 2 / 40),
        (nn.LSTM(30, 40, proj_size=20), "weight_hr_l0", 2 / (40 + 20), 2 / 40),
        (nn.GRU(30, 40), "weight_ih_l0", 2 / (30 + 40), 2 / 30),
        (nn.RNN(30, 40), "weight_ih_l0", 2 / (30 + 40), 2 / 30),
        (nn.GRUCell(30, 40), "weight_ih", 2 / (30 + 40), 2 / 30),
        (nn.MultiheadAttention(32, 2), "in_proj_weight", 2 / (32 + 32), 2 / 32),
        (nn.MultiheadAttention(32, 2, kdim=20), "k_proj_weight", 2 / (20 + 32), 2 / 20),
        (Experts(), "weight", 2 / (50 + 30), 2 / 30),
        # Outputs in columns, and for a transposed convolution fan_out.
        (Conv1D(50, 30), "weight", 2 / (50 + 30), 2 / 30),
        (nn.ConvTranspose2d(30, 20, 3), "weight", 2 / (9 * 30 + 9 * 20), 2 / (9 * 20)),
        (nn.ConvTranspose2d(30, 20, 3, groups=2), "weight", 2 / (9 * 30 + 9 * 10), 2 / (9 * 10)),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_each_matrix_of_a_weight_has_its_own_fans(
    layer: nn.Module, name: str, glorot: float, kaiming: float
) -> None:
    for initialize, variance in ((glorot_normal_, glorot), (kaiming_normal_, kaiming)):
        initialize(layer, generator())
        assert standardized(layer.get_parameter(name), math.sqrt(variance)) > 0.001


@pytest.mark.parametrize("initialize", INITIALIZATIONS.values())
@pytest.mark.parametrize("layer", [nn.LSTM(3, 4, 2), nn.GRUCell(3, 4), nn.MultiheadAttention(4, 2)])
def test_biases_are_zero_whatever_their_names(layer: nn.Module, initialize: Initialization) -> None:
    for parameter in layer.parameters():
        nn.init.ones_(parameter)
    initialize(layer, generator())
    biases = {n: p for n, p in layer.named_parameters() if "bias" in n}
    assert biases
    assert all(bias.eq(0).all() for bias in biases.values())
