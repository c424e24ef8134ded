"""A stretch of training, as a config says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Length:
    """A stretch of training."""

    amount: int
    """How many, 0 or more."""
    unit: Literal["iterations", "epochs"] = "iterations"
    """One optimizer step, or one pass over the training examples."""

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        return [f"amount: must be 0 or more, got {self.amount}"] if self.amount < 0 else []

    def iterations(self, steps_per_epoch: int) -> int:
        """The length in iterations.

        >>> Length(amount=2, unit="epochs").iterations(917)
        1834
        """
        return self.amount * (steps_per_epoch if self.unit == "epochs" else 1)

    def __str__(self) -> str:
        return f"{self.amount:,} {self.unit if self.amount != 1 else self.unit[:-1]}"
