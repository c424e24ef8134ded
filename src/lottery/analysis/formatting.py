"""How numbers are written in sentences, tables, cards and captions.

Intervals are rounded outward, so that what is written never claims more than what was computed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from lottery.analysis.types import Estimate, Missing

NONE: Final = "-"
"""What stands where there is no number."""

_ROUNDING = 1e-6
"""Steps of the last digit that floating point may be off by."""


def percent(fraction: float) -> str:
    """A share to three significant digits.

    >>> percent(0.1342), percent(0.8), percent(0.00519), percent(0.9996)
    ('13.4%', '80%', '0.519%', '100%')
    """
    return f"{100 * fraction:.3g}%"


def accuracy(fraction: float) -> str:
    """An accuracy in percent, without the sign.

    >>> accuracy(0.97951)
    '97.95'
    """
    return f"{100 * fraction:.2f}"


def signed_points(difference: float) -> str:
    """A difference of accuracies in percentage points, with its sign.

    >>> signed_points(0.0123), signed_points(-0.00001)
    ('+1.23', '0.00')
    """
    return _without_sign_of_zero(f"{100 * difference:+.2f}")


def points(difference: float) -> str:
    """The size of a difference of accuracies, with its unit.

    >>> points(-0.0062), points(0.01)
    ('0.62 percentage points', '1.00 percentage points')
    """
    return f"{abs(100 * difference):.2f} percentage points"


def plain(value: float, digits: int) -> str:
    """A number with so many significant digits, without an exponent unless it is tiny or huge.

    >>> plain(41.527, 4), plain(0.0012, 3), plain(12_345.6, 4), plain(0, 3), plain(-0.5, 3)
    ('41.53', '0.00120', '12,346', '0', '-0.500')
    """
    if not value or not 1e-9 <= abs(value) < 1e15:
        return f"{value:.{digits}g}"
    return f"{value:,.{decimals(value, digits)}f}"


def decimals(value: float, digits: int) -> int:
    """How many decimals a number needs to have so many significant digits.

    >>> decimals(41.5, 4), decimals(0.0012, 3), decimals(12_345, 4), decimals(0, 3)
    (2, 5, 0, 3)
    """
    return max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else digits


def shortened(text: str, most: int) -> str:
    """A text of at most so many characters.

    >>> shortened("perplexity", 10), shortened("perplexity", 6)
    ('perplexity', 'perpl…')
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def margin(difference: float) -> str:
    """A margin of accuracy, as it was given.

    >>> margin(0.01), margin(0.002)
    ('1 percentage point', '0.2 percentage points')
    """
    number = f"{100 * difference:g}"
    return f"{number} percentage point{'s'[: number != '1']}"


def higher_or_lower(difference: float) -> str:
    """How far an accuracy lies above or below another.

    >>> higher_or_lower(-0.0062), higher_or_lower(0.00001)
    ('0.62 percentage points lower', 'the same to 0.01 percentage points')
    """
    if abs(difference) < 0.00005:
        return "the same to 0.01 percentage points"
    return f"{points(difference)} {'higher' if difference > 0 else 'lower'}"


def above_or_below(difference: float) -> str:
    """Where an accuracy lies, to be followed by what it is compared with.

    >>> above_or_below(-0.0062), above_or_below(0.00001)
    ('0.62 percentage points below', 'within 0.01 percentage points of')
    """
    if abs(difference) < 0.00005:
        return "within 0.01 percentage points of"
    return f"{points(difference)} {'above' if difference > 0 else 'below'}"


def ratio(value: float) -> str:
    """A ratio of times.

    >>> ratio(0.6521), ratio(1.0), ratio(12.34), ratio(0.00123)
    ('0.65', '1.00', '12.3', '0.00123')
    """
    return f"{value:.{_digits(value)}f}"


def count(value: float) -> str:
    """A whole number with separators.

    >>> count(266200.4)
    '266,200'
    """
    return f"{value:,.0f}"


def iterations(number: float) -> str:
    """A number of iterations.

    >>> iterations(4200.3), iterations(1)
    ('4,200 iterations', '1 iteration')
    """
    return counted(round(number), "iteration")


def counted(number: int, noun: str) -> str:
    """A number and its noun.

    >>> counted(1, "level"), counted(1200, "level")
    ('1 level', '1,200 levels')
    """
    return f"{number:,} {noun}{'s'[: number != 1]}"


