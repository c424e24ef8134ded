"""How the numbers of a score are written: by its unit, and in its direction.

Differences are in the score's direction everywhere: above 0 is better, whether more or less of the
score is. Fractions with the unit ``%`` are written in percent and percentage points, everything
else as plain numbers to four significant digits, and differences to three.
"""

from __future__ import annotations

from dataclasses import dataclass

from lottery.analysis import formatting
from lottery.analysis.types import Estimate
from lottery.errors import printable
from lottery.score import Score


@dataclass(frozen=True)
class ScoreFormat:
    """How one score is named, and how its values and differences are written.

    >>> perplexity = ScoreFormat(Score(name="perplexity", higher=False))
    >>> perplexity.value(41.527), perplexity.above_or_below(0.51), perplexity.margin(0.5)
    ('41.53', '0.510 below', '0.5')
    """

    score: Score

    @property
    def percent(self) -> bool:
        """Whether values are fractions."""
        return self.score.unit == "%"

    @property
    def scale(self) -> float:
        """The factor from a value to the written number."""
        return 100 if self.percent else 1

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        return printable(self.score.name)

    @property
    def title(self) -> str:
        """Its name at the beginning of a heading."""
        return f"{self.name[:1].upper()}{self.name[1:]}"

    @property
    def is_accuracy(self) -> bool:
        """Whether it is the accuracy of a classifier."""
        return self.score.name == "accuracy" and self.percent

    @property
    def short(self) -> str:
        """What it is called in the head of a narrow column."""
        return "acc." if self.is_accuracy else formatting.shortened(self.name, 10)

    @property
    def plural(self) -> str:
        """What several values are called."""
        return "accuracies" if self.is_accuracy else "scores"

    @property
    def key(self) -> str:
        """What its columns in CSV files are called."""
        return "accuracy" if self.is_accuracy else "score"

    @property
    def unit(self) -> str:
        """What values are measured in; empty for plain numbers."""
        return printable(self.score.unit)

    @property
    def points(self) -> str:
        """The unit of differences, in few letters; empty for plain numbers."""
        return "points" if self.percent else self.unit

    def head(self, words: str, *, difference: bool = False) -> str:
        """The head of a column, with its unit."""
        unit = self.points if difference else self.unit
        return f"{words}, {unit}" if unit else words

    def difference(self, left: str, right: str) -> str:
        """Which is subtracted from which, so that above 0 is better."""
        return f"{left} minus {right}" if self.score.higher else f"{right} minus {left}"

    def value(self, value: float) -> str:
        """A value without its unit."""
        return formatting.accuracy(value) if self.percent else formatting.plain(value, 4)

    def with_unit(self, value: float) -> str:
        """A value with its unit."""
        return f"{self.value(value)}{'%' if self.percent else self._unit}"

    def mean(self, estimate: Estimate) -> str:
        """A mean value and half its interval, without their unit."""
        return f"{self.value(estimate.mean)} {self.half_width(estimate)}".rstrip()

    def half_width(self, estimate: Estimate) -> str:
        """Half the interval of a mean, rounded up, with its sign; empty when there is none."""
        if self.percent or estimate.high is None:
            return formatting.half_width(estimate, scale=100, digits=2)
        digits = formatting.decimals(estimate.high - estimate.mean, 2)
        return formatting.half_width(estimate, scale=1, digits=digits)

    def signed(self, difference: float) -> str:
        """A difference with its sign, above 0 if better, without its unit."""
        if self.percent:
            return formatting.signed_points(difference)
        return f"{'+' if difference > 0 else ''}{formatting.plain(difference, 3)}"

    def signed_with_unit(self, difference: float) -> str:
        """The same with its unit."""
        return f"{self.signed(difference)} {self.points}".rstrip()

    def interval(self, estimate: Estimate) -> str:
        """The interval of a difference, without its unit; empty when there is none."""
        if self.percent or estimate.low is None or estimate.high is None:
            return formatting.interval_in_points(estimate)
        digits = formatting.decimals(max(abs(estimate.low), abs(estimate.high)), 3)
        return formatting.interval(estimate, scale=1, digits=digits)

    def size(self, difference: float) -> str:
        """The size of a difference, with its unit."""
        if self.percent:
            return formatting.points(difference)
        return f"{formatting.plain(abs(difference), 3)}{self._unit}"

    def margin(self, margin: float | None) -> str:
        """A margin as it was given."""
        if margin is None:
            return "none"
        return formatting.margin(margin) if self.percent else f"{margin:g}{self._unit}"

    def above_or_below(self, difference: float) -> str:
        """Where a value lies, to be followed by what it is compared with."""
        signed = difference if self.score.higher else -difference
        if self.percent:
            return formatting.above_or_below(signed)
        if not signed:
            return "no different from"
        return f"{self.size(signed)} {'above' if signed > 0 else 'below'}"

    def higher_or_lower(self, difference: float) -> str:
        """How far a value lies above or below another."""
        signed = difference if self.score.higher else -difference
        if self.percent:
            return formatting.higher_or_lower(signed)
        return (
            f"{self.size(signed)} {'higher' if signed > 0 else 'lower'}" if signed else "the same"
        )

    @property
    def _unit(self) -> str:
        return f" {self.unit}" if self.unit else ""


def at_moment(timed: bool) -> str:
    """When the score is taken that networks are judged by, in words."""
    return "at early stop" if timed else "at the end of training"


def error_of(score: Score, value: float) -> float:
    """How far a fraction is from its perfect value, 1 or, where less is better, 0."""
    return 1 - value if score.higher else value
