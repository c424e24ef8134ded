"""Early-Bird tickets: whether the mask that pruning would give has settled."""

from __future__ import annotations

from collections.abc import Sequence

from lottery.core.mask import Mask


def has_settled(masks: Sequence[Mask], *, window: int = 5, distance: float = 0.1) -> bool:
    """Whether the last masks are so similar that the ticket can be drawn now.

    You et al., "Drawing Early-Bird Tickets" (arXiv:1909.11957, section 3.2): a mask is made after
    every epoch, and the ticket is drawn once it lies within a Hamming distance of 0.1 of those
    before it, of which a queue holds the last 5 with the new one. So it is in the authors' code;
    the paper's text speaks of distances between consecutive epochs, which slow drift would pass.

    Args:
        masks: one after each epoch so far, all for the same weights; the newest last.
        window: how many of the last are in the queue, the newest included; 2 or more.
        distance: share of the prunable weights on which the newest may disagree with any of the
            others, in [0, 1].

    Returns:
        False while there are fewer masks than ``window``.

    Raises:
        MaskError: the masks are not for the same weights.

    >>> import torch
    >>> one = Mask({"fc.weight": torch.tensor([True, False])})
    >>> has_settled([one] * 4), has_settled([one] * 5)
    (False, True)
    """
    return len(masks) >= window and largest_distance(masks[-window:]) <= distance


def largest_distance(masks: Sequence[Mask]) -> float:
    """The largest Hamming distance of the last mask from those before it.

    Returns:
        A share of the prunable weights, in [0, 1]; 0 for fewer than two masks.

    Raises:
        MaskError: the masks are not for the same weights.
    """
    return max((masks[-1].hamming(before) for before in masks[:-1]), default=0.0)
