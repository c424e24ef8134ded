"""A probe from the batches of somebody's own training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from lottery.core.criteria.batches import map_tensors
from lottery.core.criteria.context import Probe
from lottery.errors import UsageError


def probe_from_batches(
    model: nn.Module,
    batches: Iterable[Any],
    loss: Callable[[nn.Module, Any], Tensor] | None = None,
) -> Probe:
    """What criteria look at: a network, and batches of whatever form its training has.

    Args:
        model: the network, not wrapped.
        batches: read to their end, and moved to the model's device. Each is (inputs, targets),
            inputs being a tensor, a tuple of arguments or a dict of named ones; inputs alone, for
            criteria that need no targets; a dict with ``labels``, for a model that then gives its
            ``loss``; or anything that ``loss`` takes.
        loss: (model, batch) -> the mean loss of a batch, a scalar. None: the model's own for dicts
            with ``labels``, else the cross-entropy of outputs and targets.

    Raises:
        UsageError: there is no batch, or one of another form.
    """
    one = isinstance(batches, tuple) and all(isinstance(part, Tensor) for part in batches)
    if isinstance(batches, Tensor | Mapping) or (one and batches):
        raise UsageError(
            "expected a list of batches or a DataLoader, got what looks like one batch; write "
            "batches=[(inputs, targets)]"
        )
    device = next(model.parameters()).device
    given = [map_tensors(batch, lambda t: t.to(device)) for batch in batches]
    if not given:
        raise UsageError(
            "the criterion looks at the network with examples; give batches, such as "
            "batches=[(inputs, targets)] or a DataLoader"
        )
    if loss is not None:
        return Probe(model=model, batches=given, batch_loss=loss)
    if all(isinstance(batch, Mapping) and "labels" in batch for batch in given):
        return Probe(model=model, batches=given, batch_loss=_own_loss)
    pairs = [batch if isinstance(batch, tuple | list) else (batch, None) for batch in given]
    if any(len(pair) != 2 for pair in pairs):
        raise UsageError(
            "expected batches of (inputs, targets), inputs with several arguments as a "
            f"tuple in it, got {len(pairs[0])} parts; or give loss=, a function of (model, batch)"
        )
    return Probe(model=model, batches=pairs, loss=_cross_entropy)


def _own_loss(model: nn.Module, batch: Mapping[str, Any]) -> Tensor:
    loss = getattr(model(**batch), "loss", None)
    if not isinstance(loss, Tensor):
        raise UsageError(
            "a batch has labels, but the model gives no `loss` of them; give loss=, a "
            "function of (model, batch)"
        )
    return loss


def _cross_entropy(outputs: Tensor, targets: Any) -> Tensor:
    if not isinstance(targets, Tensor):
        raise UsageError(
            "this criterion needs a loss; give batches of (inputs, targets), dicts with "
            "labels, or loss=, a function of (model, batch)"
        )
    return F.cross_entropy(outputs, targets)
