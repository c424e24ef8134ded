"""Coupled channels by scores of output units: whose score a channel has, and what must stay."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest
import torch
import torch.nn.functional as F
from channels import IMAGES, drawn, gone_from, pruned, rows, traced, writes
from torch import Tensor, nn

from lottery.core import (
    Channel,
    Units,
    make_units,
    prunable_weights,
)
from lottery.errors import UsageError
from lottery.models import build_model
from lottery.tickets import PruneConfig


class Chain(nn.Module):
    """Convolution, norm, convolution, norm, linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 3, 3), nn.BatchNorm2d(3)
        self.output = nn.Linear(3, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return torch.as_tensor(self.output(x.mean((2, 3))))


CHAIN: list[Channel] = [
    (("conv1.weight", 0, (i,)), ("bn1.weight", 0, (i,)), ("conv2.weight", 1, (i,)))
    for i in range(4)
] + [(("conv2.weight", 0, (i,)), ("output.weight", 1, (i,))) for i in range(3)]


def scaled(model: nn.Module, scales: Mapping[str, Sequence[float]]) -> nn.Module:
    with torch.no_grad():
        for norm, values in scales.items():
            model.get_parameter(f"{norm}.weight").copy_(torch.tensor(values))
    return model


def units_of(
    model: nn.Module, channels: Sequence[Channel], config: PruneConfig | None = None
) -> Units:
    shapes = {name: tuple(weight.shape) for name, weight in prunable_weights(model).items()}
    fractions = config.fractions if config else {}
    units = make_units("channel", shapes, channels=channels, fractions=fractions)
    assert units is not None
    return units


def by_scale(removed: float) -> PruneConfig:
    return PruneConfig(
        criterion="bn-scale", granularity="channel", scope="global", fraction=removed
    )


@pytest.mark.parametrize("removed", range(6))
@pytest.mark.parametrize(
    "scores", [((0.9, 0.1, -0.6, 0.3), (0.2, -0.8, 0.05)), ((0.4, 0.3, 0.2, 0.1), (9.0, 8.0, 7.0))]
)
def test_channels_of_a_chain_go_in_the_order_of_their_scales(
    removed: int, scores: tuple[tuple[float, ...], ...]
) -> None:
    """Neither the scales of who reads a channel count, nor that the output layer has none."""
    model = scaled(Chain(), dict(zip(("bn1", "bn2"), scores, strict=True)))
    mask = pruned(model, by_scale(removed / 7), units_of(model, CHAIN))

    # The best of each layer stays whatever it has.
    ranked = sorted(
        (abs(value), layer, i)
        for layer, values in enumerate(scores)
        for i, value in enumerate(values)
        if abs(value) < max(map(abs, values))
    )
    gone = {(layer, i) for _, layer, i in ranked[:removed]}
    for layer, name in enumerate(("conv1.weight", "conv2.weight")):
        assert rows(mask, name) == [i for i in range(len(scores[layer])) if (layer, i) not in gone]
    assert mask["output.weight"].any(0).tolist() == [(1, i) not in gone for i in range(3)]
    assert mask["conv2.weight"].any(3).any(2).any(0).tolist() == [
        (0, i) not in gone for i in range(4)
    ]


def test_what_several_layers_write_has_their_mean() -> None:
    """Residual: conv1 and conv2 are added. The means are .5, .4 and .6, the sums of weights not."""

    class Added(Chain):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
            self.conv2, self.bn2 = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.bn1(self.conv1(x)) + self.bn2(self.conv2(x))
            return torch.as_tensor(self.output(x.mean((2, 3))))

    channels: list[Channel] = [
        (("conv1.weight", 0, (i,)), ("conv2.weight", 0, (i,)), ("output.weight", 1, (i,)))
        for i in range(3)
    ]
    model = scaled(Added(), {"bn1": (0.1, 0.6, 0.3), "bn2": (0.9, 0.2, 0.9)})
    units = units_of(model, channels)

    assert rows(pruned(model, by_scale(1 / 3), units), "conv1.weight") == [0, 2]
    assert rows(pruned(model, by_scale(2 / 3), units), "conv2.weight") == [2]


def test_a_writer_without_a_norm_does_not_hide_the_scale_of_another() -> None:
    class Beside(Chain):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
            self.bn1 = nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv1(x) + self.bn1(self.conv2(x))
            return torch.as_tensor(self.output(x.mean((2, 3))))

    channels: list[Channel] = [
        (("conv1.weight", 0, (i,)), ("conv2.weight", 0, (i,)), ("output.weight", 1, (i,)))
        for i in range(3)
    ]
    model = scaled(Beside(), {"bn1": (0.3, 0.1, 0.2)})

    mask = pruned(model, by_scale(1 / 3), units_of(model, channels))
    assert rows(mask, "conv1.weight") == rows(mask, "conv2.weight") == [0, 2]
    assert mask["output.weight"].any(0).tolist() == [True, False, True]


# Networks by name


def scale_of(model: nn.Module, norms: Mapping[str, str], channel: Channel) -> float:
    """Mean of what the writers' norms have for the channel; infinity where no writer has one."""
    found = [
        abs(model.get_parameter(f"{norms[name]}.weight")[i].item())
        for name, i in writes(channel, model)
        if name in norms
    ]
    return sum(found) / len(found) if found else math.inf


def expected_to_go(
    model: nn.Module, norms: Mapping[str, str], channels: Sequence[Channel], count: int
) -> set[Channel]:
    """The lowest ``count`` of those that are not the best of a layer's outputs, or inputs."""
    value = {channel: scale_of(model, norms, channel) for channel in channels}
    axes: dict[tuple[str, int], list[Channel]] = {}
    for channel in channels:
        for name, dim, _ in channel:
            axes.setdefault((name, dim), []).append(channel)
    best = {max(axis, key=value.__getitem__) for axis in axes.values()}
    return set(sorted((c for c in channels if c not in best), key=value.__getitem__)[:count])


@pytest.mark.parametrize("removed", [0.1, 0.4, 0.6])
def test_scales_decide_in_a_residual_network(removed: float) -> None:
    model = drawn(build_model("resnet-8", IMAGES, 10))
    norms = {
        f"{name}.weight": name.replace("shortcut.conv", "shortcut.bn")
        .replace("conv1", "bn1")
        .replace("conv2", "bn2")
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d)
    }
    channels = traced(model)

    mask = pruned(model, by_scale(removed), units_of(model, channels))

    gone = gone_from(mask, channels, model)
    assert len(gone) == round(removed * len(channels))
    assert gone == expected_to_go(model, norms, channels, len(gone))
    last = [c for c in channels if any(n == "output.weight" for n, _, _ in c)]
    assert removed < 0.4 or gone.intersection(last), "what the output layer reads can go"


