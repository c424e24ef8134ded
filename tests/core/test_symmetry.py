"""Networks whose neurons change places compute the same, and are put back exactly."""

from __future__ import annotations

import copy
import sys

import pytest
import torch
from coupled_networks import NETWORKS
from torch import Tensor, nn

from lottery.core import Mask, Probe, prunable_weights
from lottery.core.matching import correlate, identity_permutations, match, similarity
from lottery.core.symmetry import Permutation, Symmetry, find_symmetry, permute, probe_symmetry
from lottery.errors import MissingPackageError, UsageError
from lottery.models.mlp import lenet_300_100
from lottery.models.resnet import cifar_resnet

# What can change places, counted by hand: home -> how many. What is added has one permutation.
GROUPS = {
    "mlp": {"1.weight": 6, "3.weight": 4},
    "vgg": {"0.0.weight": 4, "3.0.weight": 6, "7.weight": 7},
    # In a grouped convolution the same place of each of 3 groups.
    "resnext": {
        "0.0.weight": 4,
        "2.branch.0.0.weight": 2,
        "2.branch.2.0.weight": 2,
        "2.branch.4.0.weight": 8,
        "3.branch.0.0.weight": 2,
        "3.branch.2.0.weight": 2,
    },
    "mobilenet": {"0.0.weight": 4, "2.depthwise.0.weight": 6, "3.depthwise.0.weight": 6},
    "depth multiplier": {"0.0.weight": 4, "4.0.weight": 6},
    "densenet": {"0.0.weight": 4, "1.conv.weight": 3, "2.conv.weight": 3},
    "gated": {"0.0.weight": 4, "2.conv.weight": 3, "3.0.weight": 6},
    # A shuffle of channels, heads of attention and what is normalized by layer stay.
    "shuffled": {"3.0.weight": 6},
    "transformer": {"blocks.0.mlp.0.weight": 10, "blocks.1.mlp.0.weight": 10},
    "fused transformer": {"blocks.0.mlp.0.weight": 10, "blocks.1.mlp.0.weight": 10},
}


def made(name: str) -> tuple[nn.Module, Tensor]:
    """A network with statistics and weights as training leaves them, in float64; and examples."""
    generator = torch.Generator().manual_seed(0)
    shape = (1, 28, 28) if name == "lenet" else (3, 8, 8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if name == "lenet":
            model: nn.Module = lenet_300_100(shape, 10)
        else:
            model = cifar_resnet(shape, 10, depth=8) if name == "resnet" else NETWORKS[name].build()
    model = model.double().eval()
    for key, value in model.state_dict().items():
        if not value.is_floating_point() or not value.dim():
            continue
        drawn = torch.randn(value.shape, generator=generator, dtype=torch.float64)
        if value.dim() > 1:
            # What all inputs have in common opens and shuts no rectifier for good.
            rows = drawn.flatten(1)
            rows = (rows - rows.mean(1, keepdim=True)) / rows.shape[1] ** 0.5
            value.copy_(rows.view(value.shape))
        else:
            value.copy_(0.1 * drawn if "mean" in key else 1 + 0.3 * drawn.abs())
    return model, torch.randn(64, *shape, generator=generator, dtype=torch.float64)


def shuffled(symmetry: Symmetry, seed: int = 1) -> dict[str, Permutation]:
    generator = torch.Generator().manual_seed(seed)
    return {
        home: torch.randperm(group.size, generator=generator)
        for home, group in symmetry.groups.items()
    }


def with_state(model: nn.Module, state: dict[str, Tensor]) -> nn.Module:
    other = copy.deepcopy(model)
    other.load_state_dict(state)
    return other


@pytest.mark.parametrize("name", GROUPS)
def test_groups_are_those_counted_by_hand_and_move_without_a_trace(name: str) -> None:
    model, inputs = made(name)
    symmetry = find_symmetry(model, inputs[:2])
    assert {home: group.size for home, group in symmetry.groups.items()} == GROUPS[name]
    moved = permute(model.state_dict(), symmetry, shuffled(symmetry))
    with torch.no_grad():
        after, before = with_state(model, moved)(inputs), model(inputs)
    torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-9)
    assert not any(weight in symmetry.groups for weight in symmetry.left_out)


