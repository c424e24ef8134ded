"""Settings of what surviving weights are rewound to before they are trained again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lottery.training import Length, take_lengths


def _initialization() -> Length:
    return Length(amount=0)


@dataclass(frozen=True, kw_only=True)
class RewindConfig:
    """What the survivors of a training are rewound to."""

    kind: Literal["weights", "learning-rate", "fine-tune"] = "weights"
    """``weights``: weights and training go back (arXiv:1803.03635, arXiv:1903.01611);
    ``learning-rate``: weights stay trained, training goes back (arXiv:2003.02389);
    ``fine-tune``: weights stay trained, and are trained on at the last learning rate, which must
    not be that of a cosine: it ends next to 0."""
    to: Length = field(default_factory=_initialization)
    """How far into the dense training; 0 iterations is the initialization. Training runs from there
    to its end again. 0 with fine-tune."""
    length: Length = field(default_factory=_initialization)
    """With fine-tune, how long to train on, 1 or more; else 0."""

    def __post_init__(self) -> None:
        take_lengths(self, "to", "length")

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        found = []
        tuning = self.kind == "fine-tune"
        if tuning and self.length.amount < 1:
            found.append(f"length.amount: fine-tuning needs 1 or more, got {self.length.amount}")
        if tuning and self.to.amount:
            found.append(f"to: fine-tuning goes back to nothing, got {self.to}; use 0")
        if not tuning and self.length.amount:
            found.append(
                f"length: training runs from method.rewind.to to its end, got {self.length}; use "
                "0, or kind = 'fine-tune'"
            )
        return found


@dataclass(frozen=True, kw_only=True)
class DrawnRewindConfig:
    """What survivors are rewound to, with a mask that was made during the dense training."""

    kind: Literal["drawn", "weights"] = "drawn"
    """``drawn``: weights and training go back to where the mask was made, and on from there;
    ``weights``: they go back to ``to``."""
    to: Length = field(default_factory=_initialization)
    """With weights, how far into the dense training; 0 iterations is the initialization. Training
    runs from there to its end again."""

    def __post_init__(self) -> None:
        take_lengths(self, "to")

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        if self.kind == "weights" or not self.to.amount:
            return []
        return [
            "to: with kind = 'drawn' each ticket goes back to where its mask was drawn, got "
            f"{self.to}; use 0, or kind = 'weights'"
        ]


@dataclass(frozen=True, kw_only=True)
class FoundRewindConfig:
    """What survivors are rewound to, with a mask that a training of its own has found."""

    to: Length = field(default_factory=_initialization)
    """How far into the dense training; 0 iterations is the initialization."""

    def __post_init__(self) -> None:
        take_lengths(self, "to")
