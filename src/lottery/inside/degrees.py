"""How many kept weights each unit of a layer has, compared with chance.

By chance means: as many of the layer's weights as are kept are drawn at random, every choice being
equally likely. The number that one unit has is then hypergeometric.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom
from torch import Tensor

Side = Literal["outputs", "inputs"]
"""Units that a layer writes, or those that it reads."""

MOST_BINS = 20


@dataclass(frozen=True, kw_only=True)
class Degrees:
    """The kept weights of each unit on one side of a layer.

    Args:
        counts: kept weights of each unit, int64 of shape [units].
        each: how many weights each unit has, kept or not.
    """

    counts: NDArray[np.int64]
    each: int

    @property
    def units(self) -> int:
        """How many units there are."""
        return len(self.counts)

    @property
    def mean(self) -> float:
        """Mean kept weights of a unit; by chance it is the same."""
        return float(self.counts.mean())

    @property
    def variance(self) -> float:
        """Variance of the kept weights over the units (divided by their number)."""
        return float(self.counts.var())

    @property
    def chance_variance(self) -> float:
        """The exact mean of `variance` by chance: the hypergeometric variance of one unit."""
        total, kept = self.units * self.each, int(self.counts.sum())
        if total < 2:
            return 0.0
        return self.mean * (1 - kept / total) * (total - self.each) / (total - 1)

    @property
    def empty(self) -> int:
        """Units without any kept weight."""
        return int((self.counts == 0).sum())

    @property
    def chance_empty(self) -> float:
        """The mean number of units without any kept weight, by chance."""
        return self.units * self._none(self.each)

    @property
    def empty_z(self) -> float | None:
        """How many standard deviations (by chance) `empty` lies above `chance_empty`.

        None where that number cannot vary.
        """
        one, two = self._none(self.each), self._none(2 * self.each)
        variance = self.units * one + self.units * (self.units - 1) * two - (self.units * one) ** 2
        # What is left of equal numbers is no variance.
        if variance <= 1e-9 * max(1.0, self.units * one):
            return None
        return (self.empty - self.chance_empty) / math.sqrt(variance)

    def histogram(self) -> Iterator[tuple[int, int, int, float]]:
        """Bins of kept weights: first, last, units in it, and how many by chance on average."""
        far = self.mean + 4 * math.sqrt(self.chance_variance)
        top = min(self.each, max(int(self.counts.max()), math.ceil(far)))
        wide = -(-(top + 1) // MOST_BINS)
        firsts = np.arange(0, top + 1, wide)
        units, _ = np.histogram(self.counts, [*firsts, firsts[-1] + wide])
        ends = [*(firsts - 1), firsts[-1] + wide - 1]
        below = hypergeom.cdf(ends, self.units * self.each, self.counts.sum(), self.each)
        for first, there, share in zip(firsts, units, np.diff(below), strict=True):
            yield int(first), int(first) + wide - 1, int(there), float(share) * self.units

    def _none(self, weights: int) -> float:
        """The probability by chance that none of so many weights is kept."""
        total, kept = self.units * self.each, int(self.counts.sum())
        return float(hypergeom.pmf(0, total, kept, weights)) if weights <= total else 0.0


def degrees(kept: Tensor, side: Side) -> Degrees:
    """The degrees of the units on one side of a layer.

    Args:
        kept: the mask of a layer's weights, bool (outputs, inputs, ...), with at least one weight.
        side: which units.

    >>> import torch
    >>> degrees(torch.tensor([[True, True, False], [False, True, False]]), "inputs").counts
    array([1, 2, 0])
    """
    counts = (kept if side == "outputs" else kept.transpose(0, 1)).flatten(1).sum(1).numpy()
    return Degrees(counts=counts, each=kept.numel() // len(counts))
