"""Names: each network has one, each name is one network, and a wrong one is answered helpfully."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lottery.errors import UsageError
from lottery.models import MODEL_FAMILIES, MODELS, build_model, check_model
from lottery.models.resnet import IMAGENET_DEPTHS, Bottleneck

KNOWN = (
    *MODELS,
    *(family.example for family in MODEL_FAMILIES),
    *("mlp-1", "mlp-300-100", "mlp-9-tanh", "mlp-9-tanh-dropout0.05"),
    *("conv-2-dropout0.5", "conv-6-dropout0.05"),
    *("resnet-8", "resnet-14", "resnet-1202", "resnet-20-width2", "resnet-56-width16"),
    *("wrn-10-1", "wrn-40-10", "vit-mini-2", "vit-base-16", "vit-tiny-4"),
    *("nets:make", "a.b_c.d2:Class.method", "timm:resnet18", "torchvision:vit_b_16"),
    *("hf:vit", "hf:data2vec-vision"),
)

# Almost names: of networks that do not exist, or a second name of one that does.
WRONG_NUMBERS = {
    "resnet-21": "such as resnet-20",
    "resnet-2": "such as resnet-8",
    "resnet-49": "such as resnet-44",
    "resnet-1208": "such as resnet-1202",
    "resnet-50-width2": "resnet-50 is the network for ImageNet",
    "wrn-16-0": "wrn-D-K",
    "wrn-17-8": "such as wrn-16-8",
    "wrn-4-2": "such as wrn-10-2",
}
NO_NAMES = [
    *("", "lenet", "mlp", "mlp-", "mlp-0", "mlp-10-", "mlp-05", "mlp--3", "MLP-3", "mlp-3\n"),
    *("mlp-tanh", "mlp-3-tanh-tanh", "mlp-3-relu", "mlp-3-dropout0.5-tanh"),
    *("lenet-300-100-tanh", "conv-8", "conv-2-", "conv-2-dropout", "conv-3-dropout0.5"),
    *("resnet-020", "resnet-20-width1", "resnet-20-width02", "resnet-20-width", "resnet-"),
    *("wrn-16", "wrn-16-08", "wrn-28-100", "vgg-12", "vgg", "vit-tiny", "vit-tiny-0"),
    *("vit-tiny-016", "vit-large-16", "inception-v2", "resnet20", "\u0663"),
]
NO_SHARES = ["", "0", "0.0", "1", "1.0", "1.5", ".5", "0.50", "5%", "0.\u0665"]


@pytest.mark.parametrize("name", KNOWN)
def test_known_names_have_no_problem(name: str) -> None:
    assert check_model(name) is None


@pytest.mark.parametrize("name", NO_NAMES)
def test_of_unknown_names_it_is_said_where_all_are_listed(name: str) -> None:
    problem = check_model(name)

    assert problem is not None
    assert "lottery list models prints all" in problem
    assert len(problem) < 500
    with pytest.raises(UsageError):
        build_model(name, (1, 28, 28), 10)


@pytest.mark.parametrize("share", NO_SHARES)
@pytest.mark.parametrize("network", ["mlp-3", "conv-2"])
def test_a_share_of_dropout_is_written_in_one_way(network: str, share: str) -> None:
    problem = check_model(f"{network}-dropout{share}")

    assert problem is not None
    assert "P between 0 and 1 without zeros at its end" in problem


@pytest.mark.parametrize(("name", "hint"), WRONG_NUMBERS.items())
def test_impossible_numbers_are_explained(name: str, hint: str) -> None:
    problem = check_model(name) or ""

    assert name in problem
    assert hint in problem


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("lenet-300-10", "lenet-300-100"),
        ("resnet20", "resnet-20"),
        ("vgg19", "vgg-19"),
        ("inception", "inception-v3"),
        ("vit-small-16px", "vit-small-16"),
    ],
)
def test_near_misses_are_named(name: str, near: str) -> None:
    assert f"did you mean '{near}'" in (check_model(name) or "")


@given(depth=st.integers(0, 1300))
def test_a_depth_of_a_resnet_means_one_network(depth: int) -> None:
    small = depth % 6 == 2 and 8 <= depth <= 1202
    assert (check_model(f"resnet-{depth}") is None) == (small or depth in IMAGENET_DEPTHS)
    assert (check_model(f"resnet-{depth}-width3") is None) == (
        small and depth not in IMAGENET_DEPTHS
    )


def test_depths_that_could_be_two_networks_are_those_of_imagenet() -> None:
    for name in ("resnet-50", "resnet-152"):
        with torch.device("meta"):
            model = build_model(name, (3, 32, 32), 10)
        assert any(isinstance(module, Bottleneck) for module in model.modules())


def outline(model: nn.Module) -> list[str]:
    """Every module with its settings, and every parameter and buffer with its shape."""
    shapes = [f"{name} {tuple(value.shape)}" for name, value in model.state_dict().items()]
    return [repr(model), *shapes]


def test_a_name_in_the_list_that_fits_a_pattern_is_the_same_network() -> None:
    compared = 0
    for name, entry in MODELS.items():
        for family in MODEL_FAMILIES:
            matched = family.pattern.fullmatch(name)
            if matched and not (family.form.startswith("resnet") and entry.task[1] == 1000):
                with torch.device("meta"):
                    model, other = entry.build(*entry.task), family.parse(matched)(*entry.task)
                assert outline(model) == outline(other)
                compared += 1
    assert compared == 10


def test_no_two_names_in_the_list_are_one_network() -> None:
    outlines = []
    for entry in MODELS.values():
        with torch.device("meta"):
            outlines.append("\n".join(outline(entry.build((3, 224, 224), 10))))
    assert len(set(outlines)) == len(MODELS)
