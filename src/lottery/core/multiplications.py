"""What a sparse network costs: the multiplications of one forward pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from lottery.core.coverage import covered_weights
from lottery.core.embeddings import any_numbers_as_tokens
from lottery.errors import UsageError
from lottery.layers import Kind, matrix_kinds

_Inputs = tuple[Any, ...]
_SEQUENCES: Final = ("query", "key", "value")


def weight_uses(model: nn.Module, input_shape: Sequence[int]) -> dict[str, int]:
    """How many multiplications one example's forward pass makes with each weight of a layer.

    1 for a linear or bilinear layer; for a convolution the number of positions of its output, for a
    transposed one those of its input, padding counted like the rest; for a recurrent layer and for
    attention the length of the sequence; 0 for an embedding. Every call of a layer counts, and
    every layer that shares the weight.

    Args:
        model: on the CPU; it is run once, in evaluation mode, and not changed.
        input_shape: shape of one example.

    Returns:
        parameter name -> uses, for every prunable weight.

    Raises:
        UsageError: a prunable weight is used in another way than by calling its layer, or not every
            number in it equally often.

    >>> weight_uses(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)), (1, 4, 4))
    {'0.weight': 4, '2.weight': 1}
    """
    covered = covered_weights(model)
    parameters = dict(model.named_parameters())
    names = {id(parameters[name]): name for name in covered}
    uses = dict.fromkeys(covered, 0)

    def count(layer: nn.Module, inputs: _Inputs, given: dict[str, Any], output: Any) -> None:
        for attribute, kind in matrix_kinds(layer).items():
            if name := names.get(id(getattr(layer, attribute))):
                uses[name] += _uses(layer, attribute, kind, inputs, given, output)
        if isinstance(layer, nn.MultiheadAttention):
            # It takes this weight without calling the layer.
            projection = names.get(id(layer.out_proj.weight))
            if projection:
                uses[projection] += output[0].numel() // layer.embed_dim

    handles = [
        layer.register_forward_hook(count, with_kwargs=True)
        for layer in model.modules()
        if matrix_kinds(layer)
    ]
    was_training = model.training
    try:
        with torch.no_grad(), any_numbers_as_tokens(model):
            dtype = next(iter(parameters.values())).dtype
            model.eval()(torch.zeros(1, *input_shape, dtype=dtype))
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    looked_up = {name for name, one in covered.items() if one.kind == "embedding"}
    unseen = [name for name, number in uses.items() if not number and name not in looked_up]
    if unseen:
        raise UsageError(
            f"cannot count the multiplications of {', '.join(unseen)}: the forward pass does not "
            "call the layer, or calls it with what is no plain sequence"
        )
    return uses


def _uses(
    layer: nn.Module,
    attribute: str,
    kind: Kind,
    inputs: _Inputs,
    given: dict[str, Any],
    output: Any,
) -> int:
    """How often a call for one example used each number of a layer's matrix; 0 if unknown."""
    if kind == "attention":
        named = dict(zip(_SEQUENCES, inputs, strict=False)) | given
        all_three = attribute == "in_proj_weight"
        read = [name for name in _SEQUENCES if all_three or attribute.startswith(name[0])]
        lengths = {named[name].numel() // named[name].shape[-1] for name in read}
        return lengths.pop() if len(lengths) == 1 else 0
    first = [*inputs, *given.values()][0]
    if kind == "experts" or not isinstance(first, Tensor):
        return 0
    if kind in ("recurrent", "transposed convolution"):
        features = layer.in_channels if kind == "transposed convolution" else first.shape[-1]
        return first.numel() // int(features)  # type: ignore[arg-type]
    weight = layer.get_parameter("weight")
    outputs = weight.shape[1] if kind == "transposed linear" else weight.shape[0]
    return int(output.numel()) // outputs


def multiplications(counts: Mapping[str, int], uses: Mapping[str, int]) -> int:
    """Multiplications that one example's forward pass makes with the weights that are kept.

    The FLOPs of layers with weights are proportional to this; biases, normalization and activations
    are left out, as in arXiv:1810.05270.

    Args:
        counts: parameter name -> weights kept.
        uses: parameter name -> uses of each, from `weight_uses`.
    """
    return sum(kept * uses[name] for name, kept in counts.items())
