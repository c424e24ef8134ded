"""From scores to masks, and to weights through which gradients reach the scores."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from lottery.core import Mask
from lottery.training.interface import MaskMethod

# A layer that keeps all or nothing would have scores without end.
_LEAST, _MOST = 0.01, 0.99


def first_scores(
    method: MaskMethod, counts: Mask, generator: torch.Generator, fan_ins: Mapping[str, int]
) -> dict[str, Tensor]:
    """The scores that training starts from, float32 on the CPU, of each weight's shape.

    ``edge-popup``: uniform within 1 / sqrt(fan-in), He et al.'s initialization (arXiv:1502.01852)
    as torch draws the weights of its layers. ``supermask``: in each layer log(p / (1 - p)), where p
    is the density of ``counts`` there, at most 99% and at least 1%.

    Args:
        method: which.
        counts: says how dense each layer is.
        generator: a CPU generator; layers draw from it in sorted order of their names.
        fan_ins: how many weights each output of a layer has, from `lottery.core.fan_ins`.
    """
    found = {}
    for name, (kept, total) in counts.layers.items():
        shape = counts[name].shape
        if method == "edge-popup":
            uniform = torch.rand(shape, generator=generator)
            found[name] = (2 * uniform - 1) / math.sqrt(max(1, fan_ins[name]))
        else:
            p = min(max(kept / total, _LEAST), _MOST)
            found[name] = torch.full(shape, math.log(p / (1 - p)))
    return found


def largest(scores: Tensor, count: int) -> Tensor:
    """True where a score is one of the ``count`` largest in magnitude; ties go to the lower index.

    >>> largest(torch.tensor([1.0, -3.0, 3.0, 3.0]), 2).tolist()
    [False, True, True, False]
    """
    size = scores.detach().abs().flatten()
    if count == 0 or count == size.numel():
        return torch.full(scores.shape, bool(count), device=scores.device)
    edge = size.kthvalue(size.numel() - count + 1).values
    above, ties = size > edge, size == edge
    first_ties = ties.cumsum(0) <= count - above.sum()
    return (above | (ties & first_ties)).view(scores.shape)


def chosen_weights(method: MaskMethod, weight: Tensor, scores: Tensor, kept: Tensor) -> Tensor:
    """The weight where ``kept``, else zero; differentiable with respect to the scores.

    Its gradient is that of weight times magnitude of the score (``edge-popup``) or of weight times
    the sigmoid of the score (``supermask``), for kept weights and others alike.

    Args:
        method: which.
        weight: frozen.
        scores: of the weight's shape.
        kept: bool, of the weight's shape.
    """
    soft = scores.abs() if method == "edge-popup" else scores.sigmoid()
    # The difference is exactly zero, and has the gradient.
    return weight * (kept + (soft - soft.detach()))


def kept_by(
    method: MaskMethod, scores: Mapping[str, Tensor], counts: Mask, draws: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The masks of all layers, bool.

    Args:
        method: which.
        scores: name -> scores.
        counts: how many weights ``edge-popup`` keeps in each layer.
        draws: for ``supermask``, numbers from [0, 1): a weight is kept where its number is below
            the probability.
    """
    if method == "edge-popup":
        layers = counts.layers
        return {name: largest(scores[name], layers[name][0]) for name in counts}
    return {name: draws[name] < scores[name].detach().sigmoid() for name in counts}