def test_scales_say_nothing_of_a_stream_that_no_norm_follows() -> None:
    """Before activation: norms follow the first of a block's convolutions alone, and the stem."""
    model = drawn(build_model("wrn-10-2", IMAGES, 10))
    norms = {f"stage{n}.0.conv1.weight": f"stage{n}.0.bn2" for n in (1, 2, 3)}
    norms["conv1.weight"] = "stage1.0.bn1"
    channels = traced(model)
    mask = pruned(model, by_scale(0.3), units_of(model, channels))

    gone = gone_from(mask, channels, model)
    assert len(gone) == round(0.3 * len(channels))
    assert gone == expected_to_go(model, norms, channels, len(gone))
    assert all(scale_of(model, norms, channel) < math.inf for channel in gone)
    with pytest.raises(UsageError, match=r"cannot say what of stage\d\.0\.conv2\.weight.* is sup"):
        pruned(model, by_scale(0.8), units_of(model, channels))


def test_activations_of_the_readers_do_not_count() -> None:
    """Those of conv1 are the lowest, and conv2, which reads them, has by far the largest."""
    model = Chain()
    with torch.no_grad():
        for norm in (model.bn1, model.bn2):
            norm.weight.zero_()  # so that each output is its shift
        model.bn1.bias.copy_(torch.tensor([0.2, 0.5, 0.1, 0.3]))
        model.bn2.bias.copy_(torch.tensor([9.0, 0.6, 0.4]))
    config = PruneConfig(
        criterion="mean-activation", granularity="channel", scope="global", fraction=3 / 7
    )
    mask = pruned(model, config, units_of(model, CHAIN))

    assert rows(mask, "conv1.weight") == [1]
    assert rows(mask, "conv2.weight") == [0, 1, 2]
