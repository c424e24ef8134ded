"""Coupled channels found by torch-pruning, against the networks it makes smaller itself."""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import pytest
import torch
from coupled_networks import (
    NETWORKS,
    Attention,
    FusedAttention,
    depth_multiplier,
    images,
    made,
    without_channels,
)
from torch import Tensor, nn
from torch.func import functional_call

from lottery.core import (
    Channel,
    Coupling,
    Mask,
    allocate,
    find_channels,
    make_units,
    prunable_weights,
    select,
    unit_counts,
)
from lottery.errors import MissingPackageError, UsageError
from lottery.integrations.torch_pruning import traced_channels

tp: Any = pytest.importorskip(
    "torch_pruning", reason="needs torch-pruning: pip install 'lottery[structures]'"
)


@cache
def found(name: str) -> Coupling:
    return find_channels(made(name), images(), heads=NETWORKS[name].heads)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_channel_is_found(name: str) -> None:
    coupling = found(name)
    network = made(name)
    output = list(prunable_weights(network))[-1]

    assert len(coupling.channels) == NETWORKS[name].channels
    expected = (output, *NETWORKS[name].left_out)
    assert all(any(fnmatchcase(n, p) for p in expected) for n in coupling.left_out)
    assert all(any(fnmatchcase(n, p) for n in coupling.left_out) for p in expected)
    # Every output of every layer is in one channel, or its layer is left out; none in two.
    written = [
        (layer, index)
        for channel in coupling.channels
        for layer, dim, indices in channel
        for index in indices
        if dim == 0
    ]
    assert len(written) == len(set(written))
    for layer, weight in prunable_weights(network).items():
        if layer not in coupling.left_out:
            assert {(layer, i) for i in range(len(weight))} <= set(written)


# torch-pruning cannot remove groups of one input and several outputs: see the test below.
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "depth multiplier"])
@pytest.mark.parametrize("every", [2, 3])
def test_zeros_are_as_good_as_a_smaller_network(name: str, every: int) -> None:
    network = made(name)
    channels = found(name).channels
    gone = [channel for i, channel in enumerate(channels) if i % every == 0]

    zeroed = functional_call(network, without_channels(network.state_dict(), gone), images())
    small = smaller(network, gone)

    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in network.parameters())
    torch.testing.assert_close(small(images()), zeroed)
    assert not torch.allclose(zeroed, network(images()))


def test_groups_of_one_input_are_as_good_as_fewer_groups() -> None:
    network = made("depth multiplier")
    gone = [c for c in found("depth multiplier").channels if ("0.0.weight", 0, (1,)) in c]
    stay, outputs = [0, 2, 3], [0, 1, 4, 5, 6, 7]
    small = depth_multiplier(3).double().eval()
    small.load_state_dict(
        {
            name: tensor[stay]
            if name.startswith("0.") and tensor.dim()
            else tensor[outputs]
            if name.startswith("2.") and tensor.dim()
            else tensor[:, outputs]
            if name == "4.0.weight"
            else tensor
            for name, tensor in network.state_dict().items()
        }
    )

    assert len(gone) == 1
    zeroed = functional_call(network, without_channels(network.state_dict(), gone), images())
    torch.testing.assert_close(small(images()), zeroed)


def smaller(network: nn.Module, gone: Sequence[Channel]) -> nn.Module:
    """The network that torch-pruning makes when it removes the outputs of these channels."""
    small = copy.deepcopy(network).requires_grad_(True)
    graph = tp.DependencyGraph().build_dependency(small, example_inputs=(images(),), verbose=False)
    left = [{(name, dim): indices for name, dim, indices in channel} for channel in gone]
    while left:
        name = min(name for name, dim in left[0] if dim == 0 and name in prunable_weights(small))
        of_layer = [channel for channel in left if (name, 0) in channel]
        left = [channel for channel in left if (name, 0) not in channel]
        module = small.get_submodule(name.removesuffix(".weight"))
        remove = graph.get_pruner_of_module(module).prune_out_channels
        indices = sorted(i for channel in of_layer for i in channel[name, 0])
        graph.get_pruning_group(module, remove, indices).prune()
    for module in small.modules():
        if isinstance(module, (Attention, FusedAttention)):
            module.heads = module.proj.in_features // 4
    return small


@pytest.mark.parametrize("name", ["vgg", "resnet-20", "bottleneck", "mobilenet", "densenet"])
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_selection_keeps_signals_alive(name: str, scope: Any) -> None:
    """Level by level: exact counts, no empty layer, and zeros worth a smaller network."""
    network = made(name)
    channels = found(name).channels
    weights = prunable_weights(network)
    units = make_units(
        "channel", {n: tuple(w.shape) for n, w in weights.items()}, channels=channels
    )
    scores = {n: w.abs() for n, w in weights.items()}
    mask = Mask.dense(weights)
    for _ in range(3):
        counts = unit_counts(mask, units)
        groups = allocate(counts, scope=scope, fraction=0.3)
        pruned = select(scores, mask, groups, units)

        left = unit_counts(pruned, units)
        for group in groups:
            assert sum(counts[n] - left[n] for n in group.layers) == group.remove
        assert pruned.is_subset(mask)
        assert pruned.empty_layers == ()
        assert all(left.values())
        mask = pruned
    gone = [
        channel
        for channel in channels
        if not any(
            bool(mask[n].transpose(0, dim)[list(indices)].any())
            for n, dim, indices in channel
            if n in weights
        )
    ]
    assert len(channels) - len(gone) == sum(unit_counts(mask, units).values())
    by_mask = functional_call(network, mask.apply(network.state_dict()), images())
    torch.testing.assert_close(smaller(network, gone)(images()), by_mask)


