"""Which networks the engine takes, and what it says of the others."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import fields

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from lottery.errors import UsageError
from lottery.models import build_model
from lottery.testing import tiny_job
from lottery.training import OptimizerConfig, TrainingConfig
from lottery.training.engines.sparse_cpu import SparseCpuEngine
from lottery.training.engines.sparse_cpu.network import (
    LINEAR,
    RELU,
    TANH,
    LinearLayer,
    NotFullyConnectedError,
    linear_layers,
    refused_setting,
)
from lottery.training.engines.sparse_cpu.training import Training


def layer(
    name: str, inputs: int, outputs: int, activation: int = LINEAR, dropout: float = 0.0
) -> LinearLayer:
    return LinearLayer(
        name=name, inputs=inputs, outputs=outputs, activation=activation, dropout=dropout
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "lenet-300-100",
            [layer("fc1", 12, 300, RELU), layer("fc2", 300, 100, RELU), layer("output", 100, 3)],
        ),
        ("mlp-5", [layer("fc1", 12, 5, RELU), layer("output", 5, 3)]),
        (
            "mlp-5-4-tanh",
            [layer("fc1", 12, 5, TANH), layer("fc2", 5, 4, TANH), layer("output", 4, 3)],
        ),
        ("mlp-7-dropout0.25", [layer("fc1", 12, 7, RELU, 0.25), layer("output", 7, 3)]),
        ("mlp-7-tanh-dropout0.5", [layer("fc1", 12, 7, TANH, 0.5), layer("output", 7, 3)]),
    ],
)
def test_networks_by_name(name: str, expected: list[LinearLayer]) -> None:
    assert linear_layers(build_model(name, (1, 3, 4), 3)) == expected


def test_other_networks_that_are_fully_connected() -> None:
    assert linear_layers(nn.Sequential(nn.Linear(4, 3))) == [layer("0", 4, 3)]
    named = OrderedDict(a=nn.Linear(4, 3), b=nn.ReLU(), c=nn.Dropout(0.0), d=nn.Linear(3, 2))
    assert linear_layers(nn.Sequential(named)) == [layer("a", 4, 3, RELU), layer("d", 3, 2)]
    relu = nn.ReLU()
    shared = nn.Sequential(nn.Linear(4, 3), relu, nn.Linear(3, 2), relu, nn.Linear(2, 2))
    expected = [layer("0", 4, 3, RELU), layer("2", 3, 2, RELU), layer("4", 2, 2)]
    assert linear_layers(shared) == expected


class Subclassed(nn.Sequential):
    """Looks like a Sequential, and may do anything."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs


class Doubled(nn.Linear):
    """Not the layer it looks like."""


def same_layer_twice() -> nn.Module:
    middle = nn.Linear(4, 4)
    return nn.Sequential(middle, nn.ReLU(), middle, nn.ReLU(), nn.Linear(4, 2))


def same_modules_twice() -> nn.Module:
    middle, relu = nn.Linear(4, 4), nn.ReLU()
    return nn.Sequential(middle, relu, middle, relu, nn.Linear(4, 2))


def same_weights_twice() -> nn.Module:
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Linear(4, 2))


def same_biases_twice() -> nn.Module:
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.bias = first.bias
    return nn.Sequential(first, nn.ReLU(), second)


def frozen(name: str) -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    model.get_parameter(name).requires_grad_(False)
    return model


def with_hook(register: Callable[[nn.Module], object]) -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    register(model)
    return model


