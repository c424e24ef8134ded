"""Finding levels in a verdict."""

from __future__ import annotations

from lottery.analysis.types import LevelVerdict, Verdict
from lottery.tickets import KEEPS_TRAINED


def smallest_winning(verdict: Verdict) -> LevelVerdict | None:
    """The level of the smallest winning ticket, on the means."""
    return find_level(verdict, verdict.smallest_winning_level)


def smallest_matching(verdict: Verdict) -> LevelVerdict | None:
    """The smallest level that matches the dense accuracy on the means, and lost no ticket."""
    matching = [level for level in pruned(verdict) if matches(level)]
    return min(matching, key=lambda level: (level.density, level.level), default=None)


def matches(level: LevelVerdict) -> bool:
    """Whether a level matches the dense accuracy on the means, and lost no ticket."""
    return level.matching is not None and level.matching.holds and not level.tickets_lost


def tests_hypothesis(verdict: Verdict) -> bool:
    """Whether the run can tell anything of the hypothesis: tickets keep no trained weights."""
    return verdict.rewind not in KEEPS_TRAINED


def find_level(verdict: Verdict, number: int | None) -> LevelVerdict | None:
    """The level with that number, if it has results."""
    return next((level for level in verdict.levels if level.level == number), None)


def pruned(verdict: Verdict) -> list[LevelVerdict]:
    """Every level but the dense one."""
    return [level for level in verdict.levels if level.level > 0]


def compared_replicates(verdict: Verdict) -> int:
    """The most replicates that any level can be compared to dense in."""
    comparisons = [level.matching for level in verdict.levels if level.matching]
    return max((len(comparison.difference.values) for comparison in comparisons), default=0)
