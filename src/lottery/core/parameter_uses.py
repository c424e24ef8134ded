"""The parameters of a network with the layers that have them, grouped by the memory they share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from lottery.errors import UsageError
from lottery.layers import Kind, matrix_kinds


@dataclass(frozen=True, kw_only=True)
class Use:
    """A parameter in one of the layers that have it.

    Args:
        name: its name in the network.
        parameter: the parameter.
        layer: the layer that has it as an attribute.
        attribute: its name there.
    """

    name: str
    parameter: nn.Parameter
    layer: nn.Module
    attribute: str

    @property
    def kind(self) -> Kind | None:
        """What it is in this layer; None if masks do not know that."""
        return matrix_kinds(self.layer).get(self.attribute)


def parameter_uses(model: nn.Module) -> list[Use]:
    """Every parameter of a network in every layer that has it, in the network's order."""
    return [
        Use(
            name=f"{path}.{attribute}" if path else attribute,
            parameter=parameter,
            layer=layer,
            attribute=attribute,
        )
        for path, layer in model.named_modules()
        for attribute, parameter in layer.named_parameters(recurse=False, remove_duplicate=False)
    ]


def by_memory(uses: Iterable[Use]) -> list[list[Use]]:
    """The uses grouped by memory: those of one parameter, or of several in the same memory.

    Groups are in the order of their first uses.

    Raises:
        UsageError: a parameter has no shape yet, or shares a part of its memory.
    """
    groups: dict[int, list[Use]] = {}
    for use in uses:
        groups.setdefault(id(use.parameter), []).append(use)
    first = [group[0] for group in groups.values()]
    lazy = [use.name for use in first if isinstance(use.parameter, UninitializedParameter)]
    if lazy:
        raise UsageError(
            f"{', '.join(lazy)}: no shape yet; pass an example through the network first"
        )
    storages: dict[tuple[torch.device, int], list[list[Use]]] = {}
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


def tie_parameters(model: nn.Module) -> None:
    """Make parameters that are equal views of the same memory one parameter, in place.

    The network computes the same as before. As separate parameters each would have a gradient and
    an optimizer state of its own, and in a copy of the network they would no longer share memory.
    """
    first: dict[tuple[object, ...], nn.Parameter] = {}
    for use in parameter_uses(model):
        p = use.parameter
        if not isinstance(p, UninitializedParameter) and p.numel() and not p.is_meta:
            form = (p.device, p.dtype, p.data_ptr(), p.shape, p.stride(), p.requires_grad)
            one = first.setdefault(form, p)
            if one is not p:
                setattr(use.layer, use.attribute, one)


def _same_memory(one: Use, other: Use) -> bool:
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
