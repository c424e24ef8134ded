"""What a number of replicates can show, said before the run starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from scipy.special import stdtrit

from lottery.analysis.formatting import counted
from lottery.analysis.procedure import COPIES_SHARE, FEWEST
from lottery.analysis.statistics import check_confidence

_WITHIN_REACH: Final = 2.5
"""Standard deviations that an effect worth finding has."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What a planned number of replicates can show, known before any is run."""

    replicates: int
    levels: int
    confidence: float
    multiple: float | None
    """How many of its own standard deviations the mean of the paired values must lie beyond what is
    tested, for the hypothesis to be confirmed at the one level that has it; None when no mean is
    large enough. Where levels scatter independently of one another, less is enough."""
    multiple_everywhere: float | None
    """The same where every level has it."""
    recommended: int
    """The fewest replicates for which ``multiple`` is 2.5 or less."""
    sentence: str
    """The same in plain words; empty when there is nothing to test."""


def reachable(replicates: int, levels: int, confidence: float = 0.95) -> Reach:
    """Whether a run with this many replicates can confirm anything.

    With ``alpha = 1 - confidence``, that one level alone wins is tested at ``alpha / levels``
    (Hommel's correction), that every level does at alpha, and that copies fail at 0.2 alpha (alpha
    with one level), where half is left if they fail in one way only (Simes). A mean k standard
    deviations beyond what is tested passes when ``k * sqrt(n)`` exceeds the t quantile with n - 1
    degrees of freedom; a level's deviation is taken for that of the others as well. Fewer than 3
    replicates confirm nothing.

    Args:
        replicates: 1 or more.
        levels: how many pruned levels are tested, 0 or more.
        confidence: in (0, 1).

    Raises:
        ValueError: an argument is out of range.

    >>> round(reachable(5, 15, 0.95).multiple, 1)
    2.3
    """
    check_confidence(confidence)
    if replicates < 1 or levels < 0:
        raise ValueError(f"expected replicates >= 1 and levels >= 0, got {replicates}, {levels}")
    recommended = FEWEST
    while levels and (_multiple(recommended, levels, levels, confidence) or 0) > _WITHIN_REACH:
        recommended += 1
    alone = _multiple(replicates, levels, levels, confidence)
    everywhere = _multiple(replicates, levels, 1, confidence)
    return Reach(
        replicates=replicates,
        levels=levels,
        confidence=confidence,
        multiple=alone,
        multiple_everywhere=everywhere,
        recommended=recommended,
        sentence=_sentence(replicates, levels, alone, everywhere, recommended),
    )


def _sentence(
    replicates: int, levels: int, alone: float | None, everywhere: float | None, recommended: int
) -> str:
    if not levels:
        return ""
    given = f"{counted(replicates, 'replicate')} and {counted(levels, 'level')}"
    if alone is None or everywhere is None:
        return (
            f"With {given} nothing can be confirmed, whatever happens; "
            f"use at least {recommended} replicates."
        )
    need = (
        f"With {given} a ticket is sure to be confirmed where its mean lies {_number(alone)} times "
        "its standard deviation beyond what is tested"
    )
    if _number(everywhere) != _number(alone):
        need += f", or {_number(everywhere)} times where every level's does"
    if alone > _WITHIN_REACH:
        return f"{need}: only large effects can be; {recommended} replicates would be safer."
    return f"{need}."


def _number(multiple: float) -> str:
    return f"{math.ceil(10 * multiple) / 10:.1f}"


def _multiple(replicates: int, levels: int, share: int, confidence: float) -> float | None:
    """The larger of what winning and what failing copies need; ``share``: levels alpha goes to."""
    if replicates < FEWEST or not levels:
        return None
    alpha = 1 - confidence
    copies = (alpha if levels == 1 else COPIES_SHARE * alpha) / 2
    quantile = -float(stdtrit(replicates - 1, min(alpha / share, copies)))
    return quantile / math.sqrt(replicates)
