"""What is measured of a network during its training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from lottery.data.dataset import SplitName
from lottery.score import Score

Split = Literal["training", "validation", "test"]
"""Which examples were measured."""

LARGEST: Final = 1e300
"""The largest magnitude of a measured number, so that sums of them stay finite."""
MOST_NAMES: Final = 48
"""The largest number of differently named values in a curve."""


@dataclass(frozen=True)
class CurvePoint:
    """One measurement of the network on one split.

    Args:
        iteration: optimizer steps done, counted from initialization.
        split: which examples.
        values: name -> number. The built-in training measures all of a split: ``loss``, the mean
            over the examples of the loss that the config names (cross-entropy in nats, or the
            squared error, which is a mean over the outputs as well); and ``accuracy``, the share
            classified correctly, in [0, 1].
    """

    iteration: int
    split: Split
    values: Mapping[str, float]

    @classmethod
    def measured(cls, iteration: int, split: Split, loss: float, accuracy: float) -> CurvePoint:
        """A measurement as the built-in training makes it."""
        return cls(iteration, split, {"loss": loss, "accuracy": accuracy})

    @property
    def data_split(self) -> SplitName:
        """The split's name in `lottery.data.Dataset`."""
        return "train" if self.split == "training" else self.split

    @property
    def loss(self) -> float:
        """The loss; NaN where it was not measured."""
        return self.values.get("loss", math.nan)

    @property
    def accuracy(self) -> float:
        """The accuracy; NaN where it was not measured."""
        return self.values.get("accuracy", math.nan)


def value_problem(name: str, value: float) -> str:
    """What is wrong with a measured number and its name, in words; empty when nothing is.

    >>> value_problem("accuracy", 97.5)
    'accuracy: expected a number from 0 to 1, got 97.5'
    """
    if not 1 <= len(name) <= 60 or not name.isprintable() or name.strip() != name:
        return f"{name[:60]!r}: expected a name of 1 to 60 printable characters"
    if name in ("iteration", "split"):
        return f"{name}: expected another name, since this one is a column of every curve"
    least, most = (0.0, 1.0) if name == "accuracy" else (-LARGEST, LARGEST)
    if not least <= value <= most:
        return f"{name}: expected a number from {least:g} to {most:g}, got {value}"
    return ""


def early_stop_iteration(curve: Sequence[CurvePoint], *, since: int = 0) -> int:
    """The iteration of minimum validation loss; the first of equals.

    Retroactive, as in Frankle & Carbin (arXiv:1803.03635, section 2): training has run to its end.

    Args:
        curve: the evaluations of a training.
        since: points before this iteration are ignored.

    Raises:
        ValueError: the curve has no validation point that counts.
    """
    validation = [p for p in curve if p.split == "validation" and p.iteration >= since]
    if not validation:
        raise ValueError("expected at least one validation point, got none")
    return min(validation, key=lambda point: point.loss).iteration


def early_stop_by(curve: Sequence[CurvePoint], score: Score) -> int | None:
    """The iteration of early stop of a curve with any values; the first of equals.

    This is the iteration of minimum validation loss if a loss was measured, else that of the best
    validation score. Only iterations count at which the score was measured on the test examples
    too, since the test score at early stop is reported.

    Returns:
        None where there is no such iteration.
    """
    points = stopping_points(curve, score)
    by_loss = [p for p in points if "loss" in p.values]
    if by_loss:
        return early_stop_iteration(by_loss)
    if not points:
        return None
    return max(points, key=lambda p: score.oriented(p.values[score.name])).iteration


def stopping_points(curve: Sequence[CurvePoint], score: Score) -> list[CurvePoint]:
    """The validation points at which a training could stop early; see `early_stop_by`."""
    tested = {p.iteration for p in curve if p.split == "test" and score.name in p.values}
    return [
        p
        for p in curve
        if p.split == "validation"
        and p.iteration in tested
        and ("loss" in p.values or score.name in p.values)
    ]