def joined(items: Sequence[str]) -> str:
    """A list as it is read out, with commas and an "and".

    >>> joined(["1", "2", "5"])
    '1, 2 and 5'
    """
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def pair_count(n: int, missing: int) -> str:
    """How many pairs there are, as a cell: ``5``, or ``4/5`` where one is missing."""
    return f"{n}/{n + missing}" if missing else f"{n}"


def missing_words(missing: Missing) -> str:
    """What is missing, counted; empty where nothing is.

    >>> missing_words(Missing(diverged=2, guessing=1))
    '2 diverged, 1 guessing'
    """
    counts = (
        (missing.diverged, "diverged"),
        (missing.collapsed, "collapsed"),
        (missing.guessing, "guessing"),
        (missing.dense, "without a dense network"),
    )
    return ", ".join(f"{number} {word}" for number, word in counts if number)


def probability(p: float | None) -> str:
    """A p-value, rounded up.

    >>> probability(0.00001), probability(0.0312), probability(None)
    ('< 0.001', '0.032', '-')
    """
    if p is None:
        return NONE
    return "< 0.001" if p < 0.001 else f"{_up(p, 3):.3f}"


def interval_in_points(estimate: Estimate) -> str:
    """The interval of a difference between accuracies, in points; empty when there is none.

    >>> interval_in_points(Estimate(mean=0.0, low=-0.00001, high=0.00001, values={}))
    '-0.01 to +0.01'
    """
    return interval(estimate, scale=100, digits=2)


def interval(estimate: Estimate, *, scale: float, digits: int) -> str:
    """The interval of a difference, its ends with their signs; empty when there is none.

    >>> interval(Estimate(mean=0.0, low=-0.51, high=0.24, values={}), scale=1, digits=1)
    '-0.6 to +0.3'
    """
    if estimate.low is None or estimate.high is None:
        return ""
    low, high = _down(scale * estimate.low, digits), _up(scale * estimate.high, digits)
    return " to ".join(_without_sign_of_zero(f"{end:+,.{digits}f}") for end in (low, high))


def mean_ratio(estimate: Estimate) -> str:
    """The mean of ratios; where some of them are bounds, which kind of bound it is itself.

    >>> mean_ratio(Estimate(mean=1.2, low=None, high=None, values={0: 1.2}, bounds={0: "at least"}))
    'at least 1.20'
    """
    words = sorted(set(estimate.bounds.values()))
    before = f"{words[0]} " if len(words) == 1 else "roughly " if words else ""
    return f"{before}{ratio(estimate.mean)}"


def interval_of_ratio(estimate: Estimate) -> str:
    """The interval of a ratio; empty when there is none.

    >>> interval_of_ratio(Estimate(mean=0.65, low=0.478, high=0.8811, values={}))
    '0.47 to 0.89'
    """
    if estimate.low is None or estimate.high is None:
        return ""
    low = _down(estimate.low, _digits(estimate.low))
    high = _up(estimate.high, _digits(estimate.high))
    return f"{low:.{_digits(estimate.low)}f} to {high:.{_digits(estimate.high)}f}"


def half_width(estimate: Estimate, *, scale: float, digits: int) -> str:
    """Half the interval of a mean, rounded up, with its sign; empty when there is none.

    >>> half_width(Estimate(mean=0.97, low=0.9688, high=0.9712, values={}), scale=100, digits=2)
    '±0.12'
    """
    if estimate.high is None:
        return ""
    return f"±{_up(scale * (estimate.high - estimate.mean), digits):,.{digits}f}"


def _digits(value: float) -> int:
    """Decimals: two, fewer for large ratios, more for tiny ones."""
    if not 0 < value < math.inf:
        return 2
    return max(0, 2 - math.floor(math.log10(value))) if value >= 10 or value < 0.01 else 2


def _down(value: float, digits: int) -> float:
    return math.floor(value * 10.0**digits + _ROUNDING) / 10.0**digits


def _up(value: float, digits: int) -> float:
    return math.ceil(value * 10.0**digits - _ROUNDING) / 10.0**digits


def _without_sign_of_zero(text: str) -> str:
    return text if any(digit in "123456789" for digit in text) else text.lstrip("+-")
