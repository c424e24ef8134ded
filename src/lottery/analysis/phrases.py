"""Numbers in plain words, with their units."""

from __future__ import annotations

from collections.abc import Sequence

from lottery.analysis.types import Estimate


def percent(fraction: float) -> str:
    """A share to three significant digits.

    >>> percent(0.1342), percent(0.8), percent(0.00519)
    ('13.4%', '80%', '0.519%')
    """
    return f"{100 * fraction:.3g}%"


def accuracy(fraction: float) -> str:
    """An accuracy in percent.

    >>> accuracy(0.97951)
    '97.95%'
    """
    return f"{100 * fraction:.2f}%"


def points(difference: float) -> str:
    """The size of a difference between accuracies.

    >>> points(-0.0062)
    '0.62 percentage points'
    """
    return f"{abs(100 * difference):.2f} percentage points"


def margin(difference: float) -> str:
    """A margin of accuracy, as it was given.

    >>> margin(0.01), margin(0.002)
    ('1 percentage point', '0.2 percentage points')
    """
    number = f"{100 * difference:g}"
    return f"{number} percentage point{'s'[: number != '1']}"


def iterations(count: float) -> str:
    """A number of iterations.

    >>> iterations(4200.3), iterations(1)
    ('4,200 iterations', '1 iteration')
    """
    return counted(round(count), "iteration")


def counted(count: int, noun: str) -> str:
    """A number and its noun.

    >>> counted(1, "level"), counted(1200, "level")
    ('1 level', '1,200 levels')
    """
    return f"{count:,} {noun}{'s'[: count != 1]}"


def joined(items: Sequence[str]) -> str:
    """A list as it is spoken.

    >>> joined(["1", "2", "5"])
    '1, 2 and 5'
    """
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def higher_or_lower(difference: float) -> str:
    """How much an accuracy lies above or below another.

    >>> higher_or_lower(-0.0062), higher_or_lower(0.00001)
    ('0.62 percentage points lower', 'the same to 0.01 percentage points')
    """
    if abs(difference) < 0.00005:
        return "the same to 0.01 percentage points"
    return f"{points(difference)} {'higher' if difference > 0 else 'lower'}"


def sooner_or_later(difference: float) -> str:
    """How much one early stop comes after another.

    >>> sooner_or_later(300.0), sooner_or_later(0.2)
    ('300 iterations later', 'at the same iteration')
    """
    if abs(difference) < 0.5:
        return "at the same iteration"
    return f"{iterations(abs(difference))} {'later' if difference > 0 else 'sooner'}"


def interval_in_points(difference: Estimate, confidence: float) -> str:
    """The t-interval of a difference between accuracies; empty when there is none."""
    if difference.low is None or difference.high is None:
        return ""
    low, high = 100 * difference.low, 100 * difference.high
    return f"{100 * confidence:g}% interval {low:+.2f} to {high:+.2f}"
