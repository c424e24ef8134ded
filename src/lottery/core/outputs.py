"""Which layers' outputs are the outputs of the network: found by tracing, not by names.

A layer is an output layer if some of its outputs reach those of the network on a path without a
further weight matrix; or if an output of it reaches only some of the network's outputs, such as
class scores that a matrix then weights position by position. Removing such an output would not
make the network smaller but take a class away. A network can have several output layers: the heads
of an ensemble, or a layer with a shortcut around the rest.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

import torch
from torch import Tensor, nn

from lottery.core.coverage import prunable_weights
from lottery.errors import UsageError

_OUTPUT: Final = "its outputs are the network's"
_SOME: Final = "each of its outputs reaches only some of the network's"
_UNSEEN: Final = "the trace of the network does not show it"

_Node = Any  # of autograd's graph, which torch does not type
_MIXING: Final = (
    "Addmm",
    "Addmv",
    "Addbmm",
    "Baddbmm",
    "Bmm",
    "Mm",
    "Mv",
    "Dot",
    "Linear",
    "Convolution",
    "Trilinear",
)
"""Operations in which every output depends on all inputs; grouped convolutions are not."""


def output_layers(model: nn.Module, inputs: Tensor) -> dict[str, str]:
    """The prunable layers whose outputs are, or may be, outputs of the network.

    Autograd records one forward pass through a copy of the network in evaluation mode, and its
    graph is walked backwards from the outputs. A path ends where a signal from the inputs meets a
    weight matrix, prunable or not: that is an output layer. Sums, means over positions or features,
    activations, normalization and scales do not end a path, nor do operations whose use of weights
    the graph does not show, so that rather one layer too many is found than one too few; a layer
    that is not in the graph is counted as well. Gradients tell which of the network's outputs a
    layer's outputs reach, with noise on the weights so that none is zero.

    Args:
        model: any network that maps ``inputs`` to a tensor; it is not changed.
        inputs: a batch of two examples or more; of floating-point inputs only the shape matters.

    Returns:
        parameter name -> why none of its outputs may be removed, for the prunable output layers.

    Raises:
        UsageError: the network's output is no tensor, or has no gradient.
    """
    network, given = _noisy_copy(model, inputs)
    with torch.enable_grad(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outputs: object = network(given)
    if not isinstance(outputs, Tensor) or outputs.grad_fn is None:
        raise UsageError(
            "expected a network whose outputs are one tensor with a gradient, so that the layer "
            f"that makes them can be told, got {type(outputs).__name__}; use granularity 'weight'"
        )
    weights = {name: network.get_parameter(name) for name in prunable_weights(model)}
    record = _Record(outputs.grad_fn, given)
    found = {n: _UNSEEN for n, weight in weights.items() if id(weight) not in record.parameters}
    met, beyond = record.first_matrices([outputs.grad_fn])
    found |= {name: _OUTPUT for name, weight in weights.items() if id(weight) in met}
    while beyond:
        met, beyond = record.first_matrices(beyond)
        ahead = {n: w for n, w in weights.items() if id(w) in met and n not in found}
        reaching = _reaching_some(outputs, ahead) if ahead else {}
        found |= reaching
        if not reaching:  # so does all that goes through these layers alone
            break
    return {name: found[name] for name in weights if name in found}


def _noisy_copy(model: nn.Module, inputs: Tensor) -> tuple[nn.Module, Tensor]:
    """The network in evaluation mode and examples, without zeros that would hide a way."""
    generator = torch.Generator().manual_seed(0)
    network = deepcopy(model).cpu().eval().requires_grad_(True)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.all():
                fan_in = parameter[0].numel() if parameter.dim() > 1 else 1
                parameter.add_(
                    torch.randn(parameter.shape, generator=generator), alpha=0.1 / fan_in**0.5
                )
    given = inputs.detach().cpu()
    if given.is_floating_point():
        given = torch.randn(given.shape, generator=generator).to(given.dtype).requires_grad_(True)
    return network, given


def _reaching_some(outputs: Tensor, weights: Mapping[str, Tensor]) -> dict[str, str]:
    """The layers of which an output reaches some of the network's and not others, with the reason.

    Gradients of two halves of the network's outputs tell, for two ways of halving them.
    """
    places = torch.arange(outputs[0].numel()).view(outputs[0].shape)
    found: dict[str, str] = {}
    for bit in range(min(2, (places.numel() - 1).bit_length())):
        halves = [((places >> bit) & 1 == side).to(outputs.dtype) for side in (0, 1)]
        try:
            one, other = (_reached((outputs * half).sum(), weights) for half in halves)
        except RuntimeError:  # such as a checkpoint, whose record is made later
            return dict.fromkeys(weights, _UNSEEN)
        found |= {n: _SOME for n in weights if not torch.equal(one[n], other[n])}
    return found


def _reached(total: Tensor, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Which outputs of each layer a sum of the network's depends on, bool of shape [outputs]."""
    found = torch.autograd.grad(
        total, [*weights.values()], retain_graph=True, materialize_grads=True
    )
    return {n: (g.flatten(1) != 0).any(1) for n, g in zip(weights, found, strict=True)}


class _Record:
    """Autograd's record of a pass: which parameters are in it, and which are met on a way back."""

    def __init__(self, end: _Node, inputs: Tensor) -> None:
        self.matrices: dict[_Node, frozenset[int]] = {}
        """Node -> the matrices (by id) that it is made of."""
        self.from_inputs: dict[_Node, bool] = {}
        self.parameters: set[int] = set()
        for node in _children_first(end):
            self._note(node, inputs)

    def _note(self, node: _Node, inputs: Tensor) -> None:
        below = _below(node)
        self.from_inputs[node] = any(self.from_inputs[n] for n in below)
        self.matrices[node] = frozenset().union(*(self.matrices[n] for n in below))
        variable = getattr(node, "variable", None)
        if variable is not None:
            self.parameters.add(id(variable))
            self.from_inputs[node] = variable is inputs
            if variable.dim() > 1 and variable is not inputs:
                self.matrices[node] = frozenset([id(variable)])
        elif "Embedding" in node.name():  # of inputs that are whole numbers
            self.from_inputs[node] = True

    def first_matrices(self, starts: Iterable[_Node]) -> tuple[set[int], list[_Node]]:
        """The matrices that are met first on the ways back, and where these ways go on."""
        ahead, beyond, met = [*starts], list[_Node](), set[int]()
        seen = {*ahead}
        while ahead:
            node = ahead.pop()
            below = _below(node)
            weights = [n for n in below if not self.from_inputs[n] and self.matrices[n]]
            signals = [n for n in below if self.from_inputs[n]]
            if not signals:  # made of parameters alone
                met |= self.matrices[node]
                continue
            met.update(*(self.matrices[n] for n in weights))
            mixes = node.name().startswith(_MIXING) and getattr(node, "_saved_groups", 1) == 1
            if weights and mixes:
                beyond += signals
            else:
                ahead += [n for n in below if n not in seen]
                seen.update(below)
        return met, beyond


def _below(node: _Node) -> list[_Node]:
    return [n for n, _ in node.next_functions if n is not None]


def _children_first(end: _Node) -> Iterator[_Node]:
    """Every node of the record, after all those that it is made of."""
    ahead, done = [(end, False)], set[_Node]()
    while ahead:
        node, expanded = ahead.pop()
        if node in done:
            continue
        if expanded:
            done.add(node)
            yield node
        else:
            ahead.append((node, True))
            ahead += [(below, False) for below in _below(node) if below not in done]
