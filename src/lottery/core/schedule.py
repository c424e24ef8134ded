"""Schedules: from which trained network a level's mask is made, and what density it should have.

Both schedules remove the same prune fraction of the survivors at every level, so their densities
agree level by level; they differ in whose weights decide.

- ``geometric`` (iterative): level n+1 prunes level n by level n's trained weights.
- ``one-shot``: level n+1 prunes level n by the dense network's trained weights. With any criterion
  that scores weights one by one this is the same as pruning the dense network in one go to that
  density, which is how Frankle & Carbin (arXiv:1803.03635, section 2) compare the two.
"""

from __future__ import annotations

from typing import Literal

Schedule = Literal["geometric", "one-shot"]
"""Whose trained weights decide: those of the level before, or those of the dense network."""


def scored_level(schedule: Schedule, level: int) -> int:
    """The level whose trained weights decide the mask of ``level`` (1 or more).

    >>> scored_level("geometric", 3), scored_level("one-shot", 3)
    (2, 0)
    """
    return level - 1 if schedule == "geometric" else 0
