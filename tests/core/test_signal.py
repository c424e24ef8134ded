"""Whether a signal passes, against masks of which that is plain to see."""

from __future__ import annotations

from itertools import pairwise

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lottery.core import Mask, prunable_weights, signal_passes
from lottery.models import build_model


def emptied(model: nn.Module, *names: str) -> Mask:
    dense = Mask.dense(prunable_weights(model))
    return Mask({n: torch.zeros_like(k) if n in names else k for n, k in dense.items()})


def test_a_plain_network_is_blocked_by_any_empty_layer() -> None:
    for name, shape in (("mlp-8-6", (1, 4, 4)), ("conv-2", (3, 8, 8)), ("vgg-11", (3, 32, 32))):
        model = build_model(name, shape, 3)
        assert signal_passes(build_model(name, shape, 3), emptied(model), shape)
        for layer in prunable_weights(model):
            assert not signal_passes(build_model(name, shape, 3), emptied(model, layer), shape)


def test_a_residual_connection_leads_around_empty_layers() -> None:
    def passes(*names: str) -> bool:
        model = build_model("resnet-8", (3, 8, 8), 3)
        return signal_passes(model, emptied(model, *names), (3, 8, 8))

    branches = [f"stage{s}.0.conv{c}.weight" for s in (1, 2, 3) for c in (1, 2)]
    shortcuts = ["stage2.0.shortcut.conv.weight", "stage3.0.shortcut.conv.weight"]
    assert passes(*branches)
    assert passes(*shortcuts)
    assert not passes("stage2.0.conv1.weight", "stage2.0.shortcut.conv.weight")
    assert not passes("conv1.weight")
    assert not passes("output.weight")


def test_a_transformer_s_classes_see_the_image_by_attention_alone() -> None:
    def passes(part: str) -> bool:
        model = build_model("vit-mini-4", (3, 8, 8), 3)
        names = [name for name in prunable_weights(model) if part in name]
        assert names
        return signal_passes(model, emptied(model, *names), (3, 8, 8))

    assert passes(".fc")
    assert not passes(".attention.")


@given(st.data())
@settings(max_examples=60)
def test_a_chain_passes_where_its_masks_multiply_to_something(data: st.DataObject) -> None:
    """The number of paths from inputs to outputs is the product of the masks as matrices."""
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=3, max_size=5))
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    kept = {
        name: torch.tensor(
            data.draw(st.lists(st.booleans(), min_size=w.numel(), max_size=w.numel()))
        ).view(w.shape)
        for name, w in prunable_weights(model).items()
    }
    paths = torch.eye(sizes[0])
    for matrix in kept.values():
        paths = matrix.float() @ paths

    assert signal_passes(model, Mask(kept), (sizes[0],)) == bool(paths.any())


class Signs(nn.Module):
    """Sees the signs of its inputs alone, which are all positive in a trial."""

    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Linear(4, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.output(inputs.sign())
        return outputs


class OwnType(nn.Module):
    """Turns whatever comes into float32 and so fails with weights of another type."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(4, 3), nn.Linear(3, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.output(self.hidden(inputs.float()).relu())
        return outputs


def test_where_nothing_can_be_told_a_mask_is_not_called_a_cut() -> None:
    model = Signs()
    some = Mask({"output.weight": torch.eye(2, 4) > 0})
    assert signal_passes(model, some, (4,))


def test_a_network_that_keeps_to_its_own_type_is_tried_in_it() -> None:
    assert signal_passes(OwnType(), emptied(OwnType()), (4,))
    assert not signal_passes(OwnType(), emptied(OwnType(), "hidden.weight"), (4,))
