"""What masks cover: the weights that multiply an input and are trained; and what they do not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils.parametrize import ParametrizationList

from lottery.errors import UsageError
from lottery.layers import Kind, fan_in, matrix_kinds

_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
_NORMALIZATIONS = (_NormBase, nn.LayerNorm, nn.RMSNorm, nn.GroupNorm)


@dataclass(frozen=True, kw_only=True)
class CoveredWeight:
    """A weight that masks cover.

    Args:
        tensor: the parameter's, detached, in its own storage.
        layer: the first that has it.
        attribute: its name in the layer.
        kind: what it is, see `lottery.layers.Kind`.
    """

    tensor: Tensor
    layer: nn.Module
    attribute: str
    kind: Kind


@dataclass(frozen=True, kw_only=True)
class OutsideMask:
    """A matrix of a network that no mask covers.

    Args:
        name: of the parameter.
        weights: how many numbers it has, 1 or more.
        reason: why it is not covered, in a few words, such as ``"frozen"``.
    """

    name: str
    weights: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class _Use:
    """A parameter in one of the layers that have it."""

    name: str
    parameter: nn.Parameter
    layer: nn.Module
    attribute: str

    @property
    def kind(self) -> Kind | None:
        return matrix_kinds(self.layer).get(self.attribute)


def covered_weights(model: nn.Module) -> dict[str, CoveredWeight]:
    """The weights that masks are made for, with their layers; see `prunable_weights`."""
    _refuse_parametrized(model)
    return {
        uses[0].name: CoveredWeight(
            tensor=uses[0].parameter.detach(),
            layer=uses[0].layer,
            attribute=uses[0].attribute,
            kind=uses[0].kind,
        )
        for uses in _by_memory(_uses(model))
        if uses[0].kind is not None and _why_not(uses) is None
    }


def prunable_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights that masks are made for: those that multiply an input and are trained.

    Matrices of Linear, Conv, ConvTranspose and Bilinear, of RNN, LSTM and GRU and their cells, of
    MultiheadAttention, of the linear layers of other libraries (those that have a two-dimensional
    ``weight`` and say ``in_features`` and ``out_features``, and Hugging Face's ``Conv1D``), and
    those of experts, with one matrix for each of ``num_experts``. Never biases, normalization or
    embeddings, nor what is frozen (``requires_grad`` is False). Weights that share their memory,
    under whatever names, are counted once, under the first name; what an embedding or a layer of
    unknown kind has as well is not prunable. `outside_mask` says what is not covered, and why.

    Returns:
        parameter name -> the parameter's tensor (shared storage, detached), in the model's order.

    Raises:
        UsageError: a weight is parametrized, has no shape yet, or shares a part of its memory.
    """
    return {name: weight.tensor for name, weight in covered_weights(model).items()}


def fan_ins(model: nn.Module) -> dict[str, int]:
    """How many weights each output of a prunable weight has, by name.

    >>> fan_ins(nn.Sequential(nn.Conv2d(2, 3, 5), nn.LSTM(4, 6, bias=False)))
    {'0.weight': 50, '1.weight_ih_l0': 4, '1.weight_hh_l0': 6}
    """
    return {
        name: fan_in(one.layer, one.attribute, one.tensor)
        for name, one in covered_weights(model).items()
    }


def outside_mask(model: nn.Module) -> tuple[OutsideMask, ...]:
    """The matrices of a network that `prunable_weights` leaves out, in the model's order.

    Those of layers that masks know, if they are frozen or shared with something else; and every
    other parameter with two dimensions or more of more than one number.

    >>> outside_mask(nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 2)))
    (OutsideMask(name='0.weight', weights=20, reason='an embedding'),)
    """
    return tuple(
        OutsideMask(name=uses[0].name, weights=uses[0].parameter.numel(), reason=reason)
        for uses in _by_memory(_uses(model))
        for reason in [_why_not(uses)]
        if reason is not None and (_is_matrix(uses[0].parameter) or any(u.kind for u in uses))
    )


def check_coverage(name: str, model: nn.Module) -> None:
    """Check that a network has weights to prune, and memory that training can follow.

    Args:
        name: of the network, for messages.
        model: the network, after `tie_parameters`.

    Raises:
        UsageError: it has nothing to prune, weights are views of each other's memory, or one that
            `prunable_weights` refuses.
    """
    if not prunable_weights(model):
        outside = outside_mask(model)
        listed = "; ".join(f"{one.name} ({one.reason})" for one in outside) or "none"
        raise UsageError(
            f"model '{name}' has nothing to prune: expected weights that multiply an input and are "
            f"trained, such as those of linear, convolutional or recurrent layers; its matrices "
            f"are: {listed}"
        )
    for uses in _by_memory(_uses(model)):
        others = {use.name for use in uses if use.parameter is not uses[0].parameter}
        if others:
            raise UsageError(
                f"model '{name}': {', '.join(sorted({uses[0].name} | others))} are parameters of "
                "their own in the same memory, in another shape, or one of them frozen; make them "
                "one parameter, and compute the other forms in `forward`"
            )


