"""Permutation symmetry: which neurons and channels can be permuted without changing the output.

A network computes the same function when the neurons of a hidden layer are permuted together with
everything that belongs to them: biases, normalization, the weights that read them, and the outputs
of other layers that are added to them. What belongs together is traced as for coupled channels
(`lottery.core.coupling`); that permuting it changes nothing is checked on the network itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from lottery.core.coupling import Channel, one_output
from lottery.core.criteria.context import Probe
from lottery.errors import UsageError

Permutation = Tensor
"""int64 [channels]: at each place, the number of the channel that is moved there."""

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_REASON = "the network computes something else when its outputs are permuted"


@dataclass(frozen=True, kw_only=True)
class ChannelGroup:
    """Channels (or neurons) that can be permuted among each other.

    Args:
        home: the first layer, by name, whose outputs they are.
        slices: (name of a parameter or buffer, dimension) -> int64 [channels, n], the n indices
            along that dimension that belong to each channel.
    """

    home: str
    slices: Mapping[tuple[str, int], Tensor]

    @property
    def size(self) -> int:
        """How many channels."""
        return len(next(iter(self.slices.values())))


@dataclass(frozen=True, kw_only=True)
class Symmetry:
    """The permutation symmetry of a network; made by `find_symmetry`.

    Args:
        groups: home -> its channels, in the order of the layer's outputs.
        left_out: parameter name -> why outputs of this layer cannot be permuted.
    """

    groups: Mapping[str, ChannelGroup]
    left_out: Mapping[str, str]


def find_symmetry(model: nn.Module, inputs: Tensor) -> Symmetry:
    """The neurons and channels of a network that can be permuted.

    Traced by the package torch-pruning, then checked: on a copy with random weights in float64,
    permuting each group must not change the outputs. Groups that fail are left out, with the
    reason; so are the network's outputs, heads of attention, and inputs of layer or group
    normalization. In a grouped convolution the same place of every group is one channel.

    Args:
        model: any network that maps ``inputs`` to a tensor; it is not changed.
        inputs: a small batch, such as zeros of shape [2, channels, height, width].

    Raises:
        MissingPackageError: torch-pruning is not installed.
        UsageError: the network cannot be traced, or nothing in it can be permuted.
    """
    from lottery.integrations.torch_pruning import traced_channels

    network = deepcopy(model).cpu().eval()
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    layers = [names[id(one.weight)] for one in network.modules() if isinstance(one, _LAYERS)]
    channels, left_out = traced_channels(network, inputs.cpu(), layers, purpose="aligning neurons")
    found = _groups(network, channels, layers)
    check = _PermutationCheck(network, inputs.cpu())
    if not check.keeps_outputs(found):
        failed = [group for group in found if not check.keeps_outputs([group])]
        left_out = left_out | {group.home: _REASON for group in failed}
        found = [group for group in found if group not in failed]
    if not found:
        reasons = "; ".join(f"{name}: {why}" for name, why in left_out.items())
        raise UsageError(
            "no neurons or channels of this network are known to be permutable without changing "
            f"its outputs, so that there is nothing to align ({reasons})"
        )
    return Symmetry(groups={group.home: group for group in found}, left_out=left_out)


def probe_symmetry(probe: Probe) -> Symmetry:
    """`find_symmetry` of a probe's network.

    Raises:
        MissingPackageError, UsageError: as for `find_symmetry`; or inputs are not one tensor.
    """
    batch = probe.batches[0]
    inputs = batch[0] if isinstance(batch, tuple | list) else batch
    if not isinstance(inputs, Tensor):
        raise UsageError(
            f"aligning neurons needs inputs that are one tensor, got {type(inputs).__name__}"
        )
    return find_symmetry(probe.model, inputs[:2])


def permute(
    values: Mapping[str, Tensor],
    symmetry: Symmetry,
    permutations: Mapping[str, Permutation],
) -> dict[str, Tensor]:
    """A state, or a mask's tensors, with channels permuted; no number is changed.

    Args:
        values: name -> tensor; tensors that the symmetry does not name are returned as they are.
        symmetry: of the network.
        permutations: home -> which of its channels is moved to each place.
    """
    result = dict(values)
    for home, permutation in permutations.items():
        for (name, dim), places in symmetry.groups[home].slices.items():
            if name in result:
                tensor = result[name]
                to, source = (
                    one.flatten().to(tensor.device) for one in (places, places[permutation])
                )
                result[name] = tensor.index_copy(dim, to, tensor.index_select(dim, source))
    return result


def _groups(
    network: nn.Module, channels: Iterable[Channel], layers: Collection[str]
) -> list[ChannelGroup]:
    """Channels with slices of the same tensors, each group under the first layer that writes it."""
    of_norms = _with_buffers(network)
    aliases = _aliases(network)
    alike: dict[tuple[tuple[str, int, int], ...], list[Channel]] = {}
    for channel in channels:
        form = tuple((name, dim, len(indices)) for name, dim, indices in channel)
        alike.setdefault(form, []).append(channel)
    found = []
    for form, members in alike.items():
        home = min(name for name, dim, _ in form if dim == 0 and name in layers)
        ordered = sorted(members, key=lambda one: _outputs(one, home))
        slices = {}
        for number, (name, dim, _) in enumerate(form):
            places = torch.tensor([channel[number][2] for channel in ordered])
            for other in [*aliases[name], *of_norms.get(name, ())]:
                slices[other, dim] = places
        found.append(ChannelGroup(home=home, slices=slices))
    return _first_of_each_home(sorted(found, key=lambda group: (group.home, -group.size)))


def _outputs(channel: Channel, home: str) -> tuple[int, ...]:
    return next(indices for name, dim, indices in channel if (name, dim) == (home, 0))


def _first_of_each_home(groups: Sequence[ChannelGroup]) -> list[ChannelGroup]:
    """The groups under unique names: several of one home are numbered from the second on."""
    counts: dict[str, int] = {}
    named = []
    for group in groups:
        counts[group.home] = number = counts.get(group.home, 0) + 1
        home = group.home if number == 1 else f"{group.home} ({number})"
        named.append(ChannelGroup(home=home, slices=group.slices))
    return named


def _with_buffers(network: nn.Module) -> dict[str, list[str]]:
    """A normalization's weight -> the running statistics that go with it."""
    return {
        f"{path}.weight" if path else "weight": [
            f"{path}.{name}" if path else name
            for name, buffer in module.named_buffers(recurse=False)
            if buffer.dim()
        ]
        for path, module in network.named_modules()
        if isinstance(module, _BatchNorm | _InstanceNorm)
    }


