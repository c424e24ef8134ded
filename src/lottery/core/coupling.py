"""Coupled channels: an output channel with everything in other layers that depends on it.

A channel can be removed from the network only together with the inputs that read it, with the
outputs of other layers that are added to it, and with its batch normalization. Which slices these
are is traced elsewhere (`lottery.integrations`), by rules for the common operations; here they are
checked on the network itself, without such rules.

Masks hold weights alone, so the bias and the normalization of a removed channel stay as they are.
They have no effect on the output: every weight that reads the channel is removed with it. The
checks below establish exactly that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import zip_longest

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lottery.core.allocate import deciding_layer
from lottery.core.coverage import prunable_weights
from lottery.core.units import Units
from lottery.errors import MaskError, UsageError

Slice = tuple[str, int, tuple[int, ...]]
"""Parameter name, dimension (0: outputs, 1: inputs), indices along it."""

Channel = tuple[Slice, ...]
"""All slices that are removed together, those of biases and normalization included."""

_REASON = (
    "what would go with its outputs is not exactly what they reach, "
    "or an activation makes something of zero"
)
_Slices = Mapping[tuple[str, int], Tensor]  # (name, dimension) -> indices
_Part = Sequence[Channel]


@dataclass(frozen=True, kw_only=True)
class Coupling:
    """The coupled channels of a network; made by `find_channels`.

    Args:
        channels: each can be removed as one unit.
        left_out: parameter name -> why outputs of this layer cannot be removed.
    """

    channels: tuple[Channel, ...]
    left_out: Mapping[str, str]


def find_channels(
    model: nn.Module, inputs: Tensor, *, heads: Mapping[str, int] | None = None
) -> Coupling:
    """The channels of a network that can be removed one by one, with all that is coupled to them.

    Traced by the package torch-pruning on a copy of the model, then checked on copies with random
    weights in float64: if the weights that write a channel are zero, the weights that read it must
    have no effect on the output; and if the weights that read it are zero, those that write it must
    have none. Channels that fail are left out, with the reason; so are those of the network's
    output.

    Args:
        model: any network that maps ``inputs`` to a tensor; it is not changed.
        inputs: a small batch, such as zeros of shape [2, channels, height, width]. Images may be
            as small as the network takes: nothing but the time needed depends on their size.
        heads: pattern of parameter names (``*``, ``?``, ``[...]``) -> number of attention heads,
            for the linear layers that read them (the projection after attention). The inputs of
            such a layer are removed head by head. Without it the layers of attention are left out;
            so they are in experiments, since configs have no setting for heads.

    Raises:
        MissingPackageError: torch-pruning is not installed.
        UsageError: the network cannot be traced, or ``heads`` fits none of its layers.
    """
    from lottery.integrations.torch_pruning import traced_channels

    channels, left_out = traced_channels(model, inputs, prunable_weights(model), heads=heads)
    sound, unsound = sound_channels(model, inputs, channels)
    return Coupling(channels=sound, left_out={**left_out, **unsound})


def channel_units(
    channels: Iterable[Channel],
    shapes: Mapping[str, Sequence[int]],
    fractions: Mapping[str, float] | None = None,
) -> Units:
    """Coupled channels as units; of their slices only those of prunable weights matter.

    A channel's home is the first layer, by name, whose outputs it has, unless ``fractions`` names
    another: see `lottery.core.allocate.deciding_layer`. Layers that only read it cannot be its
    home. Channels of one home are numbered in the order of those outputs.

    Args:
        channels: no two share a slice.
        shapes: parameter name -> shape of each prunable weight.
        fractions: exceptions by name pattern, see `lottery.core.allocate`.

    Raises:
        MaskError: a slice does not fit its weight, or two channels share it, or a channel has no
            output of a prunable layer.
    """
    ordered = sorted(_at_home(channel, shapes, fractions or {}) for channel in channels)
    labels: dict[str, dict[int, list[int]]] = {}
    homes: dict[str, range] = {}
    for number, (home, _, channel) in enumerate(ordered):
        homes[home] = range(homes[home].start if home in homes else number, number + 1)
        for name, dim, indices in channel:
            if name in shapes:
                _label(labels.setdefault(name, {}), number, (name, dim, indices), shapes[name])
    return Units(
        labels={
            name: tuple(
                torch.tensor(along[dim]).view([-1 if d == dim else 1 for d in range(len(shape))])
                for dim in sorted(along)
            )
            for name, along in labels.items()
            for shape in [shapes[name]]
        },
        homes=homes,
        keep_best=True,
        outputs={name: torch.tensor(along[0]) for name, along in labels.items() if 0 in along},
    )


def _at_home(
    channel: Channel, shapes: Mapping[str, Sequence[int]], fractions: Mapping[str, float]
) -> tuple[str, int, Channel]:
    written = {name: min(along) for name, dim, along in channel if dim == 0 and name in shapes}
    if not written:
        raise MaskError(
            "expected each channel to have outputs of a prunable layer; got one with slices of "
            f"{', '.join(sorted({name for name, _, _ in channel})) or 'nothing'}"
        )
    home = deciding_layer(written, fractions)
    return home, written[home], channel


def _label(along: dict[int, list[int]], number: int, where: Slice, shape: Sequence[int]) -> None:
    name, dim, indices = where
    if not (0 <= dim < min(2, len(shape)) and 0 <= min(indices) <= max(indices) < shape[dim]):
        raise MaskError(
            f"a channel has the indices {indices} of dimension {dim} of '{name}', "
            f"whose shape is {tuple(shape)}"
        )
    labelling = along.setdefault(dim, [-1] * shape[dim])
    for index in indices:
        if labelling[index] >= 0:
            raise MaskError(
                f"two channels have dimension {dim} of '{name}' at index {index}; "
                "what is coupled must be one channel"
            )
        labelling[index] = number


def sound_channels(
    model: nn.Module, inputs: Tensor, channels: Sequence[Channel]
) -> tuple[tuple[Channel, ...], dict[str, str]]:
    """Which channels can be removed as they are, tested on a copy of the network.

    The test is that of `find_channels`.

    Args:
        model: the network; it is not changed.
        inputs: a batch that it maps to a tensor.
        channels: slices of the model's parameters.

    Returns:
        Those that can, in their order; and parameter name -> why not, for the layers whose outputs
        the others have. Channels followed by an activation that is not zero at zero, such as a
        sigmoid, cannot be removed.
    """
    weights = prunable_weights(model)
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    probe = _Probe(model, inputs, frozenset(weights))
    homes: dict[str, list[Channel]] = {}
    for home, _, channel in sorted(_at_home(channel, shapes, {}) for channel in channels):
        homes.setdefault(home, []).append(channel)
    # One trial each finds the homes that fail as a whole. The rest is tried side by side: mostly
    # all pass, and only if not, each has to be tried alone.
    good = [home for home in homes if probe.holds(homes[home][::2])]
    if not all(map(probe.holds, _side_by_side([_parts(homes[home]) for home in good]))):
        good = [home for home in good if all(map(probe.holds, _parts(homes[home])))]
    sound = {channel for home in good for channel in homes[home]}
    left_out = {
        name: _REASON
        for home in homes.keys() - set(good)
        for channel in homes[home]
        for name, dim, _ in channel
        if dim == 0 and name in weights
    }
    return tuple(channel for channel in channels if channel in sound), left_out


def _parts(channels: _Part) -> list[_Part]:
    """Parts of the channels, such that for any two some part has the first and not the second."""
    bits = (len(channels) - 1).bit_length()
    return [
        [channel for i, channel in enumerate(channels) if (i >> bit) & 1 == value]
        for bit in range(bits)
        for value in (0, 1)
    ]


def _side_by_side(parts: Sequence[Sequence[_Part]]) -> Iterator[_Part]:
    """The first parts of all together, then the second ones, until the longest list ends."""
    for column in zip_longest(*parts, fillvalue=()):
        yield [channel for part in column for channel in part]


class _Probe:
    """A copy of a network with random weights in float64, and experiments on it."""

    def __init__(self, model: nn.Module, inputs: Tensor, prunable: frozenset[str]) -> None:
        self.model = deepcopy(model).double().eval()
        self.prunable = prunable
        generator = torch.Generator().manual_seed(0)
        parameters = {name: p.detach() for name, p in self.model.named_parameters()}
        # Not the weights as they are: zeros among them would hide what is connected.
        self.state = {n: p + _noise(p, generator) for n, p in parameters.items()}
        self.noise = {n: _noise(p, generator) for n, p in parameters.items()}
        self.inputs = inputs
        if inputs.is_floating_point():
            self.inputs = torch.randn(inputs.shape, generator=generator).to(inputs).double()

    def holds(self, channels: Iterable[Channel]) -> bool:
        """Whether what reads has no effect where what writes is zero, and the reverse."""
        slices = _slices(channels)
        written = {where: indices for where, indices in slices.items() if where[1] == 0}
        read = {w: i for w, i in slices.items() if w[1] == 1 and w[0] in self.prunable}
        return self._no_effect(read, written) and self._no_effect(written, read)

    def _no_effect(self, changed: _Slices, zeroed: _Slices) -> bool:
        """Whether a change of some slices has no effect on the output while others are zero."""
        zero = _replaced(
            self.state, zeroed, {n: torch.zeros_like(self.state[n]) for n, _ in zeroed}
        )
        noisy = _replaced(zero, changed, {n: zero[n] + self.noise[n] for n, _ in changed})
        before, after = self._output(zero), self._output(noisy)
        return bool(((after - before).abs() <= 1e-9 * before.abs().max()).all())

    def _output(self, state: dict[str, Tensor]) -> Tensor:
        return one_output(self.model, state, self.inputs, purpose="find coupled channels")


def one_output(
    network: nn.Module, state: Mapping[str, Tensor], inputs: Tensor, *, purpose: str
) -> Tensor:
    """The output of a network with another state, without gradients.

    Args:
        network: maps the inputs to a tensor.
        state: name -> the parameters and buffers to use in place of the network's own.
        inputs: a batch.
        purpose: what the output is needed for, for the message.

    Raises:
        UsageError: the output is not one tensor.
    """
    with torch.no_grad():
        output = functional_call(network, dict(state), (inputs,))
    if not isinstance(output, Tensor):
        raise UsageError(
            f"the network gives a {type(output).__name__}; to {purpose}, wrap it in a module that "
            "gives one tensor"
        )
    return output


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    """As large as usual initial weights are, so that no signal grows or dies over many layers."""
    scale = 0.5 / math.prod(like.shape[1:]) ** 0.5 if like.dim() > 1 else 0.1
    drawn = torch.randn(like.shape, generator=generator, dtype=torch.float64)
    return scale * drawn.to(like.device)


def _slices(channels: Iterable[Channel]) -> dict[tuple[str, int], Tensor]:
    indices: dict[tuple[str, int], set[int]] = {}
    for channel in channels:
        for name, dim, along in channel:
            indices.setdefault((name, dim), set()).update(along)
    return {where: torch.tensor(sorted(along)) for where, along in indices.items()}


def _replaced(
    state: Mapping[str, Tensor], slices: _Slices, source: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """``state`` with these slices as in ``source``."""
    result = dict(state)
    for (name, dim), indices in slices.items():
        along = indices.to(result[name].device)
        result[name] = result[name].index_copy(dim, along, source[name].index_select(dim, along))
    return result
