"""Convolutional networks: sizes that were published or follow from their papers' tables."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lottery.core import prunable_weights
from lottery.errors import UsageError
from lottery.models import MODELS, build_model
from lottery.models.resnet import BasicBlock, Bottleneck
from lottery.models.wide_resnet import PreActivationBlock

CIFAR, IMAGENET = (3, 32, 32), (3, 224, 224)

# The fewest pixels that leave one in the end.
LEAST = {
    "conv-2": 2,
    "conv-4": 4,
    "conv-6": 8,
    "resnet-20": 4,
    "wrn-16-8": 4,
    **{f"vgg-{depth}": 16 for depth in (11, 13, 16, 19)},
    **{f"resnet-{depth}": 32 for depth in (18, 50)},
    "inception-v3": 75,
    "vit-mini-4": 4,
    "vit-tiny-16": 16,
}


def on_meta(name: str, input_shape: Sequence[int] = CIFAR, classes: int = 10) -> nn.Sequential:
    with torch.device("meta"):
        model = build_model(name, input_shape, classes)
    assert isinstance(model, nn.Sequential)
    return model


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def weights(model: nn.Module) -> int:
    return sum(weight.numel() for weight in prunable_weights(model).values())


def sizes_through(model: nn.Sequential, input_shape: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Child -> shape of its outputs for one example."""
    sizes, x = {}, torch.empty(1, *input_shape, device="meta")
    for name, child in model.eval().named_children():
        x = child(x)
        sizes[name] = tuple(x.shape[1:])
    return sizes


# Sizes


@pytest.mark.parametrize(
    ("name", "convolutions", "units", "published"),
    [
        ("conv-2", [(3, 64), (64, 64)], 64 * 16 * 16, 4.3),
        ("conv-4", [(3, 64), (64, 64), (64, 128), (128, 128)], 128 * 8 * 8, 2.4),
        # The paper's figure 2 says 1.7, but its layers have this many.
        (
            "conv-6",
            [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256)],
            256 * 4 * 4,
            2.3,
        ),
    ],
)
def test_conv_networks_have_the_layers_of_the_paper(
    name: str, convolutions: list[tuple[int, int]], units: int, published: float
) -> None:
    model = on_meta(name)

    expected = {
        f"conv{n}.weight": (after, before, 3, 3)
        for n, (before, after) in enumerate(convolutions, 1)
    } | {"fc1.weight": (256, units), "fc2.weight": (256, 256), "output.weight": (10, 256)}
    assert {n: tuple(w.shape) for n, w in prunable_weights(model).items()} == expected
    assert round(weights(model) / 1e6, 1) == published
    biases = sum(after for _, after in convolutions) + 256 + 256 + 10
    assert parameters(model) == weights(model) + biases


def test_dropout_follows_both_hidden_fully_connected_layers() -> None:
    plain, model = on_meta("conv-2"), on_meta("conv-2-dropout0.25")

    assert " ".join(dict(model.named_children())) == (
        "conv1 relu1 conv2 relu2 pool1 flatten fc1 relu3 dropout1 fc2 relu4 dropout2 output"
    )
    assert {m.p for m in model.modules() if isinstance(m, nn.Dropout)} == {0.25}
    assert [*model.state_dict()] == [*plain.state_dict()]


def small_resnet_parameters(depth: int, width: int, classes: int) -> int:
    """By hand: convolutions of 3x3 and two numbers per channel for each normalization."""
    blocks, channels = (depth - 2) // 6, [16 * width, 32 * width, 64 * width]
    total = 27 * channels[0] + 2 * channels[0]
    for number, c in enumerate(channels):
        convolutions = [9 * c * c] * (2 * blocks)
        if number:
            convolutions[0] = 9 * c * c // 2  # half as many channels come in
            total += c * c // 2 + 2 * c  # the shortcut
        total += sum(convolutions) + 2 * blocks * 2 * c
    return total + channels[-1] * classes + classes


# He et al. (arXiv:1512.03385), table 6, in millions, without projections.
@pytest.mark.parametrize(
    ("depth", "published"),
    [(20, "0.27"), (32, "0.46"), (44, "0.66"), (56, "0.85"), (110, "1.7"), (1202, "19.4")],
)
def test_small_resnets(depth: int, published: str) -> None:
    model = on_meta(f"resnet-{depth}")

    projections = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert parameters(model) == small_resnet_parameters(depth, 1, 10)
    digits = len(published.partition(".")[2])
    assert f"{(parameters(model) - projections) / 1e6:.{digits}f}" == published
    convolutions = [name for name in prunable_weights(model) if "shortcut" not in name]
    assert len(convolutions) == depth


def test_small_resnets_can_be_wider() -> None:
    assert parameters(on_meta("resnet-20")) == 272_474
    for width in (2, 16):
        model = on_meta(f"resnet-14-width{width}", classes=100)
        assert parameters(model) == small_resnet_parameters(14, width, 100)