def _aliases(network: nn.Module) -> dict[str, list[str]]:
    """The first name of each parameter -> all of its names in a state."""
    found: dict[int, list[str]] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        found.setdefault(id(parameter), []).append(name)
    return {names[0]: names for names in found.values()}


class _PermutationCheck:
    """A network with random weights in float64, whose channels are permuted."""

    def __init__(self, network: nn.Module, inputs: Tensor) -> None:
        generator = torch.Generator().manual_seed(0)

        def draw(like: Tensor) -> Tensor:
            return torch.rand(like.shape, generator=generator, dtype=torch.float64)

        self.network = network.double()
        # Tied parameters under one name each.
        values = {**dict(self.network.named_parameters()), **dict(self.network.named_buffers())}
        # Around usual initial weights, so that no signal grows or dies over many layers; what
        # normalization divides by stays positive.
        self.state = {
            name: (draw(value) - 0.5) * (12 / value[0].numel()) ** 0.5
            if value.dim() > 1
            else 0.5 + draw(value)
            for name, value in values.items()
            if value.is_floating_point() and value.dim()
        }
        self.inputs = draw(inputs) if inputs.is_floating_point() else inputs
        self.generator = generator
        self.before = self._outputs(self.state)

    def keeps_outputs(self, groups: Sequence[ChannelGroup]) -> bool:
        """Whether the outputs stay the same when channels are permuted at random."""
        permutations = {
            group.home: torch.randperm(group.size, generator=self.generator) for group in groups
        }
        symmetry = Symmetry(groups={group.home: group for group in groups}, left_out={})
        after = self._outputs(permute(self.state, symmetry, permutations))
        return bool((after - self.before).abs().max() <= 1e-9 * self.before.abs().max())

    def _outputs(self, state: Mapping[str, Tensor]) -> Tensor:
        return one_output(self.network, state, self.inputs, purpose="align its neurons")
