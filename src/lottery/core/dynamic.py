"""Dynamic sparse training: masks that change while a network is trained.

Every so many iterations each layer drops its weights of least magnitude and grows as many
elsewhere, so that its count never changes. A weight that is dropped may be grown again at once; it
is only here that pruned weights come back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from lottery.core.mask import Mask
from lottery.errors import MaskError

Growth = Literal["random", "gradient"]
"""Where weights grow: anywhere (SET), or where the loss falls fastest (RigL)."""


def updated_share(iteration: int, *, first: float, end: int) -> float:
    """Share of a layer's weights that an update drops and grows: half a cosine down to 0.

    RigL (Evci et al., arXiv:1911.11134, section 3, "update schedule").

    Args:
        iteration: of the update, 0 or more.
        first: the share at iteration 0, in [0, 1].
        end: the iteration from which on the share is 0.

    >>> [round(updated_share(i, first=0.3, end=100), 3) for i in (0, 50, 100, 200)]
    [0.3, 0.15, 0.0, 0.0]
    """
    if iteration >= end:
        return 0.0
    return first / 2 * (1 + math.cos(math.pi * iteration / end))


def drop_and_grow(
    mask: Mask,
    *,
    weights: Mapping[str, Tensor],
    share: float,
    growth: Growth,
    gradients: Mapping[str, Tensor] | None = None,
    generator: torch.Generator | None = None,
) -> Mask:
    """The mask after each layer has dropped a share of its weights and grown as many.

    A layer that keeps n weights drops ``round(share * n)`` of them: those of least magnitude, of
    equals the later ones. It grows as many among all that are not kept then, dropped ones included:
    with ``random`` growth every choice is equally likely (SET, Mocanu et al., arXiv:1707.04780,
    algorithm 2; the original removes the same share of positive and of negative weights apart),
    with ``gradient`` growth those of largest gradient, of equals the earlier ones (RigL,
    arXiv:1911.11134, algorithm 1).

    Args:
        mask: what is kept now.
        weights: parameter name -> float tensor of the parameter's shape.
        share: in [0, 1].
        growth: where weights grow.
        gradients: of the loss by every weight, kept or not; for ``gradient`` growth.
        generator: a CPU generator, for ``random`` growth; layers draw in sorted order of names.

    Returns:
        A mask with the same count in every layer. Weights that are new in it start at zero.

    Raises:
        MaskError: a weight or gradient that is needed is missing or NaN.
        ValueError: the share is not in [0, 1], or what the growth needs was not given.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share: expected a number in [0, 1], got {share}")
    if growth == "gradient" and gradients is None:
        raise ValueError("growth by gradient needs gradients")
    if growth == "random" and generator is None:
        raise ValueError("random growth needs a generator")
    kept = dict(mask)
    for name, tensor in kept.items():
        flat = tensor.view(-1)
        survivors = flat.nonzero().squeeze(1)
        count = round(share * len(survivors))
        sizes = _numbers(name, weights, "weights").abs()[survivors]
        flat[survivors[_ranked(name, sizes)[len(survivors) - count :]]] = False
        free = (~flat).nonzero().squeeze(1)
        if growth == "random":
            order = torch.randperm(len(free), generator=generator)
        else:
            slopes = _numbers(name, gradients or {}, "gradients").abs()[free]
            order = _ranked(name, slopes)
        flat[free[order[:count]]] = True
    return Mask(kept)


def _numbers(name: str, tensors: Mapping[str, Tensor], what: str) -> Tensor:
    if name not in tensors:
        raise MaskError(f"no {what} of '{name}' were given; every layer of the mask needs them")
    return tensors[name].detach().cpu().flatten().double()


def _ranked(name: str, values: Tensor) -> Tensor:
    """Places of the values from largest to smallest, of equals the earlier first."""
    if bool(values.isnan().any()):
        raise MaskError(f"{int(values.isnan().sum())} numbers of '{name}' are NaN")
    return values.argsort(descending=True, stable=True)
