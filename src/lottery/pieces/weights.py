"""The weights of a model that masks cover, and what a mask prunes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lottery.core import Mask, Patterns, by_clean_name, prunable_weights


def weights_to_prune(
    model: nn.Module,
    mask: Mapping[str, Tensor] | None,
    also: Patterns = (),
    leave_out: Patterns = (),
) -> dict[str, Tensor]:
    """The weights that masks cover by clean name: those of the mask, if nothing else says so."""
    if mask is None or also or leave_out:
        return by_clean_name(prunable_weights(model, also=also, leave_out=leave_out))
    parameters = by_clean_name(dict(model.named_parameters(remove_duplicate=False)))
    return {name: parameters[name] for name in by_clean_name(mask) if name in parameters}


def pruned_entries(
    model: nn.Module, mask: Mapping[str, Tensor] | None
) -> list[tuple[nn.Parameter, Tensor]]:
    """The parameters that a mask names, and what of each is pruned."""
    if mask is None:
        return []
    kept = Mask(by_clean_name(mask))
    parameters = by_clean_name(dict(model.named_parameters(remove_duplicate=False)))
    kept.check({name: parameters[name] for name in kept if name in parameters})
    return [(parameters[name], ~kept[name]) for name in kept]


def clear_entries(pruned: Sequence[tuple[nn.Parameter, Tensor]]) -> None:
    """Make what is pruned zero, in place."""
    with torch.no_grad():
        for parameter, where in pruned:
            parameter.masked_fill_(where.to(parameter.device), 0.0)
