"""Vision Transformers, against torch's own transformer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lottery.core import prunable_weights
from lottery.errors import UsageError
from lottery.models import build_model, truncated_normal_
from lottery.models.vit import TransformerBlock, VisionTransformer


def randomized(model: nn.Module) -> nn.Module:
    """In double precision, with every parameter drawn."""
    model = model.double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3, generator=generator)
    return model


# Touvron et al. (arXiv:2012.12877), as published with their weights.
@pytest.mark.parametrize(
    ("name", "count"),
    [("vit-tiny-16", 5_717_416), ("vit-small-16", 22_050_664), ("vit-base-16", 86_567_656)],
)
def test_sizes_are_those_published(name: str, count: int) -> None:
    with torch.device("meta"):
        model = build_model(name, (3, 224, 224), 1000)

    assert sum(parameter.numel() for parameter in model.parameters()) == count


def test_the_weights_of_linear_layers_and_patches_can_be_pruned_and_nothing_else() -> None:
    with torch.device("meta"):
        model = build_model("vit-mini-4", (3, 32, 32), 10)
    shapes = {name: tuple(weight.shape) for name, weight in prunable_weights(model).items()}

    block = {
        "attention.qkv.weight": (384, 128),
        "attention.proj.weight": (128, 128),
        "fc1.weight": (512, 128),
        "fc2.weight": (128, 512),
    }
    expected = {"conv_patches.weight": (128, 3, 4, 4), "output.weight": (10, 128)}
    for number in range(6):
        expected |= {f"blocks.{number}.{name}": shape for name, shape in block.items()}
    assert shapes == expected


def test_a_block_is_that_of_torch() -> None:
    block = randomized(TransformerBlock(12, 3))
    with torch.random.fork_rng(devices=[]):
        theirs = nn.TransformerEncoderLayer(
            12,
            3,
            48,
            dropout=0,
            activation="gelu",
            layer_norm_eps=1e-6,
            batch_first=True,
            norm_first=True,
            dtype=torch.float64,
        )
    names = {
        "self_attn.in_proj_": "attention.qkv.",
        "self_attn.out_proj.": "attention.proj.",
        "linear1.": "fc1.",
        "linear2.": "fc2.",
    }
    state = {}
    for name in theirs.state_dict():
        ours = name
        for their_name, our_name in names.items():
            ours = ours.replace(their_name, our_name)
        state[name] = block.state_dict()[ours]
    theirs.load_state_dict(state)
    x = torch.randn(2, 5, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    torch.testing.assert_close(block(x), theirs(x))


def test_only_positions_tell_patches_apart() -> None:
    model = randomized(build_model("vit-mini-4", (3, 4, 8), 5))
    assert isinstance(model, VisionTransformer)
    x = torch.randn(2, 3, 4, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    swapped = torch.cat([x[..., 4:], x[..., :4]], dim=-1)

    with torch.no_grad():
        logits, other = model(x), model(swapped)
        model.positions[:, 1:] = model.positions[:, 1:].flip(1)
        both = model(swapped)

    assert (logits - other).abs().max() > 1e-3
    torch.testing.assert_close(both, logits)


def test_the_token_and_the_positions_are_initialized() -> None:
    model = build_model("vit-mini-4", (3, 8, 8), 5)
    assert isinstance(model, VisionTransformer)
    assert not model.token.any()

    truncated_normal_(model, torch.Generator().manual_seed(0))

    assert bool(model.token.all())
    assert bool(model.positions.all())


def test_images_that_cannot_be_cut_into_patches_are_refused() -> None:
    with pytest.raises(UsageError, match=r"patches of 16 x 16 pixels, got 32 x 40"):
        build_model("vit-tiny-16", (3, 32, 40), 10)
