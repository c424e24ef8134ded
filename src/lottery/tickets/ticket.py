"""The ticket: all that is needed to train a subnetwork again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from lottery.core import Mask, prunable_weights
from lottery.errors import MaskError
from lottery.training import State


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """A mask, the weights its survivors go back to, and where both come from.

    Args:
        mask: what is kept.
        weights: the whole state to go back to (a ``state_dict``), pruned weights included: a
            control that moves the mask needs the true values of what it newly enables.
        iteration: where in the training's schedule and data order it starts; the iteration that
            ``weights`` are from, where they were rewound.
        provenance: how it was made, as plain JSON values.
        pruned: parameter name -> tensor of the weight's shape, for every layer of the mask: what
            each weight is while it is pruned. Where the mask keeps a weight it is of no effect, but
            there for controls that move the mask. None: pruned weights are zero.
    """

    mask: Mask
    weights: State
    iteration: int = 0
    provenance: Mapping[str, str | int] = field(default_factory=dict)
    pruned: Mapping[str, Tensor] | None = None

    def start(self) -> State:
        """The state that training starts from: what is kept bit-equal, the rest zero or held."""
        return self.mask.apply(self.weights, self.pruned)

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
        self.check_pruned()
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

    def check_pruned(self) -> None:
        """Check that what pruned weights keep is of the mask's names and shapes, and numbers.

        Raises:
            MaskError: naming what is not.
        """
        if self.pruned is None:
            return
        self.mask.check(self.pruned)
        wrong = [name for name, value in self.pruned.items() if not value.is_floating_point()]
        if wrong:
            raise MaskError(f"pruned weights of {', '.join(wrong)} are not floating-point numbers")
