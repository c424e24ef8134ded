"""Multiplications of a forward pass, against sums written out."""

from __future__ import annotations

import pytest
import torch
from kinds_of_networks import COVERED
from torch import Tensor, nn

from lottery.core import multiplications, tie_parameters, weight_uses
from lottery.errors import UsageError


def counted_by_shapes(out: int, channels: int, kernel: int, positions: int) -> int:
    return out * channels * kernel * kernel * positions


def test_a_convolutional_network_by_hand() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),  # 8x8 positions
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),  # 4x4
        nn.Conv2d(16, 16, 3, groups=4, padding=1),  # 4x4, four channels in a group
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 2 * 2, 10),
    )

    uses = weight_uses(model, (3, 8, 8))

    assert uses == {"0.weight": 64, "3.weight": 16, "4.weight": 16, "7.weight": 1}
    counts = {name: model.get_parameter(name).numel() for name in uses}
    assert multiplications(counts, uses) == (
        counted_by_shapes(8, 3, 3, 64)
        + counted_by_shapes(16, 8, 3, 16)
        + counted_by_shapes(16, 4, 3, 16)
        + 64 * 10
    )


def test_a_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()

    weight_uses(model, (1, 4, 4))

    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training
    assert all(not module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(random, torch.get_rng_state())


def test_a_network_of_doubles_is_counted() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)).double()
    assert weight_uses(model, (1, 4, 4)) == {"0.weight": 4, "2.weight": 1}


class Twice(nn.Module):
    """One layer called twice, and one that shares its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight

    def forward(self, inputs: Tensor) -> Tensor:
        output: Tensor = self.second(self.first(self.first(inputs.flatten(1))))
        return output


def test_every_use_of_a_shared_weight_counts() -> None:
    assert weight_uses(Twice(), (2, 2)) == {"first.weight": 3}


def test_a_layer_that_is_not_called_cannot_be_counted() -> None:
    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, inputs: Tensor) -> Tensor:
            return nn.functional.linear(inputs, self.layer.weight)

    with pytest.raises(UsageError, match=r"cannot count the multiplications of layer\.weight"):
        weight_uses(Hidden(), (4,))


def test_linear_layers_over_a_sequence_count_every_position() -> None:
    assert weight_uses(nn.Sequential(nn.Linear(5, 7)), (6, 5)) == {"0.weight": 6}


SEQUENCE = {"rnn.weight_ih_l0": 3, "rnn.weight_hh_l0": 3}
USES = {
    "lstm": SEQUENCE | {"output.weight": 1},
    "gru-alone": SEQUENCE,
    "cell": {"cell.weight_ih": 3, "cell.weight_hh": 3, "output.weight": 1},
    "attention": {
        "embed.weight": 3,
        "layer.self_attn.in_proj_weight": 3,
        "layer.self_attn.out_proj.weight": 3,
        "layer.linear1.weight": 3,
        "layer.linear2.weight": 3,
        "output.weight": 1,
    },
    "cross-attention": {  # 12 queries, 3 keys and values
        "attention.q_proj_weight": 12,
        "attention.k_proj_weight": 3,
        "attention.v_proj_weight": 3,
        "attention.out_proj.weight": 12,
        "output.weight": 1,
    },
    "transposed": {"down.weight": 6, "up.weight": 6, "output.weight": 1},
    "bilinear": {"first.weight": 1, "output.weight": 1},
    "shared-storage": {"a.weight": 2, "output.weight": 1},
}


@pytest.mark.parametrize("name", USES)
def test_layers_of_other_kinds_by_hand(name: str) -> None:
    model = COVERED[name][0]((1, 3, 4), 3)
    tie_parameters(model)
    assert weight_uses(model, (1, 3, 4)) == USES[name]


def test_what_experts_multiply_cannot_be_counted() -> None:
    with pytest.raises(UsageError, match=r"cannot count the multiplications of 3\.up:"):
        weight_uses(COVERED["foreign"][0]((1, 3, 4), 3), (1, 3, 4))
