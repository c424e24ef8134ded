"""The straight line between two networks' weights, and what loss and error do on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from lottery.data.dataset import SplitName
from lottery.inside.evaluation import Quality
from lottery.training import State


@dataclass(frozen=True)
class Line:
    """What was measured at evenly spaced points, from one end to the other.

    Args:
        measured: of each point, 2 or more.
    """

    measured: tuple[Quality, ...]

    @property
    def shares(self) -> list[float]:
        """How much of the second end is in each point: from 0 to 1."""
        last = len(self.measured) - 1
        return [number / last for number in range(last + 1)]

    @property
    def errors(self) -> list[float]:
        """The error at each point."""
        return [one.error for one in self.measured]

    @property
    def losses(self) -> list[float] | None:
        """The loss at each point, if it is known."""
        found = [one.loss for one in self.measured if one.loss is not None]
        return found if len(found) == len(self.measured) else None


def instability(values: Sequence[float]) -> float:
    """How far the largest value on a line is above the mean of its ends (arXiv:1912.05671, 2).

    >>> instability([0.25, 0.75, 0.5])
    0.375
    """
    return max(values) - (values[0] + values[-1]) / 2


def barrier(values: Sequence[float]) -> float:
    """How far a line's values rise above the straight line between its ends; 0 where nowhere.

    For ends that differ, where `instability` is above 0 without any hill between them.

    >>> barrier([0.25, 0.75, 0.5]), barrier([0.0, 0.5, 1.0]), instability([0.0, 0.5, 1.0])
    (0.375, 0.0, 0.5)
    """
    first, last, steps = values[0], values[-1], len(values) - 1
    return max(value - (first + (last - first) * i / steps) for i, value in enumerate(values))


def between(one: State, other: State, share: float) -> State:
    """A point of the line between two states: ``one`` at 0, ``other`` at 1, to the bit.

    Where the ends are equal every point is. What is no float, such as a count of batches, is that
    of ``one``. Weights that are zero at both ends, as where both have a mask, are zero.

    Args:
        one: a ``state_dict``.
        other: another of the same network.
        share: in [0, 1].
    """
    if share in (0, 1):
        return other if share else one
    return {
        name: torch.lerp(value, other[name].to(value), share)
        if value.is_floating_point()
        else value
        for name, value in one.items()
    }


def walk(
    one: State,
    other: State,
    points: int,
    parts: Sequence[SplitName],
    measure: Callable[[State, SplitName], Quality],
) -> dict[SplitName, Line]:
    """Measure at points of the line between two states.

    Args:
        one: where it begins.
        other: where it ends.
        points: how many, both ends among them; 2 or more.
        parts: of the data.
        measure: such as an `Evaluation`.
    """
    found: dict[SplitName, list[Quality]] = {part: [] for part in parts}
    for number in range(points):
        state = between(one, other, number / (points - 1))
        for part in parts:
            found[part].append(measure(state, part))
    return {part: Line(tuple(measured)) for part, measured in found.items()}


def equal(one: State, other: State) -> bool:
    """Whether two states are the same to the bit."""
    return all(torch.equal(value, other[name]) for name, value in one.items())
