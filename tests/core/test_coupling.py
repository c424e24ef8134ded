"""Coupled channels listed by hand: what removing them does, and how mistakes are found."""

from __future__ import annotations

import copy

import pytest
import torch
from coupled_networks import images, made, without_channels
from torch import Tensor, nn
from torch.func import functional_call

from lottery.core import (
    Channel,
    Group,
    Mask,
    channel_units,
    prunable_weights,
    select,
    sound_channels,
)
from lottery.errors import UsageError


class Chain(nn.Module):
    """Convolution, batch normalization, convolution, flattened 2x2 places, linear layer."""

    def __init__(self, one: int = 4, two: int = 3) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, one, 3, padding=1), nn.BatchNorm2d(one)
        self.conv2 = nn.Conv2d(one, two, 3, padding=1)
        self.output = nn.Linear(4 * two, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.conv1(x)).tanh()
        return torch.as_tensor(self.output(self.conv2(x)[:, :, :2, :2].sigmoid().flatten(1)))


def chain(one: int = 4, two: int = 3) -> nn.Module:
    generator = torch.Generator().manual_seed(one)
    network = Chain(one, two).double().eval()
    with torch.no_grad():
        for tensor in (*network.parameters(), network.bn1.running_mean, network.bn1.running_var):
            assert isinstance(tensor, Tensor)
            tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64))
    return network


def chain_channels() -> list[Channel]:
    return [
        (
            *((name, 0, (i,)) for name in ("conv1.weight", "conv1.bias", "bn1.weight", "bn1.bias")),
            ("conv2.weight", 1, (i,)),
        )
        for i in range(4)
    ]


def flattened() -> list[Channel]:
    """Channels of conv2. The sigmoid makes 0.5 of a silent one, so it is not really silent."""
    return [
        (
            ("conv2.weight", 0, (i,)),
            ("conv2.bias", 0, (i,)),
            ("output.weight", 1, tuple(range(4 * i, 4 * i + 4))),
        )
        for i in range(3)
    ]


def mlp_channels() -> list[Channel]:
    """Those of `coupled_networks.mlp`."""
    first: list[Channel] = [
        (("1.weight", 0, (i,)), ("1.bias", 0, (i,)), ("3.weight", 1, (i,))) for i in range(6)
    ]
    return first + [
        (
            ("3.weight", 0, (i,)),
            ("3.bias", 0, (i,)),
            ("4.weight", 0, (i,)),
            ("5.weight", 1, (i,)),
        )
        for i in range(4)
    ]


def state_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in network.state_dict().items()}


def smaller_chain(network: nn.Module, stay: list[int]) -> nn.Module:
    """The physically smaller network, cut by hand."""
    small, state = Chain(len(stay)).double().eval(), state_of(network)
    for name, tensor in state.items():
        if name == "conv2.weight":
            state[name] = tensor[:, stay]
        elif name.startswith(("conv1", "bn1")) and tensor.dim():
            state[name] = tensor[stay]
    small.load_state_dict(state)
    return small


@pytest.mark.parametrize("gone", [[0], [1, 3], [0, 1, 2]])
def test_without_channels_is_the_smaller_convolutional_network(gone: list[int]) -> None:
    network = chain()
    state = without_channels(state_of(network), [chain_channels()[i] for i in gone])

    small = smaller_chain(network, [i for i in range(4) if i not in gone])
    torch.testing.assert_close(functional_call(network, state, images()), small(images()))
    assert not torch.allclose(small(images()), network(images()))


def test_without_channels_is_the_smaller_mlp() -> None:
    network, stay = made("mlp"), ([0, 2, 3, 5], [1, 3])
    gone = [c for i, c in enumerate(mlp_channels()) if i not in {*stay[0], 6 + stay[1][0], 9}]
    state = without_channels(state_of(network), gone)

    x = images().flatten(1)
    w = state_of(network)
    x = torch.tanh(x @ w["1.weight"][stay[0]].T + w["1.bias"][stay[0]])
    x = x @ w["3.weight"][stay[1]][:, stay[0]].T + w["3.bias"][stay[1]]
    x = torch.where(x > 0, x, x * w["4.weight"][stay[1]])
    x = x @ w["5.weight"][:, stay[1]].T + w["5.bias"]
    torch.testing.assert_close(functional_call(network, state, images()), x)


