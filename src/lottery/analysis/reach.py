"""What a number of replicates can show, said before the run starts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import stdtrit

from lottery.analysis.statistics import check_confidence

_OUT_OF_REACH = 5.0
_WITHIN_REACH = 2.0


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What a planned number of replicates can show, known before any is run."""

    replicates: int
    levels: int
    confidence: float
    multiple: float | None
    """How many of their own standard deviations the mean of the paired differences must lie beyond
    the margin for the first level to be confirmed; None when no difference is large enough."""
    recommended: int
    """The fewest replicates for which that is 2 or less."""
    sentence: str
    """The same in plain words; empty when there is nothing to test."""


def reachable(replicates: int, levels: int, confidence: float = 0.95) -> Reach:
    """Whether a run with this many replicates can confirm anything.

    Holm's first step tests at ``alpha / levels`` with ``alpha = 1 - confidence``; a mean difference
    of k standard deviations passes when ``k * sqrt(n)`` exceeds the t quantile for that level with
    n - 1 degrees of freedom. With one replicate there is no deviation and no test.

    Args:
        replicates: 1 or more.
        levels: how many pruned levels are tested, 0 or more.
        confidence: in (0, 1).

    Raises:
        ValueError: an argument is out of range.

    >>> round(reachable(2, 12, 0.95).multiple)
    54
    """
    check_confidence(confidence)
    if replicates < 1 or levels < 0:
        raise ValueError(f"expected replicates >= 1 and levels >= 0, got {replicates}, {levels}")
    multiple = _multiple(replicates, levels, confidence)
    recommended = 2
    while levels and (_multiple(recommended, levels, confidence) or 0) > _WITHIN_REACH:
        recommended += 1
    return Reach(
        replicates=replicates,
        levels=levels,
        confidence=confidence,
        multiple=multiple,
        recommended=recommended,
        sentence=_sentence(replicates, levels, confidence, multiple, recommended),
    )


def _sentence(
    replicates: int, levels: int, confidence: float, multiple: float | None, recommended: int
) -> str:
    if not levels:
        return ""
    given = f"{replicates} replicate{'s'[: replicates != 1]} and {levels} level{'s'[: levels != 1]}"
    if multiple is None:
        return (
            f"With {given} no test can reach significance, whatever happens; "
            f"use at least {recommended} replicates."
        )
    times = f"{multiple:.1f}" if multiple < 10 else f"{multiple:.0f}"
    need = f"With {given} a difference must be {times} times its own standard deviation"
    if multiple > _OUT_OF_REACH:
        better = _multiple(recommended, levels, confidence)
        return (
            f"{need} to count: in practice hardly any test can reach significance; "
            f"{recommended} replicates need {better:.2g} times."
        )
    if multiple > _WITHIN_REACH:
        return (
            f"{need} to count: only large effects can reach significance; "
            f"{recommended} replicates would be safer."
        )
    return f"{need} to count."


def _multiple(replicates: int, levels: int, confidence: float) -> float | None:
    if replicates < 2 or not levels:
        return None
    quantile = -float(stdtrit(replicates - 1, (1 - confidence) / levels))
    return quantile / math.sqrt(replicates)
