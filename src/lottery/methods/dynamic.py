"""Dynamic sparse training: the number of weights stays the same, but which ones are kept changes.

SET (Mocanu et al. 2018, arXiv:1707.04780) and RigL (arXiv:1911.11134) start from a mask of the
level's density, made at the initialization or early in training, and change it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from typing_extensions import override

from lottery.core import scored_level
from lottery.methods.base import MethodContext, ReplicateInputs
from lottery.methods.changing import ChangingMask
from lottery.tasks.protocol import TrainingVariant
from lottery.tickets import PruneConfig, Ticket
from lottery.training import MaskUpdatesConfig


@dataclass(frozen=True, kw_only=True)
class Dynamic(ChangingMask):
    """Sparse from the start; updates during training drop some weights and grow as many others."""

    kind: Literal["dynamic"] = "dynamic"
    update: Literal["set", "rigl"] = "rigl"
    """``set``: each layer drops its weights of least magnitude and grows as many at random
    (arXiv:1707.04780, algorithm 2). ``rigl``: it grows them where the loss falls fastest, in place
    of a step (arXiv:1911.11134, algorithm 1)."""
    fraction: float = 0.3
    """Share of each layer's surviving weights that an update moves, in (0, 1]; with rigl it falls
    to 0 by half a cosine, at ``until``."""

    @property
    @override
    def updates(self) -> MaskUpdatesConfig:
        return MaskUpdatesConfig(
            method=self.update,
            every=self.every,
            begin=self.begin,
            until=self.until,
            fraction=self.fraction,
        )

    @override
    def first_ticket(self, level: int, context: MethodContext, inputs: ReplicateInputs) -> Ticket:
        above = scored_level(context.prune.schedule, level)
        again = self.searches_mask and above
        parent = self.first_ticket(above, context, inputs) if again else inputs.ticket(above)
        return self.pruned_at_step(level, parent, context, inputs, start=self.step)

    @override
    def changing_variant(self, level: int, prune: PruneConfig, levels: int) -> TrainingVariant:
        return TrainingVariant(updates=self.updates)

    @override
    def first(self, level: int, prune: PruneConfig, levels: int) -> Any:
        return self.pruning(level, prune, levels)