def test_what_a_mask_leaves_of_a_channel_has_no_effect() -> None:
    """Bias and normalization are not in the mask; changing them changes nothing."""
    network = chain()
    weights = prunable_weights(network)
    units = channel_units(chain_channels(), {name: tuple(w.shape) for name, w in weights.items()})
    scores = {name: weight.abs() for name, weight in weights.items()}

    mask = select(scores, Mask.dense(weights), [Group(("conv1.weight",), 2)], units)

    gone = (~mask["conv1.weight"].flatten(1).any(1)).nonzero().flatten()
    assert len(gone) == 2
    state = mask.apply(state_of(network))
    before = functional_call(network, state, images())
    for name in ("conv1.bias", "bn1.weight", "bn1.bias", "bn1.running_mean"):
        state[name][gone] += 7.0
    torch.testing.assert_close(functional_call(network, state, images()), before)
    removed = without_channels(state_of(network), [chain_channels()[i] for i in gone.tolist()])
    torch.testing.assert_close(functional_call(network, removed, images()), before)


def test_sound_channels_pass_and_the_network_stays_as_it_is() -> None:
    for network, channels in ((chain(), chain_channels()), (made("mlp"), mlp_channels())):
        network.train()
        before, generator = copy.deepcopy(network.state_dict()), torch.get_rng_state()

        assert sound_channels(network, images(), channels) == (tuple(channels), {})
        assert sound_channels(network.float(), images().float(), channels)[0] == tuple(channels)

        assert network.training
        assert torch.equal(torch.get_rng_state(), generator)
        for name, tensor in network.state_dict().items():
            torch.testing.assert_close(tensor, before[name], check_dtype=False)


def test_a_network_of_zeros_hides_nothing() -> None:
    network = chain()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()

    assert sound_channels(network, images(), chain_channels())[0] == tuple(chain_channels())
    assert sound_channels(network, images(), [c[:-1] for c in chain_channels()])[0] == ()


def swapped(one: int, two: int) -> list[Channel]:
    """Two channels that have each other's readers."""
    channels = chain_channels()
    a, b = channels[one], channels[two]
    channels[one], channels[two] = (*a[:-1], b[-1]), (*b[:-1], a[-1])
    return channels


@pytest.mark.parametrize(
    "channels",
    [
        [channel[:-1] for channel in chain_channels()],  # nobody reads them
        [(*channel[:-1], ("conv2.weight", 0, (0,))) for channel in chain_channels()[:1]],
        [(*channel, ("output.weight", 1, (0,))) for channel in chain_channels()[:1]],
        [tuple(s for s in c if s[0] != "bn1.bias") for c in chain_channels()],
        *(swapped(one, two) for one in range(4) for two in range(one)),
        flattened(),
    ],
)
def test_mistakes_are_found(channels: list[Channel]) -> None:
    sound, left_out = sound_channels(chain(), images(), channels)

    assert sound == ()
    assert all("is not exactly what they reach" in reason for reason in left_out.values())
    assert left_out


def test_a_mistake_in_one_layer_leaves_the_others() -> None:
    channels = mlp_channels()
    wrong = [(*c[:2], ("3.weight", 1, (5 - i,))) for i, c in enumerate(channels[:6])]

    sound, left_out = sound_channels(made("mlp"), images(), [*wrong, *channels[6:]])
    assert sound == tuple(channels[6:])
    assert list(left_out) == ["1.weight"]


def test_outputs_that_are_no_tensor() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = chain()

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y = self.inner(x)
            return y, y

    channels: list[Channel] = [
        tuple((f"inner.{name}", dim, indices) for name, dim, indices in channel)
        for channel in chain_channels()
    ]
    with pytest.raises(UsageError, match="the network gives a tuple"):
        sound_channels(Pair(), images(), channels)