def test_small_resnets_halve_the_image_twice() -> None:
    sizes = sizes_through(on_meta("resnet-20"), CIFAR)

    stages = [sizes[stage] for stage in ("conv1", "stage1", "stage2", "stage3")]
    assert stages == [(16, 32, 32), (16, 32, 32), (32, 16, 16), (64, 8, 8)]


# As every implementation has them.
@pytest.mark.parametrize(
    ("depth", "count"),
    [
        (18, 11_689_512),
        (34, 21_797_672),
        (50, 25_557_032),
        (101, 44_549_160),
        (152, 60_192_808),
    ],
)
def test_large_resnets(depth: int, count: int) -> None:
    model = on_meta(f"resnet-{depth}", IMAGENET, 1000)

    assert parameters(model) == count
    convolutions = [name for name in prunable_weights(model) if "shortcut" not in name]
    assert len(convolutions) == depth
    sizes = sizes_through(model, IMAGENET)
    wide = 4 if depth >= 50 else 1
    assert sizes["conv1"] == (64, 112, 112)
    assert [sizes[f"stage{n}"] for n in (1, 2, 3, 4)] == [
        (wide * 64 * 2**n, 56 // 2**n, 56 // 2**n) for n in range(4)
    ]


# Zagoruyko & Komodakis (arXiv:1605.07146), table 4, in millions.
@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("wrn-40-1", 0.6),
        ("wrn-40-2", 2.2),
        ("wrn-40-4", 8.9),
        ("wrn-16-8", 11.0),
        ("wrn-28-10", 36.5),
    ],
)
def test_wide_resnets(name: str, published: float) -> None:
    model = on_meta(name)

    assert round(parameters(model) / 1e6, 1) == published
    depth, width = map(int, name.split("-")[1:])
    # With the shortcuts of the last two stages, or of all three, there are two or three more.
    assert len(prunable_weights(model)) == depth - 2 + (2 if width == 1 else 3)
    assert sizes_through(model, CIFAR)["stage3"] == (64 * width, 8, 8)


def test_wrn_28_10_to_the_last_parameter() -> None:
    assert parameters(on_meta("wrn-28-10")) == 36_479_194


VGG_19 = [3] + [64] * 2 + [128] * 2 + [256] * 4 + [512] * 8
VGG_11 = [3, 64, 128, 256, 256, 512, 512, 512, 512]


@pytest.mark.parametrize(("depth", "channels"), [(11, VGG_11), (19, VGG_19)])
def test_vgg(depth: int, channels: list[int]) -> None:
    model = on_meta(f"vgg-{depth}")

    convolutions = sum(9 * a * b for a, b in pairwise(channels))
    assert len(channels) == depth - 2  # the paper's count has three fully connected layers
    assert weights(model) == convolutions + 512 * 10
    assert parameters(model) == weights(model) + 2 * sum(channels[1:]) + 10
    assert sizes_through(model, CIFAR)["pool4"] == (512, 2, 2)


def test_vgg_weights_are_those_of_the_papers() -> None:
    # 20.0 million in arXiv:1803.03635, figure 2.
    assert weights(on_meta("vgg-19")) == 20_024_000
    assert [len(prunable_weights(on_meta(f"vgg-{depth}"))) for depth in (11, 13, 16, 19)] == [
        9,
        11,
        14,
        17,
    ]


def test_inception() -> None:
    model = on_meta("inception-v3", (3, 299, 299), 1000)

    assert parameters(model) == 23_834_568
    sizes = sizes_through(model, (3, 299, 299))
    assert (sizes["conv3"], sizes["pool2"]) == ((64, 147, 147), (192, 35, 35))
    blocks = [sizes[f"mixed{number}"] for number in range(1, 12)]
    assert blocks == [
        *((c, 35, 35) for c in (256, 288, 288)),
        *((768, 17, 17) for _ in range(5)),
        *((c, 8, 8) for c in (1280, 2048, 2048)),
    ]


# What is computed


def normalized(x: Tensor, name: str, state: dict[str, Tensor]) -> Tensor:
    """Batch normalization in training, written out."""
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
    scale, shift = (state[f"{name}.{part}"].view(1, -1, 1, 1) for part in ("weight", "bias"))
    return (x - mean) / (variance + 1e-5).sqrt() * scale + shift


def randomized(block: nn.Module) -> tuple[nn.Module, dict[str, Tensor]]:
    block, generator = block.double(), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.normal_(generator=generator)
    return block, {name: parameter.detach() for name, parameter in block.named_parameters()}


X = torch.randn(3, 4, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("width", "stride"), [(4, 1), (8, 2)])
def test_a_basic_block_is_two_convolutions_beside_a_shortcut(width: int, stride: int) -> None:
    block, w = randomized(BasicBlock(4, width, stride))

    inner = F.conv2d(X, w["conv1.weight"], stride=stride, padding=1)
    inner = normalized(inner, "bn1", w).clamp(min=0)
    inner = normalized(F.conv2d(inner, w["conv2.weight"], padding=1), "bn2", w)
    beside = X
    if stride == 2:
        beside = F.conv2d(X, w["shortcut.conv.weight"], stride=2)
        beside = normalized(beside, "shortcut.bn", w)

    torch.testing.assert_close(block(X), (inner + beside).clamp(min=0))


