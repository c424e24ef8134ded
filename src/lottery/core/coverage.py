"""Which weights masks cover: those that multiply an input and are trained; and which not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from lottery.core.names import Patterns, as_patterns, check_patterns_match, matches_any
from lottery.core.parameter_uses import Use, by_memory, parameter_uses
from lottery.errors import UsageError
from lottery.layers import NORMALIZATIONS, Kind, fan_in, matrix_kinds

_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
_RULE: Final = "_lottery_coverage"
"""The attribute of a network that `set_coverage` sets: copies of the network have it too."""


@dataclass(frozen=True, kw_only=True)
class _Rule:
    also: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CoveredWeight:
    """A weight that masks cover.

    Args:
        tensor: the parameter, detached, with shared storage.
        layer: the first layer that has it as a matrix, or else the first that has it.
        attribute: its name in that layer.
        kind: what it is there, see `lottery.layers.Kind`.
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


def covered_weights(
    model: nn.Module, *, also: Patterns = (), leave_out: Patterns = ()
) -> dict[str, CoveredWeight]:
    """The weights that masks are made for, with their layers; see `prunable_weights`."""
    rule = _rule(model, also, leave_out)
    _refuse_parametrized(model, rule.leave_out)
    covered = {}
    for uses in _covered(model, by_memory(parameter_uses(model)), rule):
        use = next((use for use in uses if use.kind), uses[0])
        embedding = isinstance(use.layer, _EMBEDDINGS)
        covered[uses[0].name] = CoveredWeight(
            tensor=uses[0].parameter.detach(),
            layer=use.layer,
            attribute=use.attribute,
            kind=use.kind or ("embedding" if embedding else "unknown"),
        )
    return covered


def prunable_weights(
    model: nn.Module, *, also: Patterns = (), leave_out: Patterns = ()
) -> dict[str, Tensor]:
    """The weights that masks are made for: those that multiply an input and are trained.

    Matrices of Linear, Conv, ConvTranspose and Bilinear, of RNN, LSTM and GRU and their cells, of
    MultiheadAttention, of the linear layers of other libraries (those that have a two-dimensional
    ``weight`` and say ``in_features`` and ``out_features``, and Hugging Face's ``Conv1D``), and
    those of experts, with one matrix for each of ``num_experts``. Never biases, normalization or
    embeddings, nor what is frozen (``requires_grad`` is False). Weights that share their memory,
    under whatever names, are counted once, under the first name; a weight that is shared with an
    embedding or a layer of unknown kind is not prunable. `outside_mask` lists what is not covered,
    and why.

    Args:
        model: any network.
        also: patterns (``*``, ``?``, ``[...]``) of parameter names to cover in addition:
            embeddings, and matrices of layers that masks do not know.
        leave_out: patterns of what not to cover; they take precedence. Both are added to those of
            `set_coverage`.

    Returns:
        parameter name -> the parameter's tensor (shared storage, detached), in the model's order.

    Raises:
        UsageError: a weight is parametrized, has no shape yet, or shares a part of its memory; a
            pattern matches nothing, or one of ``also`` matches what masks cannot cover.

    >>> model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3), nn.Linear(3, 2))
    >>> [*prunable_weights(model, also=["0.*"], leave_out=["2.*"])]
    ['0.weight', '1.weight']
    """
    covered = covered_weights(model, also=also, leave_out=leave_out)
    return {name: weight.tensor for name, weight in covered.items()}


def set_coverage(model: nn.Module, *, also: Patterns = (), leave_out: Patterns = ()) -> None:
    """Set what masks cover in addition, and what they leave out, in this network and its copies.

    Every function that needs to know what masks cover then follows these patterns; they are
    described at `prunable_weights`, and checked by it and the others, not here.
    """
    setattr(model, _RULE, _Rule(also=as_patterns(also), leave_out=as_patterns(leave_out)))


def fan_ins(model: nn.Module) -> dict[str, int]:
    """Name of each prunable weight -> its fan-in: how many weights each of its outputs has.

    >>> fan_ins(nn.Sequential(nn.Conv2d(2, 3, 5), nn.LSTM(4, 6, bias=False)))
    {'0.weight': 50, '1.weight_ih_l0': 4, '1.weight_hh_l0': 6}
    """
    return {
        name: fan_in(one.layer, one.attribute, one.tensor)
        for name, one in covered_weights(model).items()
    }


def outside_mask(
    model: nn.Module, *, also: Patterns = (), leave_out: Patterns = ()
) -> tuple[OutsideMask, ...]:
    """The matrices of a network that `prunable_weights` leaves out, in the model's order.

    These are the matrices of known layers that are left out, frozen or shared with something else,
    and every other parameter with two or more dimensions of a length above 1.

    >>> outside_mask(nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 2)))
    (OutsideMask(name='0.weight', weights=20, reason='an embedding'),)
    """
    rule, groups = _rule(model, also, leave_out), by_memory(parameter_uses(model))
    covered = {id(uses) for uses in _covered(model, groups, rule)}
    return tuple(
        OutsideMask(
            name=uses[0].name,
            weights=uses[0].parameter.numel(),
            reason="left out by prune.leave_out"
            if matches_any([use.name for use in uses], rule.leave_out)
            else reason,
        )
        for uses in groups
        for reason in [_why_not(uses) or "covered"]
        if id(uses) not in covered
        and (_is_matrix(uses[0].parameter) or any(use.kind for use in uses))
    )


