"""Pruning at initialization or early in the dense training; trained from there, or rewound.

SNIP (arXiv:1810.02340), GraSP (arXiv:2002.07376), SynFlow (arXiv:2006.05467) and FORCE
(arXiv:2006.09081) are criteria, and numbers of rounds, of this method.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from typing_extensions import override

from lottery.core import CriterionEntry, scored_level
from lottery.methods.base import Method, MethodContext, ReplicateInputs, pruned_ticket
from lottery.methods.identity import pruning_part
from lottery.methods.rewinding import DrawnRewindConfig
from lottery.tickets import PruneConfig, Ticket
from lottery.training import Length, PrunedValues, take_lengths


@dataclass(frozen=True, kw_only=True)
class FromStep(Method):
    """Base of the methods that prune by the dense network's weights at one iteration."""

    step: Length = field(default_factory=lambda: Length(amount=0))
    """The point of the dense training whose weights are scored; 0 is the initialization. Tickets
    train on from it unless they are rewound."""

    def __post_init__(self) -> None:
        take_lengths(self, "step")

    @property
    @override
    def no_trained_weights(self) -> str:
        return f"with method.kind = '{self.kind}' no trained weights decide"

    @override
    def criterion_refusals(
        self, prune: PruneConfig, criterion: CriterionEntry, levels: int
    ) -> list[str]:
        if criterion.at_initialization or self.step.amount:
            return []
        return [
            f"prune.criterion: with method.kind = '{self.kind}' and method.step = 0 it is the "
            f"initialization that is scored, where '{prune.criterion}' scores all alike; set "
            "method.step above 0, or use another criterion such as 'magnitude'"
        ]

    @property
    def steps(self) -> tuple[Length, ...]:
        """The points of the dense training whose states are needed."""
        return tuple(dict.fromkeys((self.step, self.start)))

    @override
    def needs(self, level: int, prune: PruneConfig) -> tuple[int, ...]:
        return (0,) if any(length.amount for length in self.steps) else ()

    @override
    def states(self, context: MethodContext) -> tuple[int, ...]:
        return tuple(sorted({*map(context.iterations, self.steps)} - {0}))

    def pruned_at_step(
        self,
        level: int,
        parent: Ticket,
        context: MethodContext,
        inputs: ReplicateInputs,
        *,
        start: Length,
    ) -> Ticket:
        """A ticket pruned by the weights at ``step``, that starts from the state at ``start``."""
        at = context.iterations(start)
        return pruned_ticket(
            level,
            parent,
            context,
            inputs,
            trained=inputs.state(context.iterations(self.step)),
            weights=inputs.state(at),
            rule=self.pruned,
            iteration=at,
        )

    def pruning(self, level: int, prune: PruneConfig, levels: int) -> dict[str, Any]:
        """The settings that decide the mask made at the step, as plain JSON."""
        parts = [pruning_part(prune, n, levels) for n in range(1, level + 1)]
        return {"method": "at-step", "prune": parts, "pruned": self.pruned}


@dataclass(frozen=True, kw_only=True)
class AtStep(FromStep):
    """Pruned by the weights at one iteration of the dense training; 0 is the initialization."""

    kind: Literal["at-step"] = "at-step"
    rewind: DrawnRewindConfig = field(default_factory=DrawnRewindConfig)
    """What survivors are rewound to: the step at which they were chosen, or an earlier one."""
    pruned: PrunedValues = "zero"
    """What pruned weights are: ``zero``; or constant, part of the network but not trained
    (arXiv:1905.01067): ``frozen`` at the value that survivors start from; or, of tickets that are
    rewound, ``mixed``: zero where training had moved them towards zero, else frozen."""

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        found, to = [], self.rewind.to
        if self.pruned == "mixed" and self.rewind.kind == "drawn":
            found.append(
                "pruned: 'mixed' asks where training had moved a weight, and tickets that train on "
                "from where they were pruned have gone back from nowhere; use 'frozen', or "
                "rewind.kind = 'weights'"
            )
        if to.unit == self.step.unit and to.amount > self.step.amount:
            found.append(
                f"rewind.to: {to} is after method.step, {self.step}; tickets go back to where they "
                "were pruned, or before"
            )
        return found

    @property
    @override
    def start(self) -> Length:
        return self.step if self.rewind.kind == "drawn" else self.rewind.to

    @override
    def ticket(self, level: int, context: MethodContext, inputs: ReplicateInputs) -> Ticket:
        parent = inputs.ticket(scored_level(context.prune.schedule, level))
        return self.pruned_at_step(level, parent, context, inputs, start=self.start)

    @override
    def decides(self, level: int, prune: PruneConfig, levels: int) -> Any:
        made = self.pruning(level, prune, levels)
        # Tickets that start where they are pruned are told by where they start.
        return made if self.start == self.step else made | {"step": str(self.step)}