def test_a_bottleneck_has_its_stride_in_the_middle() -> None:
    block, w = randomized(Bottleneck(4, 2, 2))

    inner = normalized(F.conv2d(X, w["conv1.weight"]), "bn1", w).clamp(min=0)
    inner = F.conv2d(inner, w["conv2.weight"], stride=2, padding=1)
    inner = normalized(inner, "bn2", w).clamp(min=0)
    inner = normalized(F.conv2d(inner, w["conv3.weight"]), "bn3", w)
    beside = normalized(F.conv2d(X, w["shortcut.conv.weight"], stride=2), "shortcut.bn", w)

    torch.testing.assert_close(block(X), (inner + beside).clamp(min=0))


@pytest.mark.parametrize(("outputs", "stride"), [(4, 1), (8, 2)])
def test_a_pre_activation_block_shares_its_activation(outputs: int, stride: int) -> None:
    block, w = randomized(PreActivationBlock(4, outputs, stride))

    active = normalized(X, "bn1", w).clamp(min=0)
    inner = F.conv2d(active, w["conv1.weight"], stride=stride, padding=1)
    inner = normalized(inner, "bn2", w).clamp(min=0)
    inner = F.conv2d(inner, w["conv2.weight"], padding=1)
    beside = F.conv2d(active, w["shortcut.conv.weight"], stride=2) if outputs == 8 else X

    torch.testing.assert_close(block(X), inner + beside)


# Inputs


@pytest.mark.parametrize(("name", "least"), LEAST.items())
def test_images_that_are_too_small_are_refused_when_the_network_is_built(
    name: str, least: int
) -> None:
    with torch.device("meta"):
        model = build_model(name, (1, least, least), 7).eval()
    assert model(torch.empty(2, 1, least, least, device="meta")).shape == (2, 7)

    with pytest.raises(UsageError, match=f"{name} takes images of {least} x {least} pixels or"):
        build_model(name, (3, least, least - 1), 7)


@pytest.mark.parametrize("name", [*LEAST])
@pytest.mark.parametrize("shape", [(784,), (32, 32), (1, 3, 224, 224), (0, 224, 224)])
def test_what_is_no_image_is_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"shape \(channels, height, width\), got examples of"):
        build_model(name, shape, 7)


@pytest.mark.parametrize("name", [*MODELS])
def test_every_network_maps_its_images_to_logits(name: str) -> None:
    shape, classes = MODELS[name].task
    with torch.device("meta"):
        model = build_model(name, shape, classes).eval()

    assert model(torch.empty(2, *shape, device="meta")).shape == (2, classes)


def test_images_need_not_be_square() -> None:
    for name in ("conv-6", "resnet-8", "wrn-10-1", "vgg-11", "vit-mini-4"):
        with torch.device("meta"):
            model = build_model(name, (2, 16, 24), 5).eval()
        assert model(torch.empty(2, 2, 16, 24, device="meta")).shape == (2, 5)


# Names, gradients, copies

SMALL = [
    ("conv-4-dropout0.5", (3, 8, 8)),
    ("resnet-8", (3, 8, 8)),
    ("resnet-14-width2", (1, 8, 8)),
    ("wrn-10-2", (3, 8, 8)),
    ("vgg-11", (3, 16, 16)),
    ("resnet-18", (3, 32, 32)),
    ("resnet-50", (3, 32, 32)),
    ("inception-v3", (3, 75, 75)),
    ("vit-mini-4", (3, 8, 8)),
]


@pytest.mark.parametrize("name", [name for name in MODELS if name != "lenet-300-100"])
def test_names_of_layers_can_be_matched(name: str) -> None:
    shape, classes = MODELS[name].task
    with torch.device("meta"):
        model = build_model(name, shape, classes)

    for layer, weight in prunable_weights(model).items():
        words = layer.split(".")
        if weight.dim() == 4:
            assert any(word.startswith("conv") for word in words), layer
        elif layer != "output.weight":
            assert words[-2] in ("fc1", "fc2", "qkv", "proj"), layer
    assert [*prunable_weights(model)][-1] == "output.weight"


@pytest.mark.parametrize(("name", "shape"), SMALL)
def test_gradients_reach_every_parameter(name: str, shape: tuple[int, ...]) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_model(name, shape, 3)
        F.cross_entropy(model(torch.randn(6, *shape)), torch.arange(6) % 3).backward()

    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.parametrize(("name", "shape"), SMALL)
def test_copies_and_states_give_the_same_network(name: str, shape: tuple[int, ...]) -> None:
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        model = build_model(name, shape, 3).eval()
        other = build_model(name, shape, 3).eval()
    with torch.no_grad():
        expected = model(x)
        other.load_state_dict(model.state_dict())

        assert torch.equal(copy.deepcopy(model)(x), expected)
        assert torch.equal(other(x), expected)
