"""Masks that change while their tickets train: gradually pruned ones, and dynamic ones.

Gradual pruning (arXiv:1710.01878) starts from the dense network and ends at a level's density. SET
(Mocanu et al. 2018) and RigL (arXiv:1911.11134) start from a mask of that density, drawn at the
initialization or early in training, and move it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from typing_extensions import override

from lottery.methods.at_step import AtStep
from lottery.methods.base import Bound, Inputs
from lottery.methods.identity import pruning_part
from lottery.tasks.protocol import Gradual, How
from lottery.tickets import Ticket
from lottery.training import MaskUpdatesConfig


@dataclass(frozen=True, kw_only=True)
class Dynamic(AtStep):
    """As many weights from the start to the end, but not the same ones."""

    updates: MaskUpdatesConfig

    @override
    def how(self, level: int, levels: int) -> How:
        return How(updates=self.updates)


@dataclass(frozen=True, kw_only=True)
class GraduallyPruned(AtStep):
    """Dense at the start; what goes, and when, is decided in training."""

    updates: MaskUpdatesConfig

    @override
    def ticket(self, level: int, bound: Bound, inputs: Inputs) -> Ticket:
        weights = inputs.state(bound.rewind_iteration)
        return Ticket(mask=inputs.ticket(0).mask, weights=weights, iteration=bound.rewind_iteration)

    @override
    def how(self, level: int, levels: int) -> How:
        gradual = Gradual(prune=self.prune, level=level, levels=levels)
        return How(updates=self.updates, gradual=gradual)

    @override
    def decides(self, level: int, levels: int) -> Any:
        # The mask at the start is the dense one; down to where it falls is how it is trained.
        return {"method": "gradual"}


def plain_how(how: How) -> dict[str, Any]:
    """How a ticket is trained, as plain data, for its identity: what differs and nothing else."""
    gradual, learns = how.gradual, how.learns
    parts = {
        "fine_tune": None if how.fine_tune is None else asdict(how.fine_tune),
        "same_multiplications": how.same_multiplications or None,
        "updates": asdict(how.updates) if how.updates.active else None,
        "gradual": gradual and pruning_part(gradual.prune, gradual.level, gradual.levels),
        "learns": learns and [learns.method, *learns.stream],
        "reordered": how.reordered,
        "until_drawn": how.until_drawn or None,
    }
    return {name: part for name, part in parts.items() if part is not None}