def check_coverage(name: str, model: nn.Module) -> None:
    """Check that a network has weights to prune, and that no two parameters share their memory.

    Args:
        name: of the network, for messages.
        model: the network, after `tie_parameters`.

    Raises:
        UsageError: it has nothing to prune, parameters are views of each other's memory, or
            `prunable_weights` refuses one.
    """
    if not prunable_weights(model):
        outside = outside_mask(model)
        listed = "; ".join(f"{one.name} ({one.reason})" for one in outside) or "none"
        raise UsageError(
            f"model '{name}' has nothing to prune: expected weights that multiply an input and are "
            f"trained, such as those of linear, convolutional or recurrent layers; its matrices "
            f"are: {listed}"
        )
    for uses in by_memory(parameter_uses(model)):
        others = {use.name for use in uses if use.parameter is not uses[0].parameter}
        if others:
            raise UsageError(
                f"model '{name}': {', '.join(sorted({uses[0].name} | others))} are parameters of "
                "their own in the same memory, in another shape, or one of them frozen; make them "
                "one parameter, and compute the other forms in `forward`"
            )


def _rule(model: nn.Module, also: Patterns, leave_out: Patterns) -> _Rule:
    """The patterns given, after those of `set_coverage`."""
    own: _Rule = getattr(model, _RULE, _Rule())
    return _Rule(
        also=(*own.also, *as_patterns(also)), leave_out=(*own.leave_out, *as_patterns(leave_out))
    )


def _parametrized(model: nn.Module) -> list[str]:
    """Matrices of layers that are no parameters, but computed from some."""
    return [
        f"{path}.{attribute}" if path else attribute
        for path, layer in model.named_modules()
        for attribute in matrix_kinds(layer)
        if attribute not in layer._parameters and attribute not in layer._buffers
    ]


def _refuse_parametrized(model: nn.Module, leave_out: Sequence[str]) -> None:
    parametrized = [name for name in _parametrized(model) if not matches_any([name], leave_out)]
    if parametrized:
        raise UsageError(
            f"{', '.join(parametrized)}: computed from other parameters, as weight_norm, "
            "spectral_norm and torch.nn.utils.prune do it, so that no mask would hold; undo that "
            "where the network is made, with torch.nn.utils.parametrize.remove_parametrizations "
            "(or remove_weight_norm, remove_spectral_norm, prune.remove), or leave it out with "
            "prune.leave_out"
        )


def _covered(model: nn.Module, groups: Sequence[list[Use]], rule: _Rule) -> list[list[Use]]:
    """Of the groups of `by_memory` of a network, those that masks cover by the rule.

    Raises:
        UsageError: a pattern matches nothing, or one that adds matches what cannot be masked.
    """
    names = [[use.name for use in uses] for uses in groups]
    check_patterns_match("also", rule.also, names, "parameter of the network")
    refused = [
        f"{uses[0].name} is {reason}"
        for uses, own in zip(groups, names, strict=True)
        for reason in [_cannot_be_masked(uses) or _cannot_be_added(uses)]
        if reason and matches_any(own, rule.also) and not matches_any(own, rule.leave_out)
    ]
    if refused:
        raise UsageError(
            f"prune.also: {'; '.join(refused)}, which masks cannot cover; they can cover "
            "embeddings and matrices that are trained: write patterns that match these alone"
        )
    covered = [
        uses
        for uses, own in zip(groups, names, strict=True)
        if _why_not(uses) is None or matches_any(own, rule.also)
    ]
    names = [[use.name for use in uses] for uses in covered]
    computed = [[name] for name in _parametrized(model)]
    check_patterns_match("leave_out", rule.leave_out, names + computed, "weight that masks cover")
    return [
        uses
        for uses, own in zip(covered, names, strict=True)
        if not matches_any(own, rule.leave_out)
    ]


def _is_matrix(parameter: Tensor) -> bool:
    return sum(length > 1 for length in parameter.shape) > 1


def _why_not(uses: Sequence[Use]) -> str | None:
    """Why masks do not cover a parameter, by the layers that have it; None if they do."""
    strange = [use for use in uses if use.kind is None]
    if any(isinstance(use.layer, _EMBEDDINGS) for use in strange):
        return "an embedding"
    never = _cannot_be_masked(uses)
    if never or not strange:
        return never
    shared = "also " if len(strange) < len(uses) else ""
    return f"{shared}of {type(strange[0].layer).__name__}, a kind of layer that masks do not know"


def _cannot_be_masked(uses: Sequence[Use]) -> str | None:
    """Why no pattern makes masks cover a parameter; None if one may."""
    strange = [use for use in uses if use.kind is None]
    if any(isinstance(use.layer, NORMALIZATIONS) for use in strange):
        return "a normalization"
    if any(isinstance(use.layer, ParametrizationList) for use in strange):
        return "what a parametrized weight is computed from"
    if any("bias" in use.attribute for use in strange):
        return "a bias"
    return None if any(use.parameter.requires_grad for use in uses) else "frozen"


def _cannot_be_added(uses: Sequence[Use]) -> str | None:
    """The same for what masks do not cover anyhow."""
    if uses[0].parameter.dim() < 2:
        return "a vector"
    sparse = any(isinstance(use.layer, _EMBEDDINGS) and use.layer.sparse for use in uses)
    return "an embedding with sparse gradients" if sparse else None
