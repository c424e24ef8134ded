"""What a sparse network costs: the multiplications of one forward pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lottery.core.mask import prunable_weights
from lottery.errors import UsageError


def weight_uses(model: nn.Module, input_shape: Sequence[int]) -> dict[str, int]:
    """How many products one example's forward pass makes with each weight of a layer.

    1 for a linear layer; for a convolution the number of positions of its output, padding counted
    like the rest. A layer that is called several times, or shares its weight, counts every time.

    Args:
        model: on the CPU; it is run once, in evaluation mode, and left as it was.
        input_shape: shape of one example.

    Returns:
        parameter name -> uses, for every prunable weight.

    Raises:
        UsageError: a prunable weight is used in another way than by calling its layer.

    >>> weight_uses(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)), (1, 4, 4))
    {'0.weight': 4, '2.weight': 1}
    """
    parameters = dict(model.named_parameters())
    names = {id(parameters[name]): name for name in prunable_weights(model)}
    uses = dict.fromkeys(names.values(), 0)

    def count(layer: nn.Module, _inputs: Any, output: Tensor) -> None:
        weight = layer.get_parameter("weight")
        # The first dimension of a weight is its outputs, each of which every position has once.
        uses[names[id(weight)]] += output.numel() // weight.shape[0]

    layers = [m for m in model.modules() if id(getattr(m, "weight", None)) in names]
    handles = [layer.register_forward_hook(count) for layer in layers]
    was_training = model.training
    try:
        with torch.no_grad():
            dtype = next(iter(parameters.values())).dtype
            model.eval()(torch.zeros(1, *input_shape, dtype=dtype))
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    unseen = [name for name, number in uses.items() if not number]
    if unseen:
        raise UsageError(
            f"cannot count the multiplications of {', '.join(unseen)}: the forward pass does not "
            "call the layer"
        )
    return uses


def multiplications(counts: Mapping[str, int], uses: Mapping[str, int]) -> int:
    """Products that one example's forward pass makes with the weights that are kept.

    What FLOPs are proportional to in layers with weights; biases, normalization and activations
    are left out, as in arXiv:1810.05270.

    Args:
        counts: parameter name -> weights kept.
        uses: parameter name -> uses of each, from `weight_uses`.
    """
    return sum(kept * uses[name] for name, kept in counts.items())