@pytest.mark.parametrize("name", ["lenet", "vgg", "resnet"])
def test_a_network_and_its_permuted_self_align_exactly(name: str) -> None:
    """An MLP, convolutions with batch norm and flattening, a ResNet with its additions."""
    model, inputs = made(name)
    probe = Probe(model=model, batches=[(inputs[:32], None), (inputs[32:], None)])
    symmetry = probe_symmetry(probe)
    moves = shuffled(symmetry)
    state = dict(model.state_dict())
    other = with_state(model, permute(state, symmetry, moves))
    table = correlate(probe, other, symmetry)
    found = match(table)
    assert all(torch.equal(found[home], move.argsort()) for home, move in moves.items())
    for home, alike in similarity(table, found).items():
        assert alike == pytest.approx(1, abs=1e-9)
        assert similarity(table, identity_permutations(symmetry))[home] < 0.9
    back = permute(other.state_dict(), symmetry, found)
    assert all(torch.equal(back[key], value) for key, value in state.items()), "so no barrier"

    generator = torch.Generator().manual_seed(2)
    mask = Mask(
        {
            key: torch.rand(w.shape, generator=generator) < 0.5
            for key, w in prunable_weights(model).items()
        }
    )
    moved = Mask(permute(mask, symmetry, moves))
    assert moved != mask
    assert moved.layers == mask.layers
    assert Mask(permute(moved, symmetry, found)) == mask
    masked = permute(mask.apply(state), symmetry, moves)
    again = moved.apply(permute(state, symmetry, moves))
    assert all(torch.equal(masked[key], again[key]) for key in state)


def test_random_features_match_at_the_level_of_chance() -> None:
    """Independent Gaussian features: what shifted examples give, and no more than that."""
    networks = [nn.Sequential(nn.Linear(60, 30), nn.Tanh(), nn.Linear(30, 2)) for _ in range(2)]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for half, network in enumerate(networks):
            for parameter in network.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
            # The two look at other inputs, which have nothing to do with each other.
            network.get_parameter("0.weight")[:, 30 * half : 30 * (half + 1)] = 0
    x = torch.randn(400, 60, generator=generator)
    probe = Probe(model=networks[0], batches=[(x, None)])
    symmetry = probe_symmetry(probe)
    measured, chance = (correlate(probe, networks[1], symmetry, shift=s) for s in (0, 7))
    alike, by_chance = (similarity(t, match(t))["0.weight"] for t in (measured, chance))
    # The largest of some dozen correlations of 400 pairs each, whose deviation is 1 / 20.
    assert 0.05 < by_chance < 0.15
    assert abs(alike - by_chance) < 0.02
    assert abs(similarity(measured, identity_permutations(symmetry))["0.weight"]) < 0.04


def test_a_neuron_that_never_changes_correlates_with_nothing() -> None:
    model, x = made("mlp")
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.get_parameter("1.weight")[2] = 0
    symmetry = find_symmetry(model, x[:2])
    table = correlate(Probe(model=model, batches=[(x, None)]), other, symmetry)["1.weight"]
    assert torch.equal(table[:, 2], torch.zeros(6, dtype=torch.float64))
    assert table.isfinite().all()


def test_a_tied_weight_moves_under_all_of_its_names() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(4, 5)
            self.again = nn.Module()
            self.again.weight = self.one.weight
            self.output = nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            return torch.as_tensor(self.output(self.one(x).relu()))

    model = Tied()
    symmetry = find_symmetry(model, torch.zeros(2, 4))
    moved = permute(model.state_dict(), symmetry, {"one.weight": torch.tensor([1, 0, 2, 3, 4])})
    assert torch.equal(moved["again.weight"], moved["one.weight"])
    assert not torch.equal(moved["one.weight"], model.one.weight)


class Untraceable(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError(x)


def test_what_cannot_be_aligned_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.zeros(2, 4)
    with pytest.raises(UsageError, match=r"to align .0.weight: its outputs are the network"):
        find_symmetry(nn.Sequential(nn.Linear(4, 2)), x)
    with pytest.raises(UsageError, match=r"cannot trace .*; it has to do without aligning neurons"):
        find_symmetry(nn.Sequential(nn.Linear(4, 2), Untraceable()), x)
    with pytest.raises(UsageError, match="inputs that are one tensor, got dict"):
        probe_symmetry(Probe(model=nn.Linear(4, 2), batches=[{"x": x}]))
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(MissingPackageError, match="aligning neurons needs the package"):
        find_symmetry(nn.Linear(4, 2), x)
