"""Which layers make a network's outputs, whatever they are called and wherever they stand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lottery.core import make_units, output_layers, prunable_weights
from lottery.errors import UsageError
from lottery.models import build_model

SHAPE = (1, 8, 8)
Forward = Callable[[Any, Tensor], object]


def made(forward: Forward, **layers: nn.Module | nn.Parameter) -> nn.Module:
    """A network of these layers: what it makes of them and of its inputs is the function's."""

    class Made(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, layer in layers.items():
                setattr(self, name, layer)

        def forward(self, inputs: Tensor) -> object:
            return forward(self, inputs)

    return Made()


def hidden(model: Any, inputs: Tensor) -> Tensor:
    found: Tensor = torch.relu(model.body(inputs.flatten(1)))
    return found


def body(width: int = 12) -> nn.Linear:
    return nn.Linear(64, width)


def rows(model: Any, inputs: Tensor) -> Tensor:
    return torch.relu(model.body(inputs[:, 0]))


def ensemble(m: Any, x: Tensor) -> Tensor:
    gate = torch.sigmoid(m.gate(hidden(m, x)))
    return gate * m.one(hidden(m, x)) + (1 - gate) * m.other(hidden(m, x))  # type: ignore[no-any-return]


def attention(m: Any, x: Tensor) -> Tensor:
    tokens = m.body(x[:, 0])
    return m.head(m.attention(tokens, tokens, tokens)[0].mean(1))  # type: ignore[no-any-return]


def lin(outputs: int = 10, inputs: int = 12) -> nn.Linear:
    return nn.Linear(inputs, outputs)


def zero_head() -> nn.Linear:
    head = lin()
    nn.init.zeros_(head.weight)
    return head


CASES: dict[str, tuple[nn.Module, set[str]]] = {
    "the head is registered first": (
        made(lambda m, x: m.head(hidden(m, x)), head=lin(), body=body()),
        {"head"},
    ),
    "mean over positions of a convolution": (
        made(
            lambda m, x: m.last(torch.relu(m.first(x))).mean((2, 3)),
            last=nn.Conv2d(6, 10, 1),
            first=nn.Conv2d(1, 6, 3),
        ),
        {"last"},
    ),
    "mean over features, and logarithms of shares": (
        made(
            lambda m, x: F.log_softmax(m.wide(hidden(m, x)).view(-1, 10, 4).mean(2), 1),
            body=body(),
            wide=lin(40),
        ),
        {"wide"},
    ),
    "heads that are added, and their gate": (
        made(ensemble, body=body(), one=lin(), other=lin(), gate=lin(1)),
        {"one", "other", "gate"},
    ),
    "heads side by side": (
        made(
            lambda m, x: torch.cat([m.one(hidden(m, x)), m.other(hidden(m, x))], 1),
            body=body(),
            one=lin(4),
            other=lin(6),
        ),
        {"one", "other"},
    ),
    "a shortcut past the last layer": (
        made(lambda m, x: hidden(m, x)[:, :10] + m.head(hidden(m, x)), body=body(), head=lin()),
        {"body", "head"},
    ),
    "batch norm and scales after the head": (
        made(
            lambda m, x: m.norm(m.head(hidden(m, x))) * m.scale,
            body=body(),
            head=lin(),
            norm=nn.BatchNorm1d(10),
            scale=nn.Parameter(torch.ones(1, 10)),
        ),
        {"head"},
    ),
    "a frozen head": (
        made(lambda m, x: m.head(hidden(m, x)), body=body(), head=lin().requires_grad_(False)),
        set(),  # masks do not cover it, and what it reads is inside the network
    ),
    "a matrix that is no layer": (
        made(
            lambda m, x: hidden(m, x) @ m.matrix,
            body=body(),
            matrix=nn.Parameter(torch.randn(12, 10)),
        ),
        set(),
    ),
    "an embedding for a head": (
        made(
            lambda m, x: F.linear(hidden(m, x), m.classes.weight),
            body=body(),
            classes=nn.Embedding(10, 12),
        ),
        set(),
    ),
    "a head that starts at zero": (
        made(lambda m, x: m.head(hidden(m, x)), body=body(), head=zero_head()),
        {"head"},
    ),
    "a branch whose scale starts at zero": (
        made(
            lambda m, x: m.head(hidden(m, x)) + m.scale * m.other(hidden(m, x)),
            body=body(),
            head=lin(),
            other=lin(),
            scale=nn.Parameter(torch.zeros(())),
        ),
        {"head", "other"},
    ),
    "class scores weighed by position": (
        made(
            lambda m, x: m.places(m.head(rows(m, x)).transpose(1, 2))[..., 0],
            body=nn.Linear(8, 12),
            head=lin(),
            places=nn.Linear(8, 1),
        ),
        {"head", "places"},
    ),
    "class maps weighed each by a filter of its own": (
        made(
            lambda m, x: m.places(m.head(torch.relu(m.first(x)))).flatten(1),
            first=nn.Conv2d(1, 6, 3),
            head=nn.Conv2d(6, 10, 1),
            places=nn.Conv2d(10, 10, 6, groups=10),
        ),
        {"head", "places"},
    ),
    "attention": (
        made(
            attention,
            body=nn.Linear(8, 12),
            attention=nn.MultiheadAttention(12, 2, batch_first=True),
            head=lin(),
        ),
        {"head"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_layers_that_make_the_outputs(case: str) -> None:
    model, expected = CASES[case]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]

    found = output_layers(model, torch.zeros(2, *SHAPE))

    assert {name.removesuffix(".weight") for name in found} == expected
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("lenet-300-100", (1, 28, 28)),
        ("mlp-20-20-tanh-dropout0.5", (1, 8, 8)),
        ("conv-2", (3, 8, 8)),
        ("resnet-8", (3, 8, 8)),
        ("wrn-10-1", (3, 8, 8)),
        ("vgg-11", (3, 32, 32)),
        ("vit-mini-4", (3, 8, 8)),
        ("resnet-18", (3, 32, 32)),
    ],
)
def test_of_our_networks_it_is_the_layer_called_output(
    name: str, shape: tuple[int, int, int]
) -> None:
    assert [*output_layers(build_model(name, shape, 10), torch.zeros(2, *shape))] == [
        "output.weight"
    ]


def reentrant(m: Any, x: Tensor) -> Tensor:
    found: Tensor = m.head(checkpoint(m.middle, hidden(m, x), use_reentrant=True))
    return found


def test_what_the_trace_does_not_show_is_left_alone() -> None:
    model = made(reentrant, body=body(), middle=lin(12), head=lin())

    found = output_layers(model, torch.zeros(2, *SHAPE))

    assert {*found} == {"body.weight", "middle.weight", "head.weight"}
    assert found["middle.weight"] == "the trace of the network does not show it"


@pytest.mark.parametrize(
    "forward", [lambda m, x: (hidden(m, x),), lambda m, x: hidden(m, x).detach()]
)
def test_a_network_whose_outputs_have_no_trace_is_refused(forward: Forward) -> None:
    with pytest.raises(UsageError, match="one tensor with a gradient"):
        output_layers(made(forward, body=body()), torch.zeros(2, *SHAPE))


def test_no_unit_takes_an_output_of_the_network_whatever_its_kind() -> None:
    model = build_model("mlp-6", SHAPE, 4)
    shapes = {name: tuple(w.shape) for name, w in prunable_weights(model).items()}
    outputs = output_layers(model, torch.zeros(2, *SHAPE))
    assert shapes == {"fc1.weight": (6, 64), "output.weight": (4, 6)}

    for granularity in ("neuron", "layer", "block-1x6", "block-2x999"):
        units = make_units(granularity, shapes, outputs=outputs)
        assert units is not None
        assert [*units.labels] == ["fc1.weight"]
    for granularity in ("block-1x5", "block-4x1", "2:4"):
        units = make_units(granularity, shapes, outputs=outputs)
        assert units is not None
        assert [*units.labels] == ["fc1.weight", "output.weight"]


def test_a_block_that_holds_the_output_layer_stays() -> None:
    shapes = {f"{i}.{j}.weight": (4, 4) for i in (0, 1) for j in (0, 2)}
    units = make_units("residual-block", shapes, outputs={"1.2.weight"})
    assert units is not None
    assert [*units.labels] == ["0.0.weight", "0.2.weight"]


def test_a_network_of_outputs_alone_has_nothing_to_remove() -> None:
    with pytest.raises(UsageError, match="outputs of the network stay"):
        make_units("neuron", {"fc.weight": (10, math.prod(SHAPE))}, outputs={"fc.weight"})


@pytest.mark.parametrize("pattern", ["output.weight", "out*"])
def test_outputs_asked_for_by_name_are_refused(pattern: str) -> None:
    shapes = {"fc1.weight": (6, 64), "output.weight": (4, 6)}
    with pytest.raises(
        UsageError, match=r"this fraction, 0\.1 \(output\.weight: outputs of the network"
    ):
        make_units("neuron", shapes, fractions={pattern: 0.1}, outputs={"output.weight"})
    assert make_units("neuron", shapes, fractions={pattern: 0.0}, outputs={"output.weight"})
    assert make_units("neuron", shapes, fractions={"*": 0.1}, outputs={"output.weight"})
