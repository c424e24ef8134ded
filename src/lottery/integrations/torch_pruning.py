"""Coupled channels, by the dependency graph of torch-pruning (DepGraph, arXiv:2301.12900).

The package follows one forward pass through autograd's graph, from convolution to batch
normalization, addition, concatenation, split and flatten. What comes out here is plain data. Where
its rules are too coarse, this module adds to them:

- Grouped convolutions: it removes the same place of every group without saying so. Here these
  places are one channel; with one input for each group, the input and its outputs are one channel.
- An index that is reached from several channels: it drops all but the first when asked for many at
  once. Here channels are asked for one by one wherever indices are not simply passed on.
- Attention: it couples the same place of queries, keys and values, which is not a channel that
  could be removed. With ``heads`` they are joined into heads.
- Layer and group normalization mix channels, so no channel beneath them can be removed by zeros.

Operations that it takes for element-wise though they move channels (a channel shuffle) it gets
wrong without a word; `lottery.core.find_channels` therefore checks every result by experiment.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from lottery.errors import MissingPackageError, UsageError

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_MIXING = (nn.LayerNorm, nn.GroupNorm)
_PER_CHANNEL = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm, nn.PReLU)

_tracing = threading.Lock()

OUTPUTS = "its outputs are the network's"
"""Why such a layer has no channels."""

_Place = tuple[str, int, int]  # parameter name, dimension, index


@dataclass
class _Traced:
    """Places that go together, and why they cannot be removed, if so."""

    places: set[_Place]
    problem: str = ""


def traced_channels(
    model: nn.Module,
    inputs: Tensor,
    prunable: Collection[str],
    *,
    heads: Mapping[str, int] | None = None,
    purpose: str = "granularity 'channel'",
) -> tuple[tuple[tuple[tuple[str, int, tuple[int, ...]], ...], ...], dict[str, str]]:
    """Coupled channels of a network as torch-pruning sees them, not yet checked.

    Args:
        model: the network; it stays as it is.
        inputs: a batch that it maps to a tensor.
        prunable: the names of the weights that masks cover.
        heads: pattern of parameter names -> number of heads, see `lottery.core.find_channels`.
        purpose: what they are wanted for, for errors.

    Returns:
        The channels, each a tuple of slices (parameter name, dimension, indices) with the slices of
        biases and normalization; and for outputs that are no channels: parameter name -> why not.

    Raises:
        MissingPackageError: torch-pruning is not installed.
        UsageError: the network cannot be traced, or ``heads`` fits none of its layers.
    """
    network = deepcopy(model).eval().requires_grad_(True)
    graph = _dependency_graph(network, inputs, purpose)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    found = [_Traced(places) for places in _heads(network, names, heads or {})]
    traceable = [module for module in network.modules() if _traceable(module)]
    layers = {names[id(m.weight)]: m for m in traceable if names[id(m.weight)] in prunable}
    unknown = {id(m) for m in traceable if names[id(m.weight)] not in prunable}
    known: set[tuple[str, int]] = set()
    for layer in layers.values():
        if layer in graph.module2node:
            found += _channels_of(graph, layer, names, known, unknown)
    merged = _merged(found)
    for channel in merged:
        if not channel.problem and not any(n in layers and d == 1 for n, d, _ in channel.places):
            channel.problem = OUTPUTS
    unreached = (name for name, layer in layers.items() if layer not in graph.module2node)
    left_out = dict.fromkeys(
        (name for name in prunable if name not in layers), "channels of such a layer are not traced"
    )
    left_out |= dict.fromkeys(unreached, "the trace does not reach it")
    left_out |= {
        name: channel.problem
        for channel in merged
        for name, dim, _ in channel.places
        if channel.problem and dim == 0 and name in layers
    }
    return tuple(sorted(_slices(c.places) for c in merged if not c.problem)), left_out


def _dependency_graph(network: nn.Module, inputs: Tensor, purpose: str) -> Any:
    try:
        import torch_pruning
    except ModuleNotFoundError as error:
        raise MissingPackageError(purpose, "'lottery[structures]'") from error
    # catch_warnings is of the whole process, whose other threads may trace as well.
    with _tracing, torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return torch_pruning.DependencyGraph().build_dependency(
                network, example_inputs=(inputs,), verbose=False
            )
        except (ArithmeticError, AssertionError, AttributeError, LookupError) as error:
            raise _untraceable(error, purpose) from error
        except (RuntimeError, TypeError, ValueError) as error:
            raise _untraceable(error, purpose) from error


def _untraceable(error: Exception, purpose: str) -> UsageError:
    return UsageError(
        "torch-pruning cannot trace the network, so its coupled channels are not known "
        f"({type(error).__name__}: {error}); it has to do without {purpose}"
    )


def _traceable(module: object) -> bool:
    return isinstance(module, (nn.Linear, *_CONVOLUTIONS))


def _channels_of(
    graph: Any,
    module: Any,
    names: Mapping[int, str],
    known: set[tuple[str, int]],
    unknown: Container[int],
) -> Iterator[_Traced]:
    """What goes with each output of a layer that is not known yet; those it meets become known."""
    name = names[id(module.weight)]
    roots = [i for i in range(len(module.weight)) if (name, i) not in known]
    if not roots:
        return
    remove = graph.get_pruner_of_module(module).prune_out_channels
    whole = list(graph.get_pruning_group(module, remove, roots))
    if all(sorted(indices) == roots for _, indices in whole):
        steps = [[(dep, [root]) for dep, _ in whole] for root in roots]
    else:
        steps = [list(graph.get_pruning_group(module, remove, [root])) for root in roots]
    for items in steps:
        traced = _Traced(set())
        for dep, indices in items:
            target, outputs = dep.target.module, graph.is_out_channel_pruning_fn(dep.handler)
            traced.problem = traced.problem or _problem(target, unknown)
            traced.places |= set(_places(target, outputs, indices, names))
            if outputs and _traceable(target):
                known |= {(names[id(target.weight)], i) for i in indices}
        yield traced


def _problem(target: object, unknown: Container[int]) -> str:
    """Why nothing that passes this part of the network can be removed by zeros, if so."""
    if isinstance(target, _MIXING):
        return f"{type(target).__name__} mixes what it would have removed with the rest"
    if (_traceable(target) and id(target) not in unknown) or isinstance(target, _PER_CHANNEL):
        return ""
    if isinstance(target, nn.Parameter):
        return "it meets a parameter of no layer"
    if isinstance(target, nn.Module) and any(True for _ in target.parameters()):
        return f"it meets a {type(target).__name__} in which no mask prunes channels"
    return ""


def _places(
    target: Any, outputs: bool, indices: Sequence[int], names: Mapping[int, str]
) -> Iterator[_Place]:
    """The places of a part of the network that some of its outputs (or inputs) are."""
    if isinstance(target, _PER_CHANNEL):
        shared = isinstance(target, nn.PReLU) and target.num_parameters == 1
        vectors = [] if shared else list(target.parameters())
        yield from ((names[id(p)], 0, i) for p in vectors for i in indices)
    elif _traceable(target):
        groups = getattr(target, "groups", 1)
        dim, along = _in_groups(target, outputs, indices) if groups > 1 else (1 - outputs, indices)
        tensors = [target.weight] if dim or target.bias is None else [target.weight, target.bias]
        yield from ((names[id(p)], dim, i) for p in tensors for i in along)


def _in_groups(conv: Any, outputs: bool, indices: Sequence[int]) -> tuple[int, list[int]]:
    """Dimension and indices of the weight of a grouped convolution: the same in every group."""
    of_group, inputs = conv.out_channels // conv.groups, conv.in_channels // conv.groups
    if inputs == 1:  # each input with its outputs, which are a group
        chosen = {i // of_group if outputs else i for i in indices}
        return 0, [g * of_group + k for g in sorted(chosen) for k in range(of_group)]
    if not outputs:
        return 1, sorted({i % inputs for i in indices})
    chosen = {i % of_group for i in indices}
    return 0, [g * of_group + k for g in range(conv.groups) for k in sorted(chosen)]


def _heads(
    network: nn.Module, names: Mapping[int, str], heads: Mapping[str, int]
) -> Iterator[set[_Place]]:
    """The inputs of each attention head in the layers that read heads."""
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    for pattern, number in heads.items():
        matching = [m for m in layers if fnmatchcase(names[id(m.weight)], pattern)]
        if not matching:
            raise UsageError(
                f"heads: no linear layer matches {pattern!r}; the network's are "
                f"{', '.join(sorted(names[id(m.weight)] for m in layers))}"
            )
        for module in matching:
            name, width = names[id(module.weight)], module.in_features
            if number < 1 or width % number:
                raise UsageError(f"heads: the {width} inputs of '{name}' are not {number} heads")
            size = width // number
            for start in range(0, width, size):
                yield {(name, 1, i) for i in range(start, start + size)}


def _merged(found: Sequence[_Traced]) -> list[_Traced]:
    """Channels that share a place made one, and with one problem among them, a problem."""
    owner: dict[_Place, _Traced] = {}
    alive: dict[int, _Traced] = {}
    for traced in found:
        others = {id(owner[p]): owner[p] for p in traced.places if p in owner}
        # The largest takes in the rest, so that no place changes hands often.
        joined = max([traced, *others.values()], key=lambda t: len(t.places))
        for other in [traced, *others.values()]:
            alive.pop(id(other), None)
            if other is not joined or other is traced:
                owner.update(dict.fromkeys(other.places, joined))
            if other is not joined:
                joined.places |= other.places
                joined.problem = joined.problem or other.problem
        alive[id(joined)] = joined
    return list(alive.values())


def _slices(places: set[_Place]) -> tuple[tuple[str, int, tuple[int, ...]], ...]:
    along: dict[tuple[str, int], list[int]] = {}
    for name, dim, index in sorted(places):
        along.setdefault((name, dim), []).append(index)
    return tuple((name, dim, tuple(indices)) for (name, dim), indices in along.items())
