"""Finding levels in a verdict."""

from __future__ import annotations

from lottery.analysis.types import LevelVerdict, Verdict


def smallest_winning(verdict: Verdict) -> LevelVerdict | None:
    """The level of the smallest winning ticket, on the means."""
    return find_level(verdict, verdict.smallest_winning_level)


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
