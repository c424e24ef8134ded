"""Tickets from files: found on other data, with another training, or by somebody else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from typing_extensions import override

from lottery.methods.base import Method, MethodContext, ReplicateInputs
from lottery.tickets import PruneConfig, Ticket, transplant
from lottery.training import Length


@dataclass(frozen=True, kw_only=True)
class Given(Method):
    """Level 1 is a ticket from a file, put into this task's network; nothing is pruned."""

    kind: Literal["given"] = "given"
    tickets: tuple[str, ...] = ()
    """SHA-256 of each ticket that the run holds, which ``lottery ticket train`` puts there; the
    replicates take them in turn."""

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        wrong = [name for name in self.tickets if len(name) != 64 or name.strip("0123456789abcdef")]
        if self.tickets and not wrong:
            return []
        return ["tickets: expected the SHA-256 of tickets; make such a run by lottery ticket train"]

    @property
    @override
    def start(self) -> Length:
        return Length(amount=0)

    @property
    @override
    def no_trained_weights(self) -> str:
        return "with method.kind = 'given' the trained weights behind a mask are not known"

    def of(self, replicate: int) -> str:
        """The SHA-256 of a replicate's ticket."""
        return self.tickets[replicate % len(self.tickets)]

    @override
    def needs(self, level: int, prune: PruneConfig) -> tuple[int, ...]:
        return ()

    @override
    def ticket(self, level: int, context: MethodContext, inputs: ReplicateInputs) -> Ticket:
        return transplant(inputs.given(self.of(inputs.number)), inputs.ticket(0))

    @override
    def decides(self, level: int, prune: PruneConfig, levels: int) -> Any:
        # Which ticket a replicate has is added to its identity alone.
        return {"method": "given"}
