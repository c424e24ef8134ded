"""The ticket: a mask, rewind weights and provenance, all that a subnetwork is trained from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any

from torch import Tensor, nn, no_grad

from lottery.core import Mask, by_clean_name, prunable_weights
from lottery.errors import MaskError, printable
from lottery.training import State


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """A mask, the weights that its survivors are rewound to, and where both come from.

    A ticket loaded from a file has the weights of survivors alone; pruned ones are zero in it.

    Args:
        mask: the weights that are kept.
        weights: the whole state to rewind to (a ``state_dict``), pruned weights included: a control
            that changes the mask needs the true values of the weights it enables.
        iteration: the iteration at which training starts, in learning rate schedule and data order;
            if weights were rewound, the one that ``weights`` are from.
        provenance: how it was made, as plain JSON values.
        pruned: parameter name -> tensor of the weight's shape, for every layer of the mask: the
            value each weight is held at while it is pruned. For weights that are kept it has no
            effect, but is there for controls that change the mask. None: pruned weights are zero.
    """

    mask: Mask
    weights: State
    iteration: int = 0
    provenance: Mapping[str, Any] = field(default_factory=dict)
    pruned: Mapping[str, Tensor] | None = None

    def __repr__(self) -> str:
        # Its tensors would be thousands of lines in a notebook.
        said = self.provenance
        of = f", level {said.get('level')} of {said['experiment']}" if "experiment" in said else ""
        text = f"Ticket {self.mask.density:.2%} of {self.mask.total:,} weights{of}"
        return printable(f"<{shorten(text, 100, placeholder=' ...')}>")

    def start(self) -> State:
        """The state that training starts from: kept weights bit-equal, pruned ones zero or held."""
        return self.mask.apply(self.weights, self.pruned)

    # Files are kept by a package above this one, which is imported when asked.

    def save(self, path: str | Path) -> None:
        """Write the ticket as one file; an existing file is replaced.

        Pruned weights are not written, so the sparser the ticket, the smaller the file. A tied
        weight is written once if its tensors share memory, as they do in a ``state_dict``.

        Raises:
            StoreError: the file cannot be written, or holds a value that could not be read again.
        """
        from lottery.store.ticket_file import write_ticket

        write_ticket(self, Path(path))

    @staticmethod
    def load(path: str | Path) -> Ticket:
        """Read what `save` wrote; the file may come from anyone.

        Raises:
            StoreError: there is no such file, or it is damaged or not a ticket; says what is wrong.
        """
        from lottery.store.ticket_file import read_ticket

        return read_ticket(Path(path))

    def apply_to(self, model: nn.Module) -> Mask:
        """Set a model's weights and buffers to the ticket's, in place.

        Pruned weights become zero, or the values they are held at. To keep the mask during
        training, use ``lottery.hold(model, mask)``.

        Args:
            model: the network, wrapped or not. If the ticket does not fit it, it is not changed.

        Returns:
            The mask.

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
        """Check that every layer keeps at least one weight.

        Raises:
            MaskError: naming the layers that the mask empties; no signal can pass them.
        """
        empty = self.mask.empty_layers
        if empty:
            raise MaskError(
                f"the mask keeps no weight of {', '.join(empty)}; no signal passes such a layer"
            )

    def check_fits(self, model: nn.Module) -> None:
        """Check names, shapes and types against a model.

        Raises:
            MaskError: the mask or the weights do not fit this model.
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
        """Check that `pruned` has the mask's names and shapes, and floating-point values.

        Raises:
            MaskError: names the entries that are wrong.
        """
        if self.pruned is None:
            return
        self.mask.check(self.pruned)
        wrong = [name for name, value in self.pruned.items() if not value.is_floating_point()]
        if wrong:
            raise MaskError(f"pruned weights of {', '.join(wrong)} are not floating-point numbers")


def describe_tensor(value: object) -> str:
    """A tensor's dtype and shape, in words."""
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
