"""Train, prune what is superfluous, rewind the rest, and again: the method itself.

Frankle & Carbin (arXiv:1803.03635, section 2), with late rewinding as in arXiv:1903.01611. With the
one-shot schedule every level is pruned from the dense network. Survivors that keep their trained
weights, with the learning rate rewound or fine-tuned, are those of Renda et al. (arXiv:2003.02389).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from lottery.core import scored_level
from lottery.methods.base import Bound, Inputs, Method, pruned_ticket
from lottery.methods.identity import pruning_part
from lottery.tasks.protocol import How
from lottery.tickets import PruneConfig, RewindConfig, Ticket, last_trained
from lottery.training import PrunedValues


@dataclass(frozen=True, kw_only=True)
class Iterative(Method):
    """Level n + 1 is level n, trained and pruned once more, or the dense network pruned further."""

    prune: PruneConfig
    rewind: RewindConfig
    pruned_values: PrunedValues = "zero"

    def _decides(self, level: int) -> int:
        """The level whose trained weights say what goes."""
        return scored_level(self.prune.schedule, level)

    @override
    def needs(self, level: int) -> tuple[int, ...]:
        return tuple(sorted({0, self._decides(level)}))

    @override
    def states(self, bound: Bound) -> tuple[int, ...]:
        late = self.rewind.method == "weights" and bound.rewind_iteration > 0
        return (bound.rewind_iteration,) if late else ()

    @override
    def draws(self, level: int) -> bool:
        return False

    @override
    def ticket(self, level: int, bound: Bound, inputs: Inputs) -> Ticket:
        parent, trained = (
            inputs.ticket(self._decides(level)),
            inputs.trained(self._decides(level)),
        )
        if self.rewind.method == "weights":
            weights = inputs.state(bound.rewind_iteration)
        else:
            weights = last_trained(parent, trained)
        rule = self.pruned_values
        return pruned_ticket(
            level, parent, bound, inputs, trained=trained, weights=weights, rule=rule
        )

    @override
    def how(self, level: int, levels: int) -> How:
        tuned = self.rewind.method == "fine-tune"
        return How(fine_tune=self.rewind.length if tuned else None)

    @override
    def decides(self, level: int, levels: int) -> Any:
        return {
            "method": "iterative",
            "prune": pruning_part(self.prune, level, levels),
            "rewind": self.rewind.method,
            "pruned": self.pruned_values,
        }
