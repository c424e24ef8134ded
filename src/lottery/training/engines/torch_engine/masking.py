"""Keeping pruned weights pruned: their gradients, and they themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lottery.core import Mask
from lottery.training.engines.torch_engine.held import Held, held_values, hold


class Pruned:
    """The prunable weights of a network in training, and what is pruned of them.

    Args:
        model: the network; masked in place, once, from here on by `mask_weights`.
        mask: what is kept, until `change` says otherwise.
        values: what pruned weights are held at, by name; None for zero.
        overflows: whether gradients may be infinite in a training that goes on, so that a
            multiplication by zero does not make them zero.
    """

    def __init__(
        self,
        model: nn.Module,
        mask: Mask,
        values: Mapping[str, Tensor] | None = None,
        *,
        overflows: bool = False,
    ) -> None:
        # By name in the model, rather than in a state, where a tied weight has several.
        parameters = dict(model.named_parameters())
        self._weights: list[Tensor] = [parameters[name] for name in mask]
        self._overflows = overflows
        self._held: Held = held_values(mask, values, self._weights)
        self.change(mask)
        hold(self._weights, self._held)

    def change(self, mask: Mask) -> None:
        """Keep what this mask keeps from now on, and set the rest to zero.

        Args:
            mask: of the same names, in the same order.
        """
        # In the type and the order in memory of the weights, for which one call does them all.
        self._kept = tuple(
            torch.empty_like(weight, requires_grad=False).copy_(mask[name])
            for name, weight in zip(mask, self._weights, strict=True)
        )
        self._pruned = [kept == 0 for kept in self._kept]
        self.clear(self._weights)

    def clear(self, tensors: Sequence[Tensor | None]) -> None:
        """Set what is pruned to zero, in place.

        Args:
            tensors: for each layer of the mask one of the weight's shape and device, or None.
        """
        with torch.no_grad():
            for tensor, pruned in zip(tensors, self._pruned, strict=True):
                if tensor is not None:
                    tensor.masked_fill_(pruned, 0.0)

    def mask_gradients(self) -> None:
        """Zero gradients keep the optimizer's state of pruned weights zero."""
        gradients = [gradient_of(weight) for weight in self._weights]
        if self._overflows:
            self.clear(gradients)
        else:
            torch._foreach_mul_(gradients, self._kept)

    def hide(self) -> None:
        """While the optimizer steps, pruned weights are zero, whatever they are held at."""
        if self._held:
            torch._foreach_mul_(self._weights, self._kept)

    def mask_weights(self) -> None:
        """For an optimizer that moves a weight whose gradient is zero."""
        torch._foreach_mul_(self._weights, self._kept)
        hold(self._weights, self._held)


def fill_gradients(parameters: Sequence[Tensor]) -> None:
    """Give each parameter that took no part in a step, such as a skipped block's, a zero gradient.

    An optimizer would pass it over: neither would its momentum go on, nor would its weight decay.
    """
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)


def gradient_of(weight: Tensor) -> Tensor:
    """The gradient of a weight, after `fill_gradients`."""
    assert weight.grad is not None, "every parameter has a gradient by now"
    return weight.grad
