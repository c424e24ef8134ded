"""Trainings of the same tickets with other data orders: their settings and branches.

Two copies of a network that see their examples in different orders tell how stable its training is
to that noise (Frankle et al. 2020, arXiv:1912.05671, section 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce

from lottery.store.jobs import REORDERED

_MOST_DIGITS, _MOST_COPIES = 12, 100


@dataclass(frozen=True, kw_only=True)
class ConnectivityConfig:
    """Copies of trainings with another data order, for `lottery analyse connectivity`."""

    at: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Iteration -> levels. From that iteration on, a copy of each of these levels' trainings, of
    every replicate, sees the examples in another order, and otherwise augmented. 0 is from the
    start; an empty list is all levels, 0 being the dense network: ``{0 = [], 500 = [0]}``. Nothing
    of the verdict depends on them."""

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        found = [
            f"at.'{at}': expected the number of an iteration, such as 0 or 500"
            for at in self.at
            if not (at.isdecimal() and at.isascii() and str(int(at[:_MOST_DIGITS])) == at)
        ]
        found += [
            f"at.{at}: expected levels from 0 to 99, got {level}"
            for at, levels in self.at.items()
            for level in levels
            if not 0 <= level <= 99
        ]
        if len(self.at) > _MOST_COPIES:
            found.append(f"at: expected at most {_MOST_COPIES} iterations, got {len(self.at)}")
        return found

    limits = problems

    def schema_problems(self, levels: int, *, stopped: bool) -> list[str]:
        """What does not fit the plan of an experiment, one sentence each.

        Args:
            levels: the number of levels besides the dense network.
            stopped: whether dense trainings end as soon as masks have settled.
        """
        found = [
            f"at.{at}: expected levels from 0 to {levels}, got {level}"
            for at, asked in self.at.items()
            for level in asked
            if level > levels
        ]
        if stopped:
            found += [
                f"at.{at}: with method.stop dense networks are trained only until masks have "
                "settled, and a copy of one would be trained to its end; list levels from 1 on, "
                f"or set method.stop = false, got {list(asked) or '[], which is all levels'}"
                for at, asked in self.at.items()
                if 0 in asked or not asked
            ]
        return found

    def iterations(self, level: int) -> list[int]:
        """The iterations from which copies of a level's trainings are reordered, sorted."""
        return sorted(int(at) for at, levels in self.at.items() if not levels or level in levels)

    def not_after(self, iteration: int, level: int) -> ConnectivityConfig:
        """The same copies, with iterations and levels reduced to at most these."""
        none = ConnectivityConfig()
        each = (
            ConnectivityConfig(
                at={str(min(int(at), iteration)): tuple(sorted({min(n, level) for n in levels}))}
            )
            for at, levels in self.at.items()
        )
        return reduce(ConnectivityConfig.joined, each, none)

    def joined(self, other: ConnectivityConfig) -> ConnectivityConfig:
        """The copies that either of the two asks for."""
        both = {}
        for at in sorted({*self.at, *other.at}, key=int):
            asked = [one.at[at] for one in (self, other) if at in one.at]
            both[at] = tuple(sorted({*asked[0], *asked[-1]})) if all(asked) else ()
        return ConnectivityConfig(at=both)


def reordered_branch(iteration: int) -> str:
    """The branch of the trainings that see another data order from an iteration on.

    >>> reordered_branch(500)
    'reordered-500'
    """
    return f"{REORDERED}-{iteration}"