def test_the_network_stays_as_it_is() -> None:
    network = made("resnet-20").train()
    frozen = list(dict(network.named_parameters()))[-1]
    network.get_parameter(frozen).requires_grad_(False)
    before, generator = copy.deepcopy(network.state_dict()), torch.get_rng_state()

    with torch.no_grad():
        find_channels(network, images())

    assert network.training
    assert [n for n, p in network.named_parameters() if not p.requires_grad] == [frozen]
    assert all(p.grad is None for p in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())
    assert torch.equal(torch.get_rng_state(), generator)
    assert list(before) == list(network.state_dict())
    assert all(torch.equal(t, before[n]) for n, t in network.state_dict().items())


def test_what_the_trace_gets_wrong_is_found_by_experiment() -> None:
    """torch-pruning takes a channel shuffle for an operation that moves nothing."""
    traced, _ = traced_channels(made("shuffled"), images(), prunable_weights(made("shuffled")))

    assert ("0.0.weight", 0) in {(name, dim) for channel in traced for name, dim, _ in channel}
    assert "not exactly what they reach" in found("shuffled").left_out["0.0.weight"]


def test_attention_without_heads_is_left_out() -> None:
    coupling = find_channels(made("transformer"), images())

    assert len(coupling.channels) == 2 * 10
    assert {"blocks.0.attention.q.weight", "blocks.1.attention.v.weight"} <= set(coupling.left_out)


def test_layers_of_one_head_or_none() -> None:
    with pytest.raises(UsageError, match=r"no linear layer matches 'attn\.\*'; the network's are"):
        find_channels(made("transformer"), images(), heads={"attn.*": 3})
    with pytest.raises(UsageError, match=r"the 12 inputs of .*proj.weight' are not 5 heads"):
        find_channels(made("transformer"), images(), heads={"*.proj.weight": 5})


class Mixed(nn.Module):
    """Three convolutions and an LSTM over the columns of what they give."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 5, 3, padding=1)
        self.conv3 = nn.Conv2d(5, 6, 3, padding=1)
        self.rnn = nn.LSTM(6, 4, batch_first=True)
        self.output = nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = torch.relu(self.conv2(torch.relu(self.conv1(inputs))))
        columns = torch.relu(self.conv3(hidden)).mean(2).transpose(1, 2)
        logits: Tensor = self.output(self.rnn(columns)[0][:, -1])
        return logits


@pytest.mark.parametrize(
    ("frozen", "channels", "left_out"),
    [
        (None, 4 + 5, {"conv3.weight": "it meets a LSTM in which no mask prunes channels"}),
        ("conv2", 0, {"conv1.weight": "it meets a Conv2d in which no mask prunes channels"}),
        ("conv1", 5, {"conv3.weight": "it meets a LSTM in which no mask prunes channels"}),
    ],
)
def test_channels_beside_layers_that_have_none(
    frozen: str | None, channels: int, left_out: dict[str, str]
) -> None:
    network = Mixed()
    if frozen:
        network.get_parameter(f"{frozen}.weight").requires_grad_(False)
    coupling = find_channels(network, torch.zeros(2, 1, 5, 5))
    assert len(coupling.channels) == channels
    gates = dict.fromkeys(
        ["rnn.weight_ih_l0", "rnn.weight_hh_l0"], "channels of such a layer are not traced"
    )
    assert {**left_out, **gates}.items() <= coupling.left_out.items()
    shapes = {name: tuple(weight.shape) for name, weight in prunable_weights(network).items()}
    if channels:
        units = make_units("channel", shapes, channels=coupling.channels)
        assert units is not None
        assert units.count == channels


class Odd(nn.Module):
    """Layers of which something else than a layer's outputs depends, and one that is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 4, 2)
        self.conv1 = nn.Conv2d(4, 4, 1)
        self.conv2 = nn.Conv2d(4, 3, 1)
        self.conv3 = nn.Conv2d(3, 5, 1)
        self.conv4 = nn.Conv2d(5, 5, 1)
        self.norm = nn.GroupNorm(1, 3)
        self.unused = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(x)
        x = self.norm(self.conv2(x + self.conv1(x)))
        x = self.conv3(x)
        return torch.as_tensor(x + self.conv4(x.relu()))


def test_reasons() -> None:
    coupling = find_channels(Odd().double(), images())

    assert coupling.channels == ()
    assert coupling.left_out["conv1.weight"].startswith("it meets a ConvTranspose2d")
    assert coupling.left_out["conv2.weight"].startswith("GroupNorm mixes")
    assert "not exactly what they reach" in coupling.left_out["conv3.weight"]
    assert coupling.left_out["unused.weight"] == "the trace does not reach it"


def test_networks_that_cannot_be_traced() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("no such thing")

    with pytest.raises(UsageError, match=r"cannot trace the network.*no such thing"):
        find_channels(Broken(), images())


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_pruning", None)

    with pytest.raises(MissingPackageError, match=r"pip install 'lottery\[structures\]'"):
        find_channels(made("mlp"), images())
