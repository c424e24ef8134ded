"""The ticket: all that is needed to train a subnetwork again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn

from lottery.core import Mask, prunable_weights
from lottery.errors import MaskError
from lottery.training import State


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """A mask, the weights its survivors go back to, and where both come from.

    Args:
        mask: what is kept.
        weights: the whole rewind state (a ``state_dict``), pruned weights included: a control that
            moves the mask needs the true values of what it newly enables.
        iteration: the iteration of the dense training that ``weights`` are from.
        provenance: how it was made, as plain JSON values.
    """

    mask: Mask
    weights: State
    iteration: int = 0
    provenance: Mapping[str, str | int] = field(default_factory=dict)

    def start(self) -> State:
        """The state that training starts from: pruned weights zero, the rest bit-equal."""
        return self.mask.apply(self.weights)

    def check(self) -> None:
        """Check that some weight of every layer is kept.

        Raises:
            MaskError: naming the layers that the mask empties; no signal can pass them.
        """
        empty = self.mask.empty_layers
        if empty:
            raise MaskError(
                f"the mask keeps no weight of {', '.join(empty)}; no signal passes such a layer"
            )

    def check_fits(self, model: nn.Module) -> None:
        """Check names, shapes and types against a model, before anything is trusted.

        Raises:
            MaskError: the mask or the weights are not this model's.
        """
        self.mask.check(prunable_weights(model))
        expected = model.state_dict()
        wrong = [
            name
            for name in sorted({*expected, *self.weights})
            if name not in expected
            or name not in self.weights
            or expected[name].shape != self.weights[name].shape
            or expected[name].is_floating_point() != self.weights[name].is_floating_point()
        ]
        if wrong:
            raise MaskError(
                f"the ticket's weights do not fit the model: {', '.join(wrong)} missing, "
                "unknown, or of another shape or type"
            )
