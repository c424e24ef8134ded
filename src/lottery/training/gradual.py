"""Pruning within one training: the density that the network should have at each iteration."""

from __future__ import annotations

from dataclasses import dataclass, field

from lottery.core import gradual_density
from lottery.core.schedule import GradualShape
from lottery.training.config import Length


@dataclass(frozen=True, kw_only=True)
class GradualConfig:
    """How density falls in the course of a training; see `lottery.core.gradual_density`."""

    shape: GradualShape = "cubic"
    """``cubic``: fast at first, then ever more slowly (arXiv:1710.01878); or ``linear``."""
    initial_density: float = 1.0
    """After the first pruning, above 0 and at most 1."""
    final_density: float = 0.1
    """After the last pruning, above 0 and at most the initial one."""
    begin: Length = field(default_factory=lambda: Length(amount=0))
    """When the network is pruned for the first time."""
    end: Length = field(default_factory=lambda: Length(amount=10_000))
    """When it is pruned for the last time; not before the first."""
    every: Length = field(default_factory=lambda: Length(amount=100))
    """How often in between, 1 or more."""

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        found = []
        if not 0 < self.initial_density <= 1:
            found.append(
                f"initial_density: must be above 0 and at most 1, got {self.initial_density}"
            )
        if not 0 < self.final_density <= self.initial_density:
            found.append(
                "final_density: must be above 0 and at most initial_density, "
                f"{self.initial_density}; got {self.final_density}"
            )
        if self.begin.unit == self.end.unit and self.end.amount < self.begin.amount:
            found.append(f"end: {self.end} is before begin, {self.begin}")
        if self.every.amount < 1:
            found.append("every.amount: must be 1 or more")
        return found

    def density(self, iteration: int, steps_per_epoch: int) -> float:
        """The density after ``iteration`` steps.

        >>> config = GradualConfig(shape="linear", final_density=0.5, end=Length(amount=200))
        >>> [config.density(i, steps_per_epoch=50) for i in (0, 99, 100, 200)]
        [1.0, 1.0, 0.75, 0.5]
        """
        return gradual_density(
            iteration,
            shape=self.shape,
            initial=self.initial_density,
            final=self.final_density,
            begin=self.begin.iterations(steps_per_epoch),
            end=self.end.iterations(steps_per_epoch),
            every=self.every.iterations(steps_per_epoch),
        )