def ignore(*anything: object) -> None:
    return None


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "a network of another class": (lambda: nn.Linear(4, 2), "it is a Linear, not an nn.Seq"),
    "a subclass": (lambda: Subclassed(nn.Linear(4, 2)), "it is a Subclassed, not an nn.Seq"),
    "nothing": (nn.Sequential, "it has no Linear layer"),
    "a Flatten alone": (lambda: nn.Sequential(nn.Flatten()), "it has no Linear layer"),
    "a part of each example flattened": (
        lambda: nn.Sequential(nn.Flatten(2), nn.Linear(4, 2)),
        "'0' does not flatten whole examples",
    ),
    "examples flattened together": (
        lambda: nn.Sequential(nn.Flatten(0), nn.Linear(4, 2)),
        "'0' does not flatten whole examples",
    ),
    "a Flatten later": (
        lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2)),
        "'2' is a Flatten; it knows Flatten .first., Linear, ReLU, Tanh and Dropout",
    ),
    "a convolution": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2)),
        "'0' is a Conv2d",
    ),
    "a normalization": (
        lambda: nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)),
        "'1' is a BatchNorm1d",
    ),
    "another activation": (
        lambda: nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 2)),
        "'1' is a GELU",
    ),
    "a Linear of another class": (lambda: nn.Sequential(Doubled(4, 2)), "'0' is a Doubled"),
    "weights made of others": (
        lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 2))),
        "'0' is a ParametrizedLinear",
    ),
    "an activation first": (lambda: nn.Sequential(nn.ReLU(), nn.Linear(4, 2)), "'0' is a ReLU"),
    "a Dropout of the inputs": (
        lambda: nn.Sequential(nn.Dropout(0.2), nn.Linear(4, 2)),
        "'0' is a Dropout",
    ),
    "no bias": (lambda: nn.Sequential(nn.Linear(4, 2, bias=False)), "'0' has no bias"),
    "nothing between two layers": (
        lambda: nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)),
        "'1' follows a Linear layer directly",
    ),
    "layers that do not fit": (
        lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(5, 2)),
        "'2' has 5 inputs, and the layer before it 3 outputs",
    ),
    "two activations": (
        lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Tanh(), nn.Linear(3, 2)),
        "'2' is a second activation",
    ),
    "an activation after the Dropout": (
        lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Dropout(), nn.ReLU()),
        "'3' is a second activation",
    ),
    "a Dropout before the activation": (
        lambda: nn.Sequential(nn.Linear(4, 3), nn.Dropout(), nn.ReLU(), nn.Linear(3, 2)),
        "'1' is not one Dropout after an activation",
    ),
    "two Dropouts": (
        lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Dropout(), nn.Dropout()),
        "'3' is not one Dropout after an activation",
    ),
    "a Dropout of everything": (
        lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Dropout(1.0), nn.Linear(3, 2)),
        "'2' is not one Dropout after an activation",
    ),
    "an activation last": (
        lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU()),
        "its last layer is not Linear",
    ),
    "a hook": (
        lambda: with_hook(lambda model: model[0].register_forward_hook(ignore)),  # type: ignore[index]
        "'0' has hooks",
    ),
    "a hook before": (
        lambda: with_hook(lambda model: model[1].register_forward_pre_hook(ignore)),  # type: ignore[index]
        "'1' has hooks",
    ),
    "a hook backward": (
        lambda: with_hook(lambda model: model[0].register_full_backward_hook(ignore)),  # type: ignore[index]
        "'0' has hooks",
    ),
    "a layer that comes twice": (same_layer_twice, "some of its layers share parameters"),
    "a layer and its activation that come twice": (
        same_modules_twice,
        "some of its layers share parameters",
    ),
    "tied weights": (same_weights_twice, "some of its layers share parameters"),
    "tied biases": (same_biases_twice, "some of its layers share parameters"),
    "a hook on the network": (
        lambda: with_hook(lambda model: model.register_forward_hook(ignore)),
        "it has hooks",
    ),
    "frozen weights": (lambda: frozen("0.weight"), "some of its parameters are frozen"),
    "frozen biases": (lambda: frozen("2.bias"), "some of its parameters are frozen"),
}


@pytest.mark.parametrize(("make_model", "reason"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_refused(make_model: Callable[[], nn.Module], reason: str) -> None:
    with torch.random.fork_rng(devices=[]), pytest.raises(NotFullyConnectedError, match=reason):
        linear_layers(make_model())


SETTINGS: dict[str, tuple[TrainingConfig, str]] = {
    "precision": (TrainingConfig(precision="bfloat16"), "not in bfloat16"),
    "channels_last": (TrainingConfig(channels_last=True), "no channels to put last"),
    "compile": (TrainingConfig(compile=True), "in another way than by training.compile"),
    "label_smoothing": (TrainingConfig(label_smoothing=0.1), "no label smoothing"),
    "clip_gradients": (TrainingConfig(clip_gradients=1.0), "does not clip gradients"),
    "averaging": (TrainingConfig(averaging=0.9), "no average of the weights"),
    "recalibrate_batch_norm": (TrainingConfig(recalibrate_batch_norm=1), "no batch normalization"),
    "adamw": (TrainingConfig(optimizer=OptimizerConfig(name="adamw")), "adam and sgd, not adamw"),
    "decay": (
        TrainingConfig(optimizer=OptimizerConfig(weight_decay=0.1, decay="weights")),
        "weight decay is on all parameters",
    ),
}


@pytest.mark.parametrize(("config", "reason"), SETTINGS.values(), ids=list(SETTINGS))
def test_settings_that_are_refused(config: TrainingConfig, reason: str) -> None:
    refused = refused_setting(config)
    assert refused is not None
    assert reason in refused
    assert SparseCpuEngine().refusal(build_model("mlp-5", (4,), 3), config) == refused
    with pytest.raises(UsageError, match=f"the engine sparse_cpu cannot train this: .*{reason}"):
        Training(tiny_job(config))


def test_every_setting_that_it_does_not_know_is_refused() -> None:
    """A new setting must be known here, or be refused."""
    known = {"length", "batch_size", "evaluate_every", "loss", "optimizer", "learning_rate"}
    assert {field.name for field in fields(TrainingConfig)} - known <= set(SETTINGS)
    known = {"name", "momentum", "nesterov", "weight_decay", "beta1", "beta2", "epsilon"}
    assert {field.name for field in fields(OptimizerConfig)} - known <= set(SETTINGS)


def test_decay_that_is_none_is_not_refused() -> None:
    assert refused_setting(TrainingConfig()) is None
    assert refused_setting(TrainingConfig(optimizer=OptimizerConfig(decay="weights"))) is None
