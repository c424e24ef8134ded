"""What two masks keep in common, beside what they would by chance.

By chance: each layer's kept weights are drawn afresh, as many as there are, all choices equally
likely. What two such masks have in common is hypergeometric; mean and variance are exact, and so
they are for sums over layers, which are drawn independently, and over pairs of masks, whose
overlaps are uncorrelated.
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
    """Two masks on the same weights; sums of several too.

    Args:
        both: weights that both keep.
        first: that the first keeps.
        second: that the second keeps.
        total: weights that there are.
        expected: the mean of ``both`` by chance.
        variance: its variance by chance.
    """

    both: int
    first: int
    second: int
    total: int
    expected: float
    variance: float

    @property
    def share(self) -> float | None:
        """Of the weights that the smaller mask keeps, those that both do, in [0, 1]."""
        return self._of_smaller(self.both)

    @property
    def chance(self) -> float | None:
        """The mean of `share` by chance."""
        return self._of_smaller(self.expected)

    @property
    def jaccard(self) -> float | None:
        """Weights that both keep / weights that either keeps, in [0, 1]."""
        return self._of_either(self.both)

    @property
    def chance_jaccard(self) -> float | None:
        """The Jaccard index at the overlap that chance gives on average."""
        return self._of_either(self.expected)

    @property
    def z(self) -> float | None:
        """Standard deviations of chance that the overlap lies above chance."""
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
    """Layer -> what two masks of the same weights have in common in it.

    Args:
        first: a mask.
        second: of the same weights.
        parent: what chance may keep, if not everything; both are subsets of it.

    Raises:
        MaskError: they are not of the same weights.
    """
    first.check(dict(second))
    return {
        name: _overlap(kept, second[name], None if parent is None else int(parent[name].sum()))
        for name, kept in first.items()
    }


def overlaps_by_input(first: Mask, second: Mask) -> dict[str, Overlap]:
    """The same, if chance gave each input of a layer as many kept weights as each mask does.

    What is above this chance is more than that both masks read the same inputs.
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
