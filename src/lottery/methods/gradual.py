"""Gradual pruning (arXiv:1710.01878): training starts dense and ends at the level's density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from typing_extensions import override

from lottery.core.schedule import GradualShape
from lottery.methods.base import MethodContext, ReplicateInputs
from lottery.methods.changing import ChangingMask
from lottery.tasks.protocol import GradualTarget, TrainingVariant
from lottery.tickets import PruneConfig, Ticket
from lottery.training import MaskUpdatesConfig


@dataclass(frozen=True, kw_only=True)
class GradualPruning(ChangingMask):
    """Dense at the start; weights are pruned by magnitude in the course of the training."""

    kind: Literal["gradual"] = "gradual"
    shape: GradualShape = "cubic"
    """How density falls: ``cubic``, fast at first, or ``linear``."""

    @override
    def refusals(self, prune: PruneConfig) -> list[str]:
        found, how = super().refusals(prune), "with method.kind = 'gradual'"
        if prune.criterion != "magnitude" or prune.rounds > 1:
            found.append(
                f"prune.criterion: {how} weights go by magnitude in the course of the training, "
                f"got '{prune.criterion}' in {prune.rounds} rounds; use 'magnitude' and rounds = 1"
            )
        if prune.scope == "lamp":
            found.append(f"prune.scope: {how} magnitudes are not rescaled; use 'global' or 'erk'")
        return found

    @property
    @override
    def updates(self) -> MaskUpdatesConfig:
        return MaskUpdatesConfig(
            method="gradual",
            every=self.every,
            begin=self.begin,
            until=self.until,
            shape=self.shape,
        )

    @override
    def first_ticket(self, level: int, context: MethodContext, inputs: ReplicateInputs) -> Ticket:
        at = context.iterations(self.step)
        return Ticket(mask=inputs.ticket(0).mask, weights=inputs.state(at), iteration=at)

    @override
    def changing_variant(self, level: int, prune: PruneConfig, levels: int) -> TrainingVariant:
        return TrainingVariant(
            updates=self.updates, gradual=GradualTarget(prune=prune, level=level, levels=levels)
        )

    @override
    def first(self, level: int, prune: PruneConfig, levels: int) -> Any:
        # The mask at the start is the dense one; down to where it falls is how it is trained.
        return {"method": "gradual"}
