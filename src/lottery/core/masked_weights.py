"""The weights of a model that a mask names, and setting their pruned entries to zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from weakref import ReferenceType, ref

import torch
from torch import Tensor, nn

from lottery.core.mask import Mask
from lottery.core.names import by_clean_name
from lottery.errors import MaskError, UsageError

# Entries are cleared by multiplying their bits by 0 or 1: NaN and infinity become zero as well,
# what is kept stays bit-equal, and one call does a whole list of tensors.
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(eq=False, kw_only=True)
class MaskedWeight:
    """A parameter with its part of the mask.

    Args:
        name: its name, without the names of wrappers.
        parameter: the parameter.
        kept: integers of the weight's shape and element size, 1 = kept and 0 = pruned.
        value: the values that pruned entries are held at, 0 where kept, in the weight's shape;
            None: all 0.
        steps: the number of optimizer steps it has taken.
        masked: the gradient that was masked last, and its version then.
    """

    name: str
    parameter: nn.Parameter
    kept: Tensor
    value: Tensor | None = None
    steps: int = 0
    masked: tuple[ReferenceType[Tensor], int] | None = None

    def kept_on(self, device: torch.device) -> Tensor:
        """``kept`` on a device, since the weight may have been moved there."""
        if self.kept.device != device:
            self.kept = self.kept.to(device)
        return self.kept

    def pruned_on(self, device: torch.device) -> Tensor:
        """Bool tensor of the weight's shape, True = pruned."""
        return self.kept_on(device) == 0

    def mask_gradient(self, gradient: Tensor) -> None:
        """Set the pruned entries of its gradient to zero."""
        clear_entries([gradient], [self])
        self.masked = ref(gradient), gradient._version

    @property
    def leaves_state_clear(self) -> bool:
        """Whether a step taken now leaves the optimizer's state of pruned entries as it is."""
        gradient = self.parameter.grad
        if gradient is None:
            return True
        return (
            self.value is None
            and self.masked is not None
            and self.masked[0]() is gradient
            and self.masked[1] == gradient._version
        )

    @property
    def violates_mask(self) -> bool:
        """Whether a pruned entry has another value than it is held at; NaN does not count."""
        weight = self.parameter.detach()
        value = 0.0 if self.value is None else self.value.to(weight)
        return bool((self.pruned_on(weight.device) & (weight != value) & ~weight.isnan()).any())


def masked_weights(
    model: nn.Module, mask: Mapping[str, Tensor] | None, values: Mapping[str, Tensor] | None
) -> list[MaskedWeight]:
    """The weights of a model that a mask names, after checks.

    Args:
        model: wrapped or not.
        mask: parameter name -> bool tensor, True = kept.
        values: parameter name -> the values that pruned entries are held at; None: 0.

    Raises:
        UsageError: the model is no module, or a weight is sharded over processes.
        MaskError: the mask or the values do not fit the model.
    """
    if not isinstance(model, nn.Module):
        raise UsageError(f"expected the model to hold a mask in, got {type(model).__name__}")
    if not isinstance(mask, Mapping):
        raise MaskError(f"expected a mask: name -> bool tensor, got {type(mask).__name__}")
    named = by_clean_name(dict(model.named_parameters(remove_duplicate=False)))
    kept = Mask(by_clean_name(mask))
    kept.check({name: named[name] for name in kept if name in named})
    held = None if values is None else by_clean_name(values)
    if held is not None:
        kept.check(held)
    weights = [_masked_weight(name, named[name], kept[name], held) for name in kept]
    if len({id(weight.parameter) for weight in weights}) < len(weights):
        raise MaskError("the mask names a weight more than once: name tied weights once only")
    return weights


def _masked_weight(
    name: str, parameter: nn.Parameter, kept: Tensor, values: Mapping[str, Tensor] | None
) -> MaskedWeight:
    if hasattr(parameter, "device_mesh"):
        raise UsageError(
            f"'{name}' is sharded over processes (a DTensor, as fully_shard makes it), and masks "
            "are held in whole weights: use DistributedDataParallel"
        )
    like = torch.empty_like(parameter, dtype=_BITS[parameter.element_size()], requires_grad=False)
    value = None
    if values is not None:
        value = torch.zeros_like(parameter, requires_grad=False)
        value.copy_(values[name]).masked_fill_(kept.to(value.device), 0.0)
    return MaskedWeight(name=name, parameter=parameter, kept=like.copy_(kept), value=value)


def _bits(tensor: Tensor) -> Tensor:
    """The tensor's memory as integers."""
    return tensor.detach().view(_BITS[tensor.element_size()])


def clear_entries(tensors: Sequence[Tensor], weights: Sequence[MaskedWeight]) -> None:
    """Set entries of tensors to zero, in place, where the weight of the same shape is pruned."""
    kept = [weight.kept_on(t.device) for t, weight in zip(tensors, weights, strict=True)]
    if kept:
        torch._foreach_mul_([_bits(tensor) for tensor in tensors], kept)


def clear_weights(weights: Sequence[MaskedWeight]) -> None:
    """Set pruned weights, in place, to the values that they are held at."""
    clear_entries([weight.parameter for weight in weights], weights)
    for weight in weights:
        if weight.value is not None:
            weight.value = weight.value.to(weight.parameter)
            _bits(weight.parameter).add_(_bits(weight.value))
