"""Early-Bird tickets: when the mask that pruning would give has settled."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from lottery.core.mask import Mask


def settled(masks: Sequence[Mask], *, window: int = 5, distance: float = 0.1) -> bool:
    """Whether the last masks are so alike that the ticket can be drawn now.

    You et al., "Drawing Early-Bird Tickets" (arXiv:1909.11957, section 3.2): a mask is made after
    every epoch, and the ticket is drawn once the last 5 of them lie within a Hamming distance of
    0.1. Here that is asked of every two of them.

    Args:
        masks: one after each epoch so far, all for the same weights; the newest last.
        window: how many of the last are compared, 2 or more.
        distance: share of the prunable weights on which two masks may disagree, in [0, 1].

    Returns:
        False while there are fewer masks than ``window``.

    Raises:
        MaskError: the masks are not for the same weights.

    >>> import torch
    >>> one = Mask({"fc.weight": torch.tensor([True, False])})
    >>> settled([one] * 4), settled([one] * 5)
    (False, True)
    """
    return len(masks) >= window and spread(masks[-window:]) <= distance


def spread(masks: Sequence[Mask]) -> float:
    """The largest Hamming distance between any two masks, a share of the prunable weights.

    Returns:
        In [0, 1]; 0 for fewer than two masks.

    Raises:
        MaskError: the masks are not for the same weights.
    """
    return max((one.hamming(other) for one, other in combinations(masks, 2)), default=0.0)
