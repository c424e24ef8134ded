"""Rewinding a model to a state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from lottery.core import by_clean_name
from lottery.errors import UsageError, format_names
from lottery.pieces.weights import clear_entries, pruned_entries


def rewind(
    model: nn.Module, state: Mapping[str, Tensor], mask: Mapping[str, Tensor] | None = None
) -> None:
    """Set weights and buffers back to an earlier state, in place; pruned weights become zero.

    Kept weights are bit-equal to the state. Make a new optimizer and a new learning rate schedule
    afterwards: the old ones have the state of the training before.

    Args:
        model: the network, wrapped or not; so may be the one that the state was taken from.
        state: a whole ``state_dict``, copied when it was taken:
            ``{name: value.clone() for name, value in model.state_dict().items()}``.
        mask: the weights that are kept; None: all.

    Raises:
        UsageError: the state does not fit the model (every difference is listed), or shares memory
            with it, so that training has changed it as well.
        MaskError: the mask does not fit the model.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> state = {name: value.clone() for name, value in model.state_dict().items()}
        >>> _ = nn.init.ones_(model.weight)  # a training
        >>> rewind(model, state)
        >>> model.weight.equal(state["weight"])
        True
    """
    own, given = by_clean_name(model.state_dict()), by_clean_name(state)
    _check_state(own, given)
    pruned = pruned_entries(model, mask)
    names = by_clean_name({name: name for name in model.state_dict()})
    model.load_state_dict({names[name]: value for name, value in given.items()})
    clear_entries(pruned)


def _check_state(own: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Check that a state can be put into a model and come out the same."""
    missing, unknown = [n for n in own if n not in given], [n for n in given if n not in own]
    wrong = [f"{format_names(missing)} missing"] if missing else []
    wrong += [f"{format_names(unknown)} unknown"] if unknown else []
    both = [
        (name, own[name], given[name])
        for name in own
        if isinstance(own[name], Tensor) and isinstance(given.get(name), Tensor)
    ]
    wrong += [
        f"{name} is {old.dtype} of shape {tuple(old.shape)}, in the model {now.dtype} of "
        f"{tuple(now.shape)}"
        for name, now, old in both
        if (now.dtype, now.shape) != (old.dtype, old.shape)
    ]
    if wrong:
        raise UsageError(f"rewind: the state does not fit the model: {'; '.join(wrong)}")
    same = [n for n, now, old in both if now.numel() and now.data_ptr() == old.data_ptr()]
    if same:
        raise UsageError(
            f"rewind: {format_names(same)} of the state are the model's own memory, which training "
            "changes; copy a state when it is taken: {name: value.clone() for name, value in "
            "model.state_dict().items()}"
        )
