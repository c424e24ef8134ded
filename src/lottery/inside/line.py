"""The straight line between the weights of two networks: loss and error along it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from lottery.data.dataset import SplitName
from lottery.inside.evaluation import Quality
from lottery.training import State


@dataclass(frozen=True)
class Line:
    """Loss and error at evenly spaced points of a line, from one end to the other.

    Args:
        measured: one for each point, 2 or more.
    """

    measured: tuple[Quality, ...]

    @property
    def shares(self) -> list[float]:
        """The interpolation factor of each point: 0 at the first end, 1 at the second."""
        last = len(self.measured) - 1
        return [number / last for number in range(last + 1)]

    @property
    def errors(self) -> list[float]:
        """The error at each point."""
        return [one.error for one in self.measured]

    @property
    def losses(self) -> list[float] | None:
        """The loss at each point; None if it is not known at all of them."""
        found = [one.loss for one in self.measured if one.loss is not None]
        return found if len(found) == len(self.measured) else None


def instability(values: Sequence[float]) -> float:
    """The largest value on a line minus the mean of its ends (arXiv:1912.05671, section 2).

    >>> instability([0.25, 0.75, 0.5])
    0.375
    """
    return max(values) - (values[0] + values[-1]) / 2


def barrier(values: Sequence[float]) -> float:
    """How far values rise above the straight line between those at the ends, 0 or more.

    For ends that differ: there `instability` is above 0 even if values only rise from one to the
    other.

    >>> barrier([0.25, 0.75, 0.5]), barrier([0.0, 0.5, 1.0]), instability([0.0, 0.5, 1.0])
    (0.375, 0.0, 0.5)
    """
    first, last, steps = values[0], values[-1], len(values) - 1
    return max(value - (first + (last - first) * i / steps) for i, value in enumerate(values))


def interpolate_states(one: State, other: State, share: float) -> State:
    """The state ``(1 - share) * one + share * other``; exactly ``one`` at 0 and ``other`` at 1.

    Values that are equal in both are so at every point, so that weights that both masks prune stay
    zero. What is not floating point, such as a count of batches, is taken from ``one``.

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


def measure_line(
    one: State,
    other: State,
    points: int,
    parts: Sequence[SplitName],
    measure: Callable[[State, SplitName], Quality],
) -> dict[SplitName, Line]:
    """Measure at evenly spaced points of the line between two states.

    Args:
        one: the state at its beginning.
        other: the state at its end.
        points: how many points, both ends among them; 2 or more.
        parts: the parts of the data to measure on.
        measure: (state, part) -> its quality, such as an `Evaluation`.
    """
    found: dict[SplitName, list[Quality]] = {part: [] for part in parts}
    for number in range(points):
        state = interpolate_states(one, other, number / (points - 1))
        for part in parts:
            found[part].append(measure(state, part))
    return {part: Line(tuple(measured)) for part, measured in found.items()}


def are_equal(one: State, other: State) -> bool:
    """Whether two states have exactly the same values."""
    return all(torch.equal(value, other[name]) for name, value in one.items())
