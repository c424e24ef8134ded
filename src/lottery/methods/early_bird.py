"""Early-Bird tickets: drawn from the dense network as soon as their mask has settled.

You et al. (arXiv:1909.11957, section 3). Tickets train on from the weights of that moment, as in
the paper, or are rewound.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from typing_extensions import override

from lottery.methods.base import Bound, Inputs, Method
from lottery.methods.identity import pruning_part
from lottery.tasks.protocol import How
from lottery.tickets import PruneConfig, RewindConfig, Ticket, pruned_values
from lottery.training import PrunedValues


@dataclass(frozen=True, kw_only=True)
class EarlyBird(Method):
    """Each level has a mask of its own, noted while the dense network trains."""

    prune: PruneConfig
    rewind: RewindConfig
    pruned_values: PrunedValues = "zero"

    @override
    def needs(self, level: int) -> tuple[int, ...]:
        return (0,)

    @override
    def states(self, bound: Bound) -> tuple[int, ...]:
        late = self.rewind.method == "weights" and bound.rewind_iteration > 0
        return (bound.rewind_iteration,) if late else ()

    @override
    def draws(self, level: int) -> bool:
        return True

    @override
    def ticket(self, level: int, bound: Bound, inputs: Inputs) -> Ticket:
        early, dense = inputs.drawn(level), inputs.ticket(0)
        early.mask.check({name: inputs.initial[name] for name in dense.mask})
        how: dict[str, str | int] = {
            "drawn_at": early.iteration,
            "drawn": early.words(self.prune.early_bird),
        }
        if self.rewind.method == "drawn":
            assert early.state is not None, "noted with the mask"
            return Ticket(
                mask=early.mask, weights=early.state, iteration=early.iteration, provenance=how
            )
        weights, held = inputs.state(bound.rewind_iteration), None
        if self.pruned_values == "frozen":
            held = pruned_values("frozen", before=dense, trained=weights, rewound=weights)
        return Ticket(
            mask=early.mask,
            weights=weights,
            iteration=bound.rewind_iteration,
            provenance=how,
            pruned=held,
        )

    @override
    def how(self, level: int, levels: int) -> How:
        return How()

    @override
    def how_dense(self) -> How:
        return How(until_drawn=self.prune.early_bird.stop)

    @override
    def decides(self, level: int, levels: int) -> Any:
        return {
            "method": "early-bird",
            "drawn": self.drawn_part(level, levels),
            "rewind": self.rewind.method,
            "pruned": self.pruned_values,
        }

    def drawn_part(self, level: int, levels: int) -> dict[str, Any]:
        """What decides the mask that is drawn for a level."""
        settling = asdict(self.prune.early_bird)
        settling.pop("stop")  # The same masks are drawn, whatever comes after.
        return {
            "early_bird": settling,
            "trains_on": self.rewind.method == "drawn",
            "prune": [pruning_part(self.prune, n, levels) for n in range(1, level + 1)],
        }
