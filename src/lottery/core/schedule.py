"""Schedules: from which network a level's mask is made, and what density it should have.

- ``geometric`` (iterative): level n+1 prunes level n by level n's trained weights, and loses the
  same fraction of its survivors at every level.
- ``one-shot``: every level prunes the dense network, by its weights, in one go. This is how Frankle
  & Carbin (arXiv:1803.03635, section 2) compare the two, and how networks are pruned at
  initialization. The densities are those of ``geometric``, or written by hand; the counts are those
  that pruning level by level would give. A criterion that scores weights one by one gives the same
  masks as if level n+1 pruned level n by the dense network's weights; one whose scores depend on
  the rest of the network sees the whole dense network.
- ``linear``: iterative; the same number of weights at every level, down to a final density.
- ``listed``: iterative; densities written by hand.

Within one training, `gradual_density` says how density falls from iteration to iteration.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

Schedule = Literal["geometric", "one-shot", "linear", "listed"]
"""Which network is pruned (that of the level before; for ``one-shot`` the dense one), and what
density each level has."""

GradualShape = Literal["cubic", "linear"]
"""How density falls within one training."""


def scored_level(schedule: Schedule, level: int) -> int:
    """The level that ``level`` (1 or more) is made from: its mask is pruned, by its weights.

    >>> scored_level("geometric", 3), scored_level("one-shot", 3)
    (2, 0)
    """
    return 0 if schedule == "one-shot" else level - 1


def kept_at_density(total: int, density: float) -> int:
    """How many of ``total`` weights a density in [0, 1] keeps: ``round(density * total)``.

    Halves go to the even neighbour, as in Python's ``round``.

    >>> kept_at_density(266_200, 0.05), kept_at_density(10, 0.25)
    (13310, 2)
    """
    return round(density * total)


def kept_linearly(total: int, level: int, *, levels: int, final_density: float) -> int:
    """How many of ``total`` weights level ``level`` keeps when each loses equally many.

    Two levels lose the same number, or one more or less; the last keeps exactly
    ``kept_at_density(total, final_density)``.

    Args:
        total: weights of the dense network.
        level: 0 to ``levels``.
        levels: how many times the network is pruned, 1 or more.
        final_density: of the last level, in [0, 1].

    >>> [kept_linearly(100, level, levels=3, final_density=0.1) for level in range(4)]
    [100, 70, 40, 10]
    """
    going = total - kept_at_density(total, final_density)
    return total - round(Fraction(going * level, levels))


def gradual_density(
    iteration: int,
    *,
    shape: GradualShape,
    initial: float,
    final: float,
    begin: int,
    end: int,
    every: int,
) -> float:
    """The density that a network pruned while it trains should have after ``iteration`` steps.

    ``cubic`` is the schedule of Zhu & Gupta (arXiv:1710.01878, section 3, equation 1): sparsity
    ``s_f + (s_i - s_f) * (1 - x) ** 3``, where x is the share of the way from ``begin`` to ``end``
    that is done; in densities it reads the same. ``linear`` has ``1 - x`` in place of its cube.
    Density falls at ``begin``, and every ``every`` iterations from there; in between it stays. From
    ``end`` on it is exactly ``final``, also where the last stretch is shorter than ``every``.

    Args:
        iteration: steps done, 0 or more.
        shape: how it falls.
        initial: density from ``begin`` on, in (0, 1]; before, it is 1.
        final: density from ``end`` on, in (0, ``initial``].
        begin: the iteration of the first pruning, 0 or more.
        end: the iteration of the last, ``begin`` or more.
        every: iterations from one to the next, 1 or more.

    >>> [gradual_density(i, shape="cubic", initial=1.0, final=0.25, begin=10, end=30, every=10)
    ...  for i in (0, 10, 19, 20, 30, 99)]
    [1.0, 1.0, 1.0, 0.34375, 0.25, 0.25]
    """
    if iteration >= end:
        return final
    if iteration < begin:
        return 1.0
    left = 1 - (iteration - begin) // every * every / (end - begin)
    return final + (initial - final) * (left**3 if shape == "cubic" else left)
