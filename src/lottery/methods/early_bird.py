"""Early-Bird tickets: drawn from the dense network as soon as their mask has settled.

You et al. (arXiv:1909.11957, section 3). Tickets train on from the weights of that moment, as in
the paper, or are rewound.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from typing_extensions import override

from lottery.core import CriterionEntry
from lottery.methods.base import Method, MethodContext, ReplicateInputs
from lottery.methods.identity import pruning_part
from lottery.methods.rewinding import DrawnRewindConfig
from lottery.tasks.protocol import TrainingVariant
from lottery.tickets import (
    EarlyBirdConfig,
    PruneConfig,
    RewindMethod,
    Ticket,
    check_iterations,
    pruned_values,
)
from lottery.training import Length, PrunedValues


@dataclass(frozen=True, kw_only=True)
class EarlyBird(EarlyBirdConfig, Method):
    """Each level has its own mask, drawn while the dense network trains."""

    kind: Literal["early-bird"] = "early-bird"
    rewind: DrawnRewindConfig = field(default_factory=DrawnRewindConfig)
    """What survivors are rewound to."""
    pruned: PrunedValues = "zero"
    """What pruned weights of rewound tickets are: ``zero``; or ``frozen``: constant, part of the
    network but not trained, at the value that survivors are rewound to (arXiv:1905.01067)."""

    @override
    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        found, drawn = super().problems(), self.rewind.kind == "drawn"
        if self.pruned == "mixed" or (drawn and self.pruned != "zero"):
            use = "'zero'" if drawn else "'zero' or 'frozen'"
            found.append(
                "pruned: masks are drawn on the way, and what weights were then is kept alone for "
                f"tickets that train on from there; use {use}, got '{self.pruned}'"
            )
        return found

    @override
    def criterion_refusals(
        self, prune: PruneConfig, criterion: CriterionEntry, levels: int
    ) -> list[str]:
        in_steps = prune.rounds > 1 or (levels > 1 and prune.schedule != "one-shot")
        held = self.pruned != "zero" and self.rewind.to.amount > 0
        if not (held and in_steps and criterion.needs_probe):
            return []
        return [
            f"method.pruned: with '{self.pruned}' the criterion '{prune.criterion}' looks at a "
            "network of which what is pruned is held where survivors are rewound to, and that is "
            "not known when an Early-Bird mask is made; set method.rewind.to to 0, or use "
            "prune.schedule = 'one-shot' and rounds = 1, or method.pruned = 'zero'"
        ]

    @property
    @override
    def start(self) -> Length:
        return self.rewind.to

    @property
    @override
    def rewinding(self) -> RewindMethod:
        return self.rewind.kind

    @property
    @override
    def no_trained_weights(self) -> str:
        return "Early-Bird masks are drawn on the way, and the weights of then not kept"

    def check_iterations(self, context: MethodContext) -> tuple[int, ...]:
        """The iterations of the dense training at which masks are made."""
        steps = context.task.steps()
        assert steps is not None, "a task of unknown length is refused"
        return check_iterations(
            self,
            total=steps.total,
            steps_per_epoch=steps.per_epoch,
            trains_on=self.rewind.kind == "drawn",
        )

    @override
    def start_iteration(self, context: MethodContext) -> int:
        if self.rewind.kind == "drawn":
            return self.check_iterations(context)[self.window - 1]
        return super().start_iteration(context)

    @override
    def needs(self, level: int, prune: PruneConfig) -> tuple[int, ...]:
        return (0,)

    @override
    def ticket(self, level: int, context: MethodContext, inputs: ReplicateInputs) -> Ticket:
        early, dense = inputs.drawn(level), inputs.ticket(0)
        early.mask.check({name: inputs.initial[name] for name in dense.mask})
        how: dict[str, str | int] = {"drawn_at": early.iteration, "drawn": early.describe(self)}
        if self.rewind.kind == "drawn":
            assert early.state is not None, "noted with the mask"
            return Ticket(
                mask=early.mask, weights=early.state, iteration=early.iteration, provenance=how
            )
        weights, held = inputs.state(context.rewind_iteration), None
        if self.pruned == "frozen":
            held = pruned_values("frozen", before=dense, trained=weights, rewound=weights)
        return Ticket(
            mask=early.mask,
            weights=weights,
            iteration=context.rewind_iteration,
            provenance=how,
            pruned=held,
        )

    @override
    def dense_variant(self) -> TrainingVariant:
        return TrainingVariant(until_drawn=self.stop)

    @override
    def decides(self, level: int, prune: PruneConfig, levels: int) -> Any:
        return {
            "method": "early-bird",
            "drawn": self.drawn_part(level, prune, levels),
            "rewind": self.rewind.kind,
            "pruned": self.pruned,
        }

    def drawn_part(self, level: int, prune: PruneConfig, levels: int) -> dict[str, Any]:
        """The settings that decide the mask drawn for a level, as plain JSON."""
        settings = asdict(self)
        # The same masks are drawn, whatever comes after.
        settling = {f.name: settings[f.name] for f in fields(EarlyBirdConfig) if f.name != "stop"}
        return {
            "early_bird": settling,
            "trains_on": self.rewind.kind == "drawn",
            "prune": [pruning_part(prune, n, levels) for n in range(1, level + 1)],
        }
