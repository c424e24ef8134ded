"""Pruned at initialization, or early in the dense training, and trained from there.

SNIP (arXiv:1810.02340), GraSP (arXiv:2002.07376), SynFlow (arXiv:2006.05467) and FORCE
(arXiv:2006.09081) are criteria, and numbers of rounds, of this method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from lottery.core import scored_level
from lottery.methods.base import Bound, Inputs, Method, pruned_ticket
from lottery.methods.identity import pruning_part
from lottery.tasks.protocol import How
from lottery.tickets import PruneConfig, Ticket
from lottery.training import PrunedValues


@dataclass(frozen=True, kw_only=True)
class AtStep(Method):
    """The dense network's weights at one iteration decide, and are what tickets start from."""

    prune: PruneConfig
    late: bool
    """Whether that iteration is after the initialization."""
    pruned_values: PrunedValues = "zero"

    @override
    def needs(self, level: int) -> tuple[int, ...]:
        return (0,) if self.late else ()

    @override
    def states(self, bound: Bound) -> tuple[int, ...]:
        return (bound.rewind_iteration,) if self.late else ()

    @override
    def draws(self, level: int) -> bool:
        return False

    @override
    def ticket(self, level: int, bound: Bound, inputs: Inputs) -> Ticket:
        parent = inputs.ticket(scored_level(self.prune.schedule, level))
        weights, rule = inputs.state(bound.rewind_iteration), self.pruned_values
        return pruned_ticket(
            level, parent, bound, inputs, trained=weights, weights=weights, rule=rule
        )

    @override
    def how(self, level: int, levels: int) -> How:
        return How()

    @override
    def decides(self, level: int, levels: int) -> Any:
        return {
            "method": "at-step",
            "prune": [pruning_part(self.prune, n, levels) for n in range(1, level + 1)],
            "pruned": self.pruned_values,
        }
