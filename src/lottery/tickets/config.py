"""How tickets are made: what is pruned, what the survivors go back to, and the controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lottery.core import RoundSchedule, Schedule, Scope, check_criterion
from lottery.training import Length


@dataclass(frozen=True, kw_only=True)
class PruneConfig:
    """The four axes of pruning."""

    criterion: str = "magnitude"
    """What makes a weight superfluous: a name that ``lottery list criteria`` shows, or
    ``package.module:name`` of your own, whose code then runs."""
    granularity: Literal["weight"] = "weight"
    """What is removed as one unit."""
    scope: Scope = "layer"
    """Where weights compete: within their ``layer``, or in the whole network (``global``)."""
    schedule: Schedule = "geometric"
    """``geometric``: by the weights of the level before; ``one-shot``: by the dense network's."""
    fraction: float = 0.2
    """Share of the surviving weights removed per level, above 0 and below 1."""
    fractions: Mapping[str, float] = field(default_factory=dict)
    """Exceptions: parameter name pattern -> fraction in [0, 1)."""
    examples: int = 1_000
    """How many training examples, drawn anew at every level, a criterion that looks at examples is
    given, 1 or more."""
    batch_size: int = 100
    """At most how many of them at a time, 1 or more; with ``snip`` and ``grasp``, batch norm uses
    the statistics of such a batch."""
    rounds: int = 1
    """In how many rounds a level is pruned, each by the scores of what is left, 1 or more."""
    round_schedule: RoundSchedule = "exponential"
    """How what is kept falls over the rounds: by the same factor, or by the same number."""
    regrow: bool = False
    """Whether what an earlier round of the level pruned may come back in a later one (FORCE)."""

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        found = []
        unknown = check_criterion(self.criterion)
        if unknown:
            found.append(f"criterion: {unknown}")
        if not 0 < self.fraction < 1:
            found.append(f"fraction: must lie between 0 and 1, got {self.fraction}")
        found += [
            f"fractions.'{pattern}': must be at least 0 and below 1, got {fraction}"
            for pattern, fraction in self.fractions.items()
            if not 0 <= fraction < 1
        ]
        return found + self._round_problems()

    def _round_problems(self) -> list[str]:
        found = [
            f"{name}: must be 1 or more, got {value}"
            for name, value in (("examples", self.examples), ("batch_size", self.batch_size))
            if value < 1
        ]
        if not 1 <= self.rounds <= 1000:
            found.append(f"rounds: must be between 1 and 1000, got {self.rounds}")
        if self.regrow and self.rounds == 1:
            found.append("regrow: weights come back between rounds; needs rounds = 2 or more")
        return found


@dataclass(frozen=True, kw_only=True)
class RewindConfig:
    """What surviving weights go back to before they are trained again."""

    to: Length = field(default_factory=lambda: Length(amount=0))
    """How far into the dense training; 0 iterations is the initialization."""


@dataclass(frozen=True, kw_only=True)
class ControlsConfig:
    """Control runs at every level but the dense one, each with one thing broken on purpose."""

    reinit: int = 1
    """Same mask, new random initialization: how many for each ticket, 0 or more."""
    random_mask: int = 0
    """Same number of weights in each layer, chosen at random, with their true rewind weights."""
    continued: bool = False
    """Same mask, but training goes on from the trained weights instead of the rewound ones."""

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        return [
            f"{name}: must be between 0 and 99, got {value}"
            for name, value in (("reinit", self.reinit), ("random_mask", self.random_mask))
            if not 0 <= value <= 99
        ]
