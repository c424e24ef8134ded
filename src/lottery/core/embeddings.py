"""Networks that begin with an embedding, run on numbers that are no token ids."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def any_numbers_as_tokens(model: nn.Module) -> Iterator[None]:
    """Inside a ``with`` block, embeddings accept floating-point numbers in place of token ids.

    Numbers in [0.5, 1.5) are spread over the vocabulary, and an embedding's outputs are replaced by
    their magnitudes, as `lottery.core.signal_passes` makes all weights positive.
    """

    def as_ids(layer: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        assert isinstance(layer, nn.Embedding)
        first, *others = args
        if isinstance(first, Tensor) and first.is_floating_point():
            first = ((first - 0.5) * layer.num_embeddings).long().clamp(0, layer.num_embeddings - 1)
        return (first, *others)

    def positive(_layer: nn.Module, _args: tuple[Any, ...], output: Tensor) -> Tensor:
        return output.abs()

    with ExitStack() as stack:
        for layer in model.modules():
            if isinstance(layer, nn.Embedding):
                stack.callback(layer.register_forward_pre_hook(as_ids).remove)
                stack.callback(layer.register_forward_hook(positive).remove)
        yield
