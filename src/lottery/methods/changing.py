"""Masks that change during training: the base of gradual pruning and dynamic sparse training.

Either the level's ticket itself is trained in this way; or such a training only finds the mask, and
the ticket is that mask, rewound and fixed.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, Literal

from typing_extensions import override

from lottery.methods.at_step import FromStep
from lottery.methods.base import Method, MethodContext, ReplicateInputs
from lottery.methods.rewinding import FoundRewindConfig
from lottery.tasks.protocol import TrainingVariant
from lottery.tickets import PruneConfig, Ticket
from lottery.training import Length, MaskUpdatesConfig, take_lengths


@dataclass(frozen=True, kw_only=True)
class ChangingMask(FromStep):
    """A mask that changes during training, which starts at a step of the dense training."""

    every: Length = field(default_factory=lambda: Length(amount=100))
    """The time between updates of the mask, 1 or more."""
    begin: float = 0.0
    """Share of the training, in [0, 1], after which updates are due: the first comes one
    ``every`` later."""
    until: float = 0.75
    """Share of the training after which the mask stays as it is, above ``begin`` and at most 1.
    The last gradual pruning comes exactly there; a dynamic mask has its last update before it, so
    that what grew is trained."""
    then: Literal["stay", "rewind"] = "stay"
    """``stay``: the ticket is trained with its changing mask; ``rewind``: such a training only
    finds the mask, which is then rewound to ``rewind.to`` and trained without changes. This takes
    one more training for each level."""
    rewind: FoundRewindConfig = field(default_factory=FoundRewindConfig)
    """With then = 'rewind', what survivors are rewound to."""

    def __post_init__(self) -> None:
        take_lengths(self, "step", "every")

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        found = self.updates.problems()
        if self.rewind.to.amount and not self.searches_mask:
            found.append(
                f"rewind.to: with then = 'stay' nothing is rewound, got {self.rewind.to}; use 0, "
                "method.step to start later, or then = 'rewind'"
            )
        return found

    @override
    def refusals(self, prune: PruneConfig) -> list[str]:
        if prune.granularity == "weight":
            return []
        return [
            f"prune.granularity: with method.kind = '{self.kind}' single weights come and go, got "
            f"'{prune.granularity}'; use 'weight'"
        ]

    @property
    @abstractmethod
    def updates(self) -> MaskUpdatesConfig:
        """How and when masks change."""

    @property
    def searches_mask(self) -> bool:
        """Whether each level's mask is found in a training of its own, before its ticket's."""
        return self.then == "rewind"

    @property
    @override
    def no_trained_weights(self) -> str:
        return "" if self.searches_mask else super().no_trained_weights

    @property
    @override
    def start(self) -> Length:
        return self.rewind.to if self.searches_mask else self.step

    @override
    def ticket(self, level: int, context: MethodContext, inputs: ReplicateInputs) -> Ticket:
        if not self.searches_mask:
            return self.first_ticket(level, context, inputs)
        at = context.rewind_iteration
        return Ticket(mask=inputs.found(level), weights=inputs.state(at), iteration=at)

    @override
    def variant(self, level: int, prune: PruneConfig, levels: int) -> TrainingVariant:
        return (
            TrainingVariant() if self.searches_mask else self.changing_variant(level, prune, levels)
        )

    @override
    def decides(self, level: int, prune: PruneConfig, levels: int) -> Any:
        # What was found is decided by the training that found it.
        return {"method": "found"} if self.searches_mask else self.first(level, prune, levels)

    @abstractmethod
    def first_ticket(self, level: int, context: MethodContext, inputs: ReplicateInputs) -> Ticket:
        """The ticket that a training with a changing mask starts from."""

    @abstractmethod
    def changing_variant(self, level: int, prune: PruneConfig, levels: int) -> TrainingVariant:
        """How a training with a changing mask differs from the dense network's."""

    @abstractmethod
    def first(self, level: int, prune: PruneConfig, levels: int) -> Any:
        """The settings that decide `first_ticket`, as plain JSON."""


def mask_search(method: Method) -> ChangingMask | None:
    """The method, if it searches each level's mask in a training of its own; else None."""
    return method if isinstance(method, ChangingMask) and method.searches_mask else None
