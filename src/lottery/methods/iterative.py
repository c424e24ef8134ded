"""Iterative pruning with rewinding: train, prune, rewind the survivors, train again.

Frankle & Carbin (arXiv:1803.03635, section 2), with late rewinding as in arXiv:1903.01611. With the
one-shot schedule every level is pruned from the dense network. Survivors that keep their trained
weights, with the learning rate rewound or fine-tuned, are those of Renda et al. (arXiv:2003.02389).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from typing_extensions import override

from lottery.core import scored_level
from lottery.methods.base import Method, MethodContext, ReplicateInputs, pruned_ticket
from lottery.methods.identity import pruning_part
from lottery.methods.rewinding import RewindConfig
from lottery.tasks.protocol import TrainingVariant
from lottery.tickets import PruneConfig, RewindMethod, Ticket, last_trained
from lottery.training import Length, PrunedValues


@dataclass(frozen=True, kw_only=True)
class Iterative(Method):
    """Level n + 1 is level n, trained and pruned once more, or the dense network pruned further."""

    kind: Literal["iterative"] = "iterative"
    rewind: RewindConfig = field(default_factory=RewindConfig)
    """What survivors are rewound to."""
    pruned: PrunedValues = "zero"
    """What pruned weights are: ``zero``; or constant, part of the network but not trained
    (arXiv:1905.01067): ``frozen`` at the value that survivors are rewound to; or ``mixed``, zero
    where training had moved them towards zero, else frozen."""

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        if self.pruned == "zero" or self.rewind.kind == "weights":
            return []
        return [
            f"pruned: '{self.pruned}' holds pruned weights where survivors are rewound to, and "
            f"with rewind.kind = '{self.rewind.kind}' none are; use 'weights'"
        ]

    @property
    @override
    def start(self) -> Length:
        return self.rewind.to

    @property
    @override
    def rewinding(self) -> RewindMethod:
        return self.rewind.kind

    @override
    def start_iteration(self, context: MethodContext) -> int:
        steps = context.task.steps()
        if self.rewind.kind == "fine-tune" and steps is not None:
            return steps.total
        return super().start_iteration(context)

    @override
    def needs(self, level: int, prune: PruneConfig) -> tuple[int, ...]:
        return tuple(sorted({0, scored_level(prune.schedule, level)}))

    @override
    def ticket(self, level: int, context: MethodContext, inputs: ReplicateInputs) -> Ticket:
        # The level whose trained weights say what goes.
        deciding = scored_level(context.prune.schedule, level)
        parent, trained = inputs.ticket(deciding), inputs.trained(deciding)
        if self.rewind.kind == "weights":
            weights = inputs.state(context.rewind_iteration)
        else:
            weights = last_trained(parent, trained)
        return pruned_ticket(
            level,
            parent,
            context,
            inputs,
            trained=trained,
            weights=weights,
            rule=self.pruned,
            iteration=context.rewind_iteration,
        )

    @override
    def variant(self, level: int, prune: PruneConfig, levels: int) -> TrainingVariant:
        tuned = self.rewind.kind == "fine-tune"
        return TrainingVariant(fine_tune=self.rewind.length if tuned else None)

    @override
    def decides(self, level: int, prune: PruneConfig, levels: int) -> Any:
        return {
            "method": "iterative",
            "prune": pruning_part(prune, level, levels),
            "rewind": self.rewind.kind,
            "pruned": self.pruned,
        }
