"""What a number of replicates can show, said before the run starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import variance
from typing import Final

from scipy.special import stdtrit

from lottery.analysis.formatting import counted
from lottery.analysis.lookup import pruned
from lottery.analysis.procedure import COPIES_SHARE, FEWEST
from lottery.analysis.score_format import ScoreFormat
from lottery.analysis.statistics import check_confidence
from lottery.analysis.types import Verdict
from lottery.score import Score
from lottery.store.jobs import MAIN

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
    more: int
    """How many replicates more bring ``multiple`` down to 2.5, or halve it where it is less."""
    multiple_with_more: float | None
    """What it is then."""

    @property
    def sentence(self) -> str:
        """The same in plain words; empty when there is nothing to test."""
        if not self.levels:
            return ""
        given = f"{counted(self.replicates, 'replicate')} and {counted(self.levels, 'level')}"
        alone, then = self.multiple, self.multiple_with_more
        if alone is None or then is None:
            return (
                f"With {given} nothing can be confirmed, whatever happens; "
                f"use at least {self.recommended} replicates, {self.more} more."
            )
        return (
            f"With {given} a difference is sure to be confirmed"
            f"{' only' if alone > _WITHIN_REACH else ''} if its mean over replicates is at least "
            f"{_number(alone)} times its standard deviation between them. Where the true "
            "difference is just that large, about every other run confirms it. With "
            f"{counted(self.more, 'more replicate')}, {_number(then)} times is enough."
        )


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
    alone = _multiple(replicates, levels, levels, confidence)
    recommended = better = _fewest(levels, confidence, _WITHIN_REACH)
    if alone is not None and alone <= _WITHIN_REACH:
        better = _fewest(levels, confidence, alone / 2)
    return Reach(
        replicates=replicates,
        levels=levels,
        confidence=confidence,
        multiple=alone,
        multiple_everywhere=_multiple(replicates, levels, 1, confidence),
        recommended=recommended,
        more=better - replicates if levels else 0,
        multiple_with_more=_multiple(better, levels, levels, confidence),
    )


def _fewest(levels: int, confidence: float, multiple: float) -> int:
    """The fewest replicates for which a multiple is enough."""
    found = FEWEST
    while (_multiple(found, levels, levels, confidence) or 0) > multiple:
        found += 1
    return found


def scatter(verdict: Verdict) -> tuple[float, int] | None:
    """How tickets' scores less their dense networks' vary between replicates.

    Returns:
        The standard deviation about each level's mean, of all levels together, and its degrees of
        freedom; None with fewer than two of these.
    """
    squares, degrees = 0.0, 0
    for level in pruned(verdict):
        ticket = level.groups.get(MAIN)
        contrast = ticket.against_dense.get("accuracy") if ticket else None
        if contrast and contrast.estimate and len(values := contrast.estimate.values) > 1:
            squares += (len(values) - 1) * variance(values.values())
            degrees += len(values) - 1
    return (math.sqrt(squares / degrees), degrees) if degrees > 1 else None


def reach_in_units(reach: Reach, score: Score, spread: float, where: str) -> str:
    """What a number of replicates can show, in the score's unit.

    Args:
        reach: from `reachable`.
        score: what networks are judged by.
        spread: standard deviation of tickets' scores less their dense networks', above 0.
        where: where that is from, such as "as in demo".

    Returns:
        A sentence; empty where nothing can be confirmed.
    """
    if reach.multiple is None or reach.multiple_with_more is None:
        return ""
    written = ScoreFormat(score)
    least, less = (spread * _up(one) for one in (reach.multiple, reach.multiple_with_more))
    said = (
        f"If, {where}, the {written.name} of a ticket less that of its dense network has a "
        f"standard deviation of {written.size(spread)}, this takes a mean difference of "
        f"{written.size(least)}, or of {written.size(less)} with "
        f"{counted(reach.more, 'more replicate')}."
    )
    if score.margin is None:
        return said
    beyond = least - score.margin
    what = f"{written.size(beyond)} {'better' if beyond > 0 else 'worse'}"
    return (
        f"{said} That tickets match, within the margin of {written.margin(score.margin)}, is then "
        f"sure to be confirmed if on the mean they are {'at least' if beyond > 0 else 'at most'} "
        f"{what} than their dense networks."
    )


def _up(multiple: float) -> float:
    """Rounded up, as sentences have it."""
    return math.ceil(10 * multiple) / 10


def _number(multiple: float) -> str:
    return f"{_up(multiple):.1f}"


def _multiple(replicates: int, levels: int, share: int, confidence: float) -> float | None:
    """The larger of what winning and what failing copies need; ``share``: levels alpha goes to."""
    if replicates < FEWEST or not levels:
        return None
    alpha = 1 - confidence
    copies = (alpha if levels == 1 else COPIES_SHARE * alpha) / 2
    quantile = -float(stdtrit(replicates - 1, min(alpha / share, copies)))
    return quantile / math.sqrt(replicates)