def tie_parameters(model: nn.Module) -> None:
    """Make parameters that are the same memory in the same form one parameter, in place.

    What the network computes stays. As parameters of their own each would have a gradient and a
    state in the optimizer, and the first copy of the network would part them.
    """
    first: dict[tuple[object, ...], nn.Parameter] = {}
    for use in _uses(model):
        p = use.parameter
        if not isinstance(p, UninitializedParameter) and p.numel() and not p.is_meta:
            form = (p.device, p.dtype, p.data_ptr(), p.shape, p.stride(), p.requires_grad)
            one = first.setdefault(form, p)
            if one is not p:
                setattr(use.layer, use.attribute, one)


def _uses(model: nn.Module) -> list[_Use]:
    return [
        _Use(
            name=f"{path}.{attribute}" if path else attribute,
            parameter=parameter,
            layer=layer,
            attribute=attribute,
        )
        for path, layer in model.named_modules()
        for attribute, parameter in layer.named_parameters(recurse=False, remove_duplicate=False)
    ]


def _refuse_parametrized(model: nn.Module) -> None:
    parametrized = [
        f"{path}.{attribute}" if path else attribute
        for path, layer in model.named_modules()
        for attribute in matrix_kinds(layer)
        if attribute not in layer._parameters and attribute not in layer._buffers
    ]
    if parametrized:
        raise UsageError(
            f"{', '.join(parametrized)}: computed from other parameters, as weight_norm, "
            "spectral_norm and torch.nn.utils.prune do it, so that no mask would hold; undo that "
            "where the network is made, with torch.nn.utils.parametrize.remove_parametrizations "
            "(or remove_weight_norm, remove_spectral_norm, prune.remove)"
        )


def _by_memory(uses: Iterable[_Use]) -> list[list[_Use]]:
    """The uses of each parameter, and of others in the same memory; in the order of the first."""
    groups: dict[int, list[_Use]] = {}
    for use in uses:
        groups.setdefault(id(use.parameter), []).append(use)
    first = [group[0] for group in groups.values()]
    lazy = [use.name for use in first if isinstance(use.parameter, UninitializedParameter)]
    if lazy:
        raise UsageError(
            f"{', '.join(lazy)}: no shape yet; pass an example through the network first"
        )
    storages: dict[tuple[torch.device, int], list[list[_Use]]] = {}
    for group in groups.values():
        p = group[0].parameter
        # Without data nothing is shared but by being the same parameter.
        alone = p.is_meta or not p.numel()
        where = -id(p) if alone else p.untyped_storage().data_ptr()
        storages.setdefault((p.device, where), []).append(group)
    merged = {id(group): group for group in groups.values()}
    for sharing in storages.values():
        for second, group in enumerate(sharing):
            for earlier in sharing[:second]:
                if id(earlier) in merged and _same_memory(earlier[0], group[0]):
                    earlier += merged.pop(id(group))
                    break
    return list(merged.values())


def _same_memory(one: _Use, other: _Use) -> bool:
    """Whether two parameters of one storage are the same numbers; False for other parts of it.

    Raises:
        UsageError: they have some numbers in common, and others not.
    """
    (first, after), (second, end) = (_extent(use.parameter) for use in (one, other))
    if after <= second or end <= first:
        return False
    places = [_places(use.parameter) for use in (one, other)]
    common = torch.isin(places[0], places[1]).sum()
    if not common:
        return False
    if common == len(places[0]) == len(places[1]):
        return True
    raise UsageError(
        f"{one.name} and {other.name} have a part of their memory in common; make what they share "
        "one parameter"
    )


def _extent(parameter: Tensor) -> tuple[int, int]:
    """Where in its storage a parameter's first number begins and its last one ends, in bytes."""
    steps = zip(parameter.shape, parameter.stride(), strict=True)
    last = sum((length - 1) * stride for length, stride in steps)
    first, size = int(parameter.storage_offset()), parameter.element_size()
    return first * size, (first + int(last) + 1) * size


def _places(parameter: Tensor) -> Tensor:
    """Which bytes of its storage a parameter's numbers begin at, each once."""
    places = torch.tensor([int(parameter.storage_offset())])
    for length, stride in zip(parameter.shape, parameter.stride(), strict=True):
        places = (places.view(-1, 1) + torch.arange(length) * stride).flatten()
    unique: Tensor = places.unique()
    return unique * parameter.element_size()


def _is_matrix(parameter: Tensor) -> bool:
    return sum(length > 1 for length in parameter.shape) > 1


def _why_not(uses: Sequence[_Use]) -> str | None:
    """Why masks do not cover a parameter, by the layers that have it; None if they do."""
    strange = [use for use in uses if use.kind is None]
    if any(isinstance(use.layer, _EMBEDDINGS) for use in strange):
        return "an embedding"
    if any(isinstance(use.layer, _NORMALIZATIONS) for use in strange):
        return "a normalization"
    if any(isinstance(use.layer, ParametrizationList) for use in strange):
        return "what a parametrized weight is computed from"
    if any("bias" in use.attribute for use in strange):
        return "a bias"
    if not any(use.parameter.requires_grad for use in uses):
        return "frozen"
    if not strange:
        return None
    shared = "also " if len(strange) < len(uses) else ""
    return f"{shared}of {type(strange[0].layer).__name__}, a kind of layer that masks do not know"
