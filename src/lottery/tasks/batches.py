"""Batches of the user's own, for criteria that look at data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lottery.core.criteria.batches import example_count, map_tensors
from lottery.errors import UsageError

BatchLoss = Callable[[nn.Module, Any], Tensor]
"""(model, batch) -> the mean loss of its examples, a scalar."""


def take_batches(source: Any, examples: int, device: torch.device) -> list[Any]:
    """Batches up to a number of examples, the last one whole, on a device.

    Args:
        source: an iterable of batches that can be gone through again, such as a list or a
            DataLoader; or a function without arguments that gives one.
        examples: how many are enough, 1 or more.
        device: where the network is.

    Raises:
        UsageError: the source is an iterator, which is used up after once, or there is no batch.
    """
    iterable = source() if callable(source) else source
    if not isinstance(iterable, Iterable) or (iterable is source and iterable is iter(iterable)):
        raise UsageError(
            f"batches: expected a list, a DataLoader or a function that gives one, got "
            f"{type(source).__name__}: batches are gone through again at every level"
        )
    taken: list[Any] = []
    seen = 0
    for batch in iterable:
        taken.append(map_tensors(batch, lambda tensor: tensor.to(device)))
        seen += example_count(batch)
        if seen >= examples:
            break
    if not taken:
        raise UsageError("batches: expected one batch or more, got none")
    return taken


def default_loss(model: nn.Module, batch: Any) -> Tensor:
    """The loss that a model computes itself from a batch of named arguments, labels among them.

    Raises:
        UsageError: the batch is none, or the model gives no loss.
    """
    if not isinstance(batch, Mapping):
        raise UsageError(
            "batches: only of dicts, as models of transformers take them, is the loss known; "
            f"got {type(batch).__name__}: pass loss=, a function (model, batch) -> mean loss"
        )
    loss = getattr(model(**batch), "loss", None)
    if not isinstance(loss, Tensor):
        raise UsageError(
            "batches: the model gave no loss for a batch of "
            f"{', '.join(map(str, batch))}; add labels, or pass loss=, a function (model, batch)"
        )
    return loss
