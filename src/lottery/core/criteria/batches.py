"""Batches of examples of any form: a tensor, or tensors within tuples, lists and dicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

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
    """How many examples a batch has: the first dimension of its first tensor that has one.

    >>> import torch
    >>> example_count({"input_ids": torch.zeros(8, 5), "labels": torch.zeros(8)})
    8
    """
    return next((len(tensor) for tensor in tensors(batch) if tensor.dim()), 0)


def single_examples(batch: Any) -> Iterator[Any]:
    """Every example of a batch as a batch of one; tensors of another length are not cut."""
    count = example_count(batch)

    def cut(index: int, tensor: Tensor) -> Tensor:
        whole = not tensor.dim() or len(tensor) != count
        return tensor if whole else tensor[index : index + 1]

    for index in range(count):
        yield map_tensors(batch, partial(cut, index))


def call_model(model: nn.Module, inputs: Any) -> Tensor:
    """A model's outputs; of what holds several, such as Hugging Face's, the ``logits``.

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
