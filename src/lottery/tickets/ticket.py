"""The ticket: all that is needed to train a subnetwork again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn, no_grad

from lottery.core import Mask, by_clean_name, prunable_weights
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

    One that was loaded from a file has the survivors' weights alone: zero for what is pruned.
    """

    mask: Mask
    weights: State
    iteration: int = 0
    provenance: Mapping[str, Any] = field(default_factory=dict)
    pruned: Mapping[str, Tensor] | None = None

    def start(self) -> State:
        """The state that training starts from: what is kept bit-equal, the rest zero or held."""
        return self.mask.apply(self.weights, self.pruned)

    # Files are kept by a package above this one, which is imported when asked.

    def save(self, path: str | Path) -> None:
        """Write it as one file to hand on; what is there is replaced.

        Of the pruned weights nothing is written, so that the file is as small as it is sparse.

        Raises:
            StoreError: the file cannot be written, or a value could not be read again.
        """
        from lottery.store.ticket_file import write_ticket

        write_ticket(self, Path(path))

    @staticmethod
    def load(path: str | Path) -> Ticket:
        """Read what `save` wrote; the file may come from anyone.

        Raises:
            StoreError: there is no such file, or it is damaged or forged; says what of it.
        """
        from lottery.store.ticket_file import read_ticket

        return read_ticket(Path(path))

    def apply_to(self, model: nn.Module) -> Mask:
        """Set a model's weights and buffers to the ticket's, in place; pruned weights become zero.

        Or what they are held at, where that is not zero. ``lottery.hold(model, mask)`` keeps the
        mask in a training.

        Args:
            model: the network, wrapped or not. Where it does not fit it stays as it was.

        Returns:
            What is kept.

        Raises:
            MaskError: names, shapes or types differ; every difference is listed.
        """
        self.check_state(model)
        names = by_clean_name({name: name for name in model.state_dict()})
        start = by_clean_name(self.start())
        model.load_state_dict({names[name]: value for name, value in start.items()})
        parameters = by_clean_name(dict(model.named_parameters(remove_duplicate=False)))
        with no_grad():
            for name in by_clean_name(self.mask):
                # A tied weight may have been loaded under its other name last.
                parameters[name].copy_(start[name])
        return self.mask

    def check_state(self, model: nn.Module) -> None:
        """Check names, shapes and types of the whole state, and that masks are of parameters.

        Raises:
            MaskError: every difference, one a line.
        """
        given, own = by_clean_name(self.weights), by_clean_name(model.state_dict())
        parameters = by_clean_name(dict(model.named_parameters(remove_duplicate=False)))
        wrong = [f"{name} is missing in the ticket" for name in own if name not in given]
        wrong += [f"{name} is not in the model" for name in given if name not in own]
        both = {n: (describe_tensor(given[n]), describe_tensor(own[n])) for n in own if n in given}
        wrong += [
            f"{name} is {ours} in the ticket, {theirs} in the model"
            for name, (ours, theirs) in both.items()
            if ours != theirs
        ]
        buffers = [name for name in by_clean_name(self.mask) if name not in parameters]
        wrong += [f"{name} is masked, but no parameter" for name in buffers if name in own]
        if wrong:
            listed = "".join(f"\n  - {problem}" for problem in wrong)
            raise MaskError(f"the ticket does not fit the model:{listed}")

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


def describe_tensor(value: object) -> str:
    """A tensor's type and shape, in words."""
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
