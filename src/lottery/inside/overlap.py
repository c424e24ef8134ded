"""How many weights two masks have in common, compared with chance.

By chance means: in each layer as many weights as are kept are drawn at random, every choice being
equally likely. The number that two such masks have in common is hypergeometric. Its mean and
variance are exact, also for sums over layers, which are drawn independently, and over pairs of
masks, whose overlaps are uncorrelated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lottery.core import Mask


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """How two masks of the same weights overlap; also the sum over layers or pairs of masks.

    Args:
        both: how many weights both keep.
        first: how many the first keeps.
        second: how many the second keeps.
        total: how many weights there are.
        expected: the mean of ``both`` by chance.
        variance: the variance of ``both`` by chance.
    """

    both: int
    first: int
    second: int
    total: int
    expected: float
    variance: float

    @property
    def share(self) -> float | None:
        """``both`` as a share of what the smaller mask keeps, in [0, 1]; None if that is
        nothing."""
        return self._of_smaller(self.both)

    @property
    def chance(self) -> float | None:
        """The mean of `share` by chance."""
        return self._of_smaller(self.expected)

    @property
    def jaccard(self) -> float | None:
        """Jaccard index: weights that both keep / weights that at least one keeps, in [0, 1]."""
        return self._of_either(self.both)

    @property
    def chance_jaccard(self) -> float | None:
        """The Jaccard index at the overlap that chance gives on average."""
        return self._of_either(self.expected)

    @property
    def z(self) -> float | None:
        """How many standard deviations (by chance) ``both`` lies above its mean by chance."""
        return (self.both - self.expected) / math.sqrt(self.variance) if self.variance else None

    def _of_smaller(self, both: float) -> float | None:
        return both / smaller if (smaller := min(self.first, self.second)) else None

    def _of_either(self, both: float) -> float | None:
        return both / either if (either := self.first + self.second - both) else None


def chance_overlap(both: int, first: int, second: int, total: int) -> Overlap:
    """One layer's overlap with the mean and variance of the hypergeometric distribution.

    >>> overlap = chance_overlap(both=3, first=4, second=5, total=10)
    >>> overlap.share, overlap.chance, overlap.jaccard
    (0.75, 0.5, 0.5)
    """
    expected = first * second / total if total else 0.0
    left = (total - first) * (total - second)
    variance = expected * left / (total * (total - 1)) if total > 1 else 0.0
    return Overlap(
        both=both, first=first, second=second, total=total, expected=expected, variance=variance
    )


def add(overlaps: Iterable[Overlap]) -> Overlap:
    """The overlap of several layers, or of several pairs, together."""
    them = list(overlaps)
    return Overlap(
        both=sum(one.both for one in them),
        first=sum(one.first for one in them),
        second=sum(one.second for one in them),
        total=sum(one.total for one in them),
        expected=sum(one.expected for one in them),
        variance=sum(one.variance for one in them),
    )


def layer_overlaps(first: Mask, second: Mask, parent: Mask | None = None) -> dict[str, Overlap]:
    """Layer -> how two masks of the same weights overlap in it.

    Args:
        first: a mask.
        second: another mask of the same weights.
        parent: the weights that chance draws from; None: all. Both masks are subsets of it.

    Raises:
        MaskError: they are not of the same weights.
    """
    first.check(dict(second))
    return {
        name: _overlap(kept, second[name], None if parent is None else int(parent[name].sum()))
        for name, kept in first.items()
    }


def overlaps_by_input(first: Mask, second: Mask) -> dict[str, Overlap]:
    """Layer -> overlap, where chance draws as many weights for each input as each mask keeps of it.

    Overlap above this chance cannot be explained by both masks reading the same inputs.
    """
    return {name: _by_input(kept, second[name]) for name, kept in first.items()}


def _overlap(first: Tensor, second: Tensor, total: int | None = None) -> Overlap:
    return chance_overlap(
        both=int((first & second).sum()),
        first=int(first.sum()),
        second=int(second.sum()),
        total=first.numel() if total is None else total,
    )


def _by_input(first: Tensor, second: Tensor) -> Overlap:
    if first.ndim < 2 or not first.numel():
        return _overlap(first, second)
    each = first.numel() // first.shape[1]
    counts = torch.stack([first, second]).transpose(1, 2).flatten(2).sum(2)
    one, other = counts.double()
    expected = one * other / each
    variance = expected * (each - one) * (each - other) / (each * max(each - 1, 1))
    return replace(
        _overlap(first, second), expected=float(expected.sum()), variance=float(variance.sum())
    )
