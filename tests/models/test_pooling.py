"""What pools, how and where: networks against the definitions in their papers, written out.

The definitions take weights by name and nothing else of the network: no module, no pooling of
torch's.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import lru_cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lottery.models import build_model

State = Mapping[str, Tensor]
Definition = Callable[[State, Tensor], Tensor]


def windows(x: Tensor, size: int, stride: int, padding: int, outside: float) -> Tensor:
    """[N, C, H, W] -> [N, C, rows, columns, size * size]: what each place of the output sees."""
    x = F.pad(x, [padding] * 4, value=outside)
    return x.unfold(2, size, stride).unfold(3, size, stride).flatten(4)


def largest(x: Tensor, size: int, stride: int) -> Tensor:
    return windows(x, size, stride, 0, 0.0).amax(4)


def mean_of_nine(x: Tensor) -> Tensor:
    """The mean over 3 x 3 places; those outside of the image are zeros and count."""
    return windows(x, 3, 1, 1, 0.0).mean(4)


def classified(state: State, x: Tensor) -> Tensor:
    """The output layer on the mean over all positions."""
    return F.linear(x.flatten(2).mean(2), state["output.weight"], state["output.bias"])


def normalized(state: State, name: str, x: Tensor, epsilon: float) -> Tensor:
    """Convolution's batch norm and ReLU; ``name`` is that of the batch norm."""
    mean, variance, weight, bias = (
        state[f"{name}.{part}"].view(1, -1, 1, 1)
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return ((x - mean) / (variance + epsilon).sqrt() * weight + bias).clamp(min=0)


def conv_n(depth: int) -> Definition:
    """arXiv:1803.03635, figure 2: pairs of convolutions, each followed by max pooling."""

    def define(state: State, x: Tensor) -> Tensor:
        for number in range(1, depth + 1):
            weight, bias = state[f"conv{number}.weight"], state[f"conv{number}.bias"]
            x = F.conv2d(x, weight, bias, padding=1).clamp(min=0)
            if number % 2 == 0:
                x = largest(x, 2, 2)
        x = x.flatten(1)
        for name in ("fc1", "fc2"):
            x = F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"]).clamp(min=0)
        return F.linear(x, state["output.weight"], state["output.bias"])

    return define


def vgg(*stages: int) -> Definition:
    """arXiv:1409.1556, table 1: max pooling between stages; then the mean over positions."""

    def define(state: State, x: Tensor) -> Tensor:
        for stage, convolutions in enumerate(stages, start=1):
            for number in range(1, convolutions + 1):
                place = f"{stage}_{number}"
                x = F.conv2d(x, state[f"conv{place}.weight"], padding=1)
                x = normalized(state, f"bn{place}", x, 1e-5)
            if stage < len(stages):
                x = largest(x, 2, 2)
        return classified(state, x)

    return define


def unit(state: State, place: str, x: Tensor, *, stride: int = 1, padded: bool = True) -> Tensor:
    """A convolution of Inception; ``place`` is such as ``mixed1.deep.2``."""
    prefix, _, number = place.rpartition(".")
    prefix = f"{prefix}." if prefix else ""
    weight = state[f"{prefix}conv{number}.weight"]
    padding = (weight.shape[2] // 2, weight.shape[3] // 2) if padded else (0, 0)
    x = F.conv2d(x, weight, stride=stride, padding=padding)
    return normalized(state, f"{prefix}bn{number}", x, 1e-3)


def chain(state: State, place: str, count: int, x: Tensor) -> Tensor:
    for number in range(1, count + 1):
        x = unit(state, f"{place}.{number}", x)
    return x


def inception(state: State, x: Tensor) -> Tensor:
    """arXiv:1512.00567, in the form of the code that the authors published."""
    x = unit(state, "1", x, stride=2, padded=False)
    x = unit(state, "3", unit(state, "2", x, padded=False))
    x = largest(x, 3, 2)
    x = unit(state, "5", unit(state, "4", x, padded=False), padded=False)
    x = largest(x, 3, 2)
    for block in ("mixed1", "mixed2", "mixed3"):
        branches = [
            chain(state, f"{block}.point", 1, x),
            chain(state, f"{block}.large", 2, x),
            chain(state, f"{block}.deep", 3, x),
            unit(state, f"{block}.pool.1", mean_of_nine(x)),
        ]
        x = torch.cat(branches, 1)
    x = torch.cat(
        [
            unit(state, "mixed4.single.1", x, stride=2, padded=False),
            unit(
                state,
                "mixed4.deep.3",
                chain(state, "mixed4.deep", 2, x),
                stride=2,
                padded=False,
            ),
            largest(x, 3, 2),
        ],
        1,
    )
    for block in ("mixed5", "mixed6", "mixed7", "mixed8"):
        branches = [
            chain(state, f"{block}.point", 1, x),
            chain(state, f"{block}.single", 3, x),
            chain(state, f"{block}.deep", 5, x),
            unit(state, f"{block}.pool.1", mean_of_nine(x)),
        ]
        x = torch.cat(branches, 1)
    reduced = [("mixed9.single", 1), ("mixed9.deep", 3)]
    x = torch.cat(
        [
            *(
                unit(state, f"{b}.{n + 1}", chain(state, b, n, x), stride=2, padded=False)
                for b, n in reduced
            ),
            largest(x, 3, 2),
        ],
        1,
    )
    for block in ("mixed10", "mixed11"):
        single, deep = chain(state, f"{block}.single", 1, x), chain(state, f"{block}.deep", 2, x)
        branches = [chain(state, f"{block}.point", 1, x)]
        for name, last in (("single", single), ("deep", deep)):
            sides = ("wide", "tall")
            branches += [unit(state, f"{block}.{name}.split.{side}.1", last) for side in sides]
        x = torch.cat([*branches, unit(state, f"{block}.pool.1", mean_of_nine(x))], 1)
    return classified(state, x)


CASES: dict[str, tuple[tuple[int, int, int], Definition]] = {
    "conv-2": ((3, 9, 8), conv_n(2)),
    "conv-4": ((3, 9, 8), conv_n(4)),
    "conv-6": ((3, 10, 8), conv_n(6)),
    "vgg-11": ((3, 33, 32), vgg(1, 1, 2, 2, 2)),
    "vgg-16": ((3, 32, 32), vgg(2, 2, 3, 3, 3)),
    "inception-v3": ((3, 107, 107), inception),
}


@lru_cache
def drawn(name: str) -> tuple[nn.Module, Tensor, Tensor]:
    """The network with everything drawn, examples, and what is right."""
    shape, define = CASES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_model(name, shape, 5).double().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.normal_(std=(2 / parameter[0].numel()) ** 0.5)
                else:
                    parameter.uniform_(0.5, 1.0)
            for buffer in model.buffers():
                if buffer.is_floating_point():
                    buffer.uniform_(0.5, 1.5)
        inputs = torch.randn(2, *shape, dtype=torch.float64)
    with torch.no_grad():
        expected = define(model.state_dict(), inputs)
    assert float(expected.std(0).min()) > 1e-6, "the examples are told apart"
    return model, inputs, expected


@torch.no_grad()
def as_defined(name: str, model: nn.Module) -> bool:
    _, inputs, expected = drawn(name)
    return bool(torch.allclose(model(inputs), expected, rtol=1e-9, atol=1e-12))


@pytest.mark.parametrize("name", CASES)
def test_networks_are_what_their_papers_define(name: str) -> None:
    assert as_defined(name, drawn(name)[0])


def other_kind(pool: nn.Module) -> nn.Module:
    match pool:
        case nn.MaxPool2d():
            return nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding)
        case nn.AvgPool2d():
            size, stride, padding = pool.kernel_size, pool.stride, pool.padding
            assert not isinstance(size, tuple)
            assert not isinstance(padding, tuple)
            return nn.MaxPool2d(size, stride, padding)
        case nn.AdaptiveAvgPool2d():
            return nn.AdaptiveMaxPool2d(pool.output_size)
    raise AssertionError(f"another kind of pooling: {pool}")


def pools(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if "Pool" in type(module).__name__]


@pytest.mark.parametrize("name", CASES)
def test_another_kind_of_pooling_anywhere_would_be_found(name: str) -> None:
    model = drawn(name)[0]
    places = pools(model)
    assert (
        len(places) == {"conv": int(name[-1]) // 2, "vgg": 5, "inception": 14}[name.split("-")[0]]
    )
    for place in places:
        swapped = copy.deepcopy(model)
        swapped.set_submodule(place, other_kind(swapped.get_submodule(place)))
        assert not as_defined(name, swapped), place


@pytest.mark.parametrize("name", ["conv-4", "conv-6", "vgg-11", "vgg-16", "inception-v3"])
def test_pooling_in_another_place_would_be_found(name: str) -> None:
    """Before the convolution that it follows."""
    model = drawn(name)[0]
    children = dict(model.named_children())
    names = list(children)
    moved = 0
    for place in (n for n in names if n.startswith("pool") and n != "pool"):
        at = names.index(place)
        before = max(i for i in range(at) if names[i].startswith("conv"))
        order = [n for n in names if n != place]
        order.insert(before, place)
        other = nn.Sequential()
        for child in order:
            other.add_module(child, children[child])
        assert not as_defined(name, other), place
        moved += 1
    assert moved >= 2
