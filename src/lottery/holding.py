"""Holding a mask in any training: pruned weights are exactly zero after every step.

A hook on each masked weight makes pruned entries of its gradient zero as they come, before anything
clips, scales or averages them; a hook after each optimizer's step does the same to weights and
optimizer state. Neither model, loop nor optimizer is changed, and `Hold.release` leaves no trace.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Self
from weakref import ReferenceType, WeakKeyDictionary, WeakSet, ref

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, SGD, Adam, AdamW, Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.hooks import RemovableHandle

from lottery.core.mask import Mask
from lottery.core.masked_weights import (
    MaskedWeight,
    clear_entries,
    clear_weights,
    masked_weights,
)
from lottery.core.names import by_clean_name
from lottery.errors import MaskError, format_names

# What optimizers begin with where that is not zero: key in a parameter's state -> its setting.
_FIRST_STATE = {"step_size": "lr", "sum": "initial_accumulator_value"}

# Whose state stays zero where weight and gradient are; Adamax, for one, adds its epsilon.
_STAY_ZERO = (SGD, Adam, AdamW)

_holds: tuple[Hold, ...] = ()  # replaced and never changed: steps in other threads iterate over it
_lock = threading.Lock()
_hooked = False


def hold(
    model: nn.Module,
    optimizer: Optimizer | Mapping[str, Tensor] | None = None,
    mask: Mapping[str, Tensor] | None = None,
    *,
    at: Mapping[int, Callable[[], None]] | None = None,
    values: Mapping[str, Tensor] | None = None,
) -> Hold:
    """Hold a mask in a model, from now on and through whatever trains it.

    Called as ``hold(model, mask)`` or ``hold(model, optimizer, mask)``.

    After every step of any optimizer pruned weights are exactly zero, and so are their accumulated
    gradients and the optimizer's state. Leaving the ``with`` block ends it and checks that it
    could do its work. Without ``with`` it goes on until `Hold.release`.

    Args:
        model: the very model to be trained, wrapped or not (``torch.compile``,
            ``DistributedDataParallel``).
        optimizer: the only one that is heeded; left out, every optimizer that moves the model is.
        mask: parameter name -> bool tensor of its shape, True = kept; a `lottery.Mask` is one.
            Names may have ``module.`` and ``_orig_mod.`` in them or lack them.
        at: number of steps -> what to call once every masked weight has had so many, such as
            taking a snapshot. Where another optimizer of the model takes the same step later, it
            is called again after that, so that the last call sees the whole step.
        values: what pruned weights are held at instead of zero: parameter name -> tensor of its
            shape, for every name of the mask. Their optimizer state is zero all the same.

    Raises:
        MaskError: the mask does not fit the model; at the end of a block, it was not held.
        UsageError: the model's weights are sharded (FSDP).

    Example:
        >>> model = nn.Linear(2, 1, bias=False)
        >>> optimizer = torch.optim.AdamW(model.parameters())
        >>> with hold(model, {"weight": torch.tensor([[True, False]])}) as held:
        ...     model(torch.ones(1, 2)).sum().backward()
        ...     optimizer.step()
        >>> held.steps, model.weight[0, 1].item()
        (1, 0.0)
    """
    if isinstance(optimizer, Optimizer):
        return Hold(model, mask, optimizer=optimizer, at=at, values=values)
    return Hold(model, optimizer if mask is None else mask, at=at, values=values)


class Hold:
    """A mask held in a model; see `hold`, which makes it.

    Attributes:
        steps: the fewest steps that any masked weight has had. Steps that a gradient scaler leaves
            out do not count.
    """

    def __init__(
        self,
        model: nn.Module,
        mask: Mapping[str, Tensor] | None,
        *,
        optimizer: Optimizer | None = None,
        at: Mapping[int, Callable[[], None]] | None = None,
        values: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.steps = 0
        self._model, self._at = model, dict(at or {})
        self._weights = masked_weights(model, mask, values)
        self._by_id = {id(weight.parameter): weight for weight in self._weights}
        # The parameters themselves, so that no other object gets their ids.
        self._parameters = {id(parameter): parameter for parameter in model.parameters()}
        self._counts: WeakKeyDictionary[Optimizer, int] = WeakKeyDictionary()
        # Those whose state has been cleared since it came from elsewhere.
        self._clear_ones: WeakSet[Optimizer] = WeakSet()
        self._unmasked: dict[str, Tensor] | None = None
        self._handles = [_hook(weight.parameter, ref(self)) for weight in self._weights]
        self._clear()
        if optimizer is None:
            _add(self)
        else:
            self._counts[optimizer] = 0
            self._handles.append(optimizer.register_step_post_hook(self._after_step))
        if 0 in self._at:
            self._at[0]()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.release()
        if error is None and (problems := self.problems()):
            raise MaskError("the mask was not held in this block: " + "; ".join(problems))

    def release(self) -> None:
        """End it; the weights stay as they are."""
        _remove(self)
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def change(self, mask: Mapping[str, Tensor]) -> None:
        """Hold another mask from now on, as gradual pruning and growth need it.

        What it prunes anew is zero at once, in gradients and optimizer state as well. A weight that
        grows starts at zero (or what it was held at), with no past in either.

        Args:
            mask: of the same names.

        Raises:
            MaskError: it has other names or shapes.
        """
        kept = by_clean_name(mask)
        Mask(kept).check({weight.name: weight.parameter for weight in self._weights})
        for weight in self._weights:
            weight.kept.copy_(kept[weight.name])
        self._clear()

    def record_gradients(self) -> None:
        """Keep unmasked gradients of what comes next, for `gradients`."""
        self._unmasked = {}

    def gradients(self) -> dict[str, Tensor]:
        """Gradients by every weight, kept or not, summed since `record_gradients`; ends recording.

        They are those of this process, before anything averages, scales or clips them.

        Returns:
            Parameter name -> tensor of the weight's shape, for weights that had a gradient. Names
            are those of the plain model.
        """
        recorded, self._unmasked = self._unmasked, None
        return recorded or {}

    def problems(self) -> list[str]:
        """Why the mask was not held, with what to do; empty if all is well."""
        now = {id(parameter) for parameter in self._model.parameters()}
        replaced = [w for w in self._weights if id(w.parameter) not in now]
        there = [w for w in self._weights if id(w.parameter) in now]
        unmoved = [w for w in there if w.parameter.requires_grad and not w.steps]
        violating = [w for w in there if w.violates_mask]
        found = {
            "were replaced by other tensors, which no mask was held in. Use load_state_dict without"
            " assign=True, exchange layers before the mask is held": replaced,
            "were moved by no optimizer. Train the very model that is held, not a copy or one made "
            "in the loop, and give its parameters to an optimizer": unmoved,
            "are no longer held at what the mask says. Something other than an optimizer wrote to "
            "them: load or average weights before the mask is held": violating,
        }
        return [
            f"{format_names([w.name for w in weights])} {what}"
            for what, weights in found.items()
            if weights
        ]

    def _mask_gradient(self, parameter: Tensor) -> None:
        weight, gradient = self._by_id[id(parameter)], parameter.grad
        if gradient is None:
            return
        if self._unmasked is not None:
            before = self._unmasked.get(weight.name)
            self._unmasked[weight.name] = (
                gradient.detach().clone()
                if before is None
                else gradient.detach().where(
                    weight.kept_on(gradient.device) != 0, before + gradient
                )
            )
        weight.mask_gradient(gradient)

    def _after_step(self, optimizer: Optimizer, *_: object) -> None:
        parameters = [id(p) for group in optimizer.param_groups for p in group["params"]]
        if not any(key in self._parameters for key in parameters):
            return
        weights = [self._by_id[key] for key in parameters if key in self._by_id]
        if not self._counts.setdefault(optimizer, 0):
            _check_same_in_all_processes(weights)
        clear_weights(weights)
        clear = type(optimizer) in _STAY_ZERO and optimizer in self._clear_ones
        if not (clear and all(weight.leaves_state_clear for weight in weights)):
            self._clear_state(optimizer)
        # A fused optimizer is called although its gradients overflowed, and leaves the step out.
        overflowed = getattr(optimizer, "found_inf", None)
        if overflowed is not None and bool(overflowed):
            return
        self._count(optimizer, weights)

    def _count(self, optimizer: Optimizer, weights: Iterable[MaskedWeight]) -> None:
        self._counts[optimizer] += 1
        for weight in weights:
            weight.steps += 1
        before, self.steps = self.steps, min((w.steps for w in self._weights), default=0)
        # Muon moves matrices and AdamW the rest: the state of step k is that after both.
        if self.steps in self._at and (
            self.steps > before or self._counts[optimizer] == self.steps
        ):
            self._at[self.steps]()

    def _clear(self) -> None:
        """Clear what is pruned everywhere that is known of."""
        clear_weights(self._weights)
        for weight in self._weights:
            if weight.parameter.grad is not None:
                weight.mask_gradient(weight.parameter.grad)
        for optimizer in list(self._counts):
            self._clear_state(optimizer)

    def _clear_state(self, optimizer: Optimizer) -> None:
        if isinstance(optimizer, LBFGS):
            self._clear_history(optimizer)
            return
        if optimizer not in self._clear_ones:
            self._clear_ones.add(optimizer)
            loaded = optimizer.register_load_state_dict_post_hook(self._clear_ones.discard)
            self._handles.append(loaded)
        tensors, weights = [], []
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                weight = self._by_id.get(id(parameter))
                if weight is None:
                    continue
                for key, value in optimizer.state.get(parameter, {}).items():
                    if not _is_like(value, parameter):
                        continue
                    first = float(group.get(_FIRST_STATE.get(key, ""), 0.0))
                    if first:
                        value.masked_fill_(weight.pruned_on(value.device), first)
                    else:
                        tensors.append(value)
                        weights.append(weight)
        clear_entries(tensors, weights)

    def _clear_history(self, optimizer: LBFGS) -> None:
        """Clear the vectors that L-BFGS keeps, each over all its parameters."""
        parameters = optimizer.param_groups[0]["params"]
        kept = torch.cat(
            [
                self._by_id[id(p)].kept_on(p.device).flatten().bool()
                if id(p) in self._by_id
                else torch.ones(p.numel(), dtype=torch.bool, device=p.device)
                for p in parameters
            ]
        )
        for value in optimizer.state.get(parameters[0], {}).values():
            for vector in value if isinstance(value, list) else [value]:
                if isinstance(vector, Tensor) and vector.shape == kept.shape:
                    vector.masked_fill_(~kept, 0.0)


def _after_any_step(optimizer: Optimizer, *_: object) -> None:
    for one in _holds:
        one._after_step(optimizer)


def _add(one: Hold) -> None:
    global _holds, _hooked
    with _lock:
        if not _hooked:
            # Once and for ever: torch iterates over its hooks while other threads take steps.
            register_optimizer_step_post_hook(_after_any_step)
            _hooked = True
        _holds = (*_holds, one)


def _remove(one: Hold) -> None:
    global _holds
    with _lock:
        _holds = tuple(other for other in _holds if other is not one)


def _hook(parameter: nn.Parameter, owner: ReferenceType[Hold]) -> RemovableHandle:
    """Have a weight's gradients masked whenever they come, also if it is frozen until later.

    Torch's side of a hook is out of the garbage collector's sight, hence the weak reference.
    """

    def mask_gradient(parameter: Tensor) -> None:
        one = owner()
        if one is not None:
            one._mask_gradient(parameter)

    trained = parameter.requires_grad
    handle: RemovableHandle = parameter.requires_grad_().register_post_accumulate_grad_hook(
        mask_gradient
    )
    parameter.requires_grad_(trained)
    return handle


def _is_like(value: object, parameter: Tensor) -> bool:
    """Whether a value of an optimizer's state has an entry for each of the parameter's."""
    return (
        isinstance(value, Tensor) and value.shape == parameter.shape and value.is_floating_point()
    )


def _check_same_in_all_processes(weights: Iterable[MaskedWeight]) -> None:
    """Check that no other process gave gradients to what is pruned here.

    Raises:
        MaskError: one did, so that its mask is another.
    """
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return
    for weight in weights:
        gradient = weight.parameter.grad
        if gradient is None:
            continue
        pruned = weight.pruned_on(gradient.device)
        if bool((pruned & (gradient != 0)).any()):
            raise MaskError(
                f"other processes gave gradients to pruned weights of '{weight.name}': every "
                "process must hold the same mask. Make it from the same weights, or send it to all "
                "of them with torch.distributed.broadcast"
            )
