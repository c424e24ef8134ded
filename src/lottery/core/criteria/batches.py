"""Batches of examples of any form: a tensor, or tensors within tuples, lists and dicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lottery.core.criteria.context import Probe
from lottery.errors import UsageError


def tensors(batch: Any) -> Iterator[Tensor]:
    """The tensors of a batch, in its order."""
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, Mapping | tuple | list):
        for part in batch.values() if isinstance(batch, Mapping) else batch:
            yield from tensors(part)


def map_tensors(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A batch of the same form with every tensor changed; what is no tensor stays.

    A mapping becomes a dict, and a named tuple a tuple.
    """
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, Mapping):
        return {name: map_tensors(part, change) for name, part in batch.items()}
    if isinstance(batch, tuple | list):
        parts = [map_tensors(part, change) for part in batch]
        return parts if isinstance(batch, list) else tuple(parts)
    return batch


def example_count(batch: Any) -> int:
    """How many examples a batch has: the length of its first tensor with a dimension; 0 without.

    >>> import torch
    >>> example_count({"input_ids": torch.zeros(8, 5), "labels": torch.zeros(8)})
    8
    """
    return next((len(tensor) for tensor in tensors(batch) if tensor.dim()), 0)


def single_examples(batch: Any) -> Iterator[Any]:
    """Each example as a batch of one; tensors of another length go into each whole."""
    count = example_count(batch)

    def cut(index: int, tensor: Tensor) -> Tensor:
        whole = not tensor.dim() or len(tensor) != count
        return tensor if whole else tensor[index : index + 1]

    for index in range(count):
        yield map_tensors(batch, partial(cut, index))


def call_model(model: nn.Module, inputs: Any) -> Tensor:
    """A model's outputs; of an object with several fields, such as Hugging Face's, its ``logits``.

    Args:
        model: any.
        inputs: a tensor, a tuple or list of arguments, or a mapping of named ones.

    Raises:
        UsageError: the outputs are no tensor and have no ``logits``.
    """
    if isinstance(inputs, Mapping):
        outputs = model(**inputs)
    elif isinstance(inputs, tuple | list):
        outputs = model(*inputs)
    else:
        outputs = model(inputs)
    found = outputs if isinstance(outputs, Tensor) else getattr(outputs, "logits", None)
    if not isinstance(found, Tensor):
        raise UsageError(
            "expected a model whose outputs are a tensor, or have one as `logits`, got "
            f"{type(outputs).__name__}; give a loss of (model, batch) that takes them apart"
        )
    return found


def probe_from_batches(
    model: nn.Module,
    batches: Iterable[Any],
    loss: Callable[[nn.Module, Any], Tensor] | None = None,
) -> Probe:
    """A `Probe` for criteria: a network, and batches in the form that its training has.

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
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
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
