"""Which kept weights lie on a path of kept weights from an input to an output.

The others change nothing of what the network computes. Their share is what effective sparsity adds
to sparsity (Vysogorets & Kempe, arXiv:2107.02306, section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from typing_extensions import override

from lottery.core import Mask
from lottery.errors import UsageError
from lottery.experiments import Run
from lottery.models import build_model, check_model, is_outside

_LAYERS: Final = (nn.Linear, nn.Conv2d)
# Each unit goes on alone: the more comes in, the more goes out.
_ALONE: Final = (nn.BatchNorm2d, nn.Tanh, nn.Dropout)
_POOLS: Final = (nn.MaxPool2d,)
_KNOWN: Final = (
    *_LAYERS,
    *_ALONE,
    *_POOLS,
    nn.ReLU,
    nn.Identity,
    nn.Flatten,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
)


def built_in_network(run: Run) -> nn.Module | None:
    """A run's network on the device ``meta``, without values; None if it is not a built-in one.

    A run may be by anyone, so that no code is run that it names.
    """
    model, shape, classes = run.facts.model, run.facts.input_shape, run.facts.classes
    if model is None or shape is None or classes is None or is_outside(model) or check_model(model):
        return None
    with torch.device("meta"):
        return build_model(model, shape, classes)


def effective_mask(network: nn.Module, mask: Mask, input_shape: Sequence[int]) -> Mask:
    """The part of a mask whose weights lie on a path from an input to an output.

    A path runs through kept weights, position by position: a weight of a convolution counts if at
    some place of the image what it reads depends on the input and the output depends on what it
    writes. Biases are no inputs. Every input of the network counts as one, also pixels that are
    always black; of a pooling, every place that it may take.

    For that the network is run once forward and backward in float64, with 1 for each kept weight
    and 0 for the rest, and each activation and gradient replaced by whether it is above 0.

    Args:
        network: made of supported layers, see `check_paths`; may be on the device ``meta``.
        mask: for some or all of its weights; weights that it does not name count as kept.
        input_shape: of one example, such as (1, 28, 28).

    Raises:
        UsageError: the network has a layer that is not supported.
        MaskError: the mask is not for this network.

    >>> network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    >>> first, second = torch.tensor([[1, 1], [0, 1]]), torch.tensor([[1, 0]])
    >>> mask = Mask({"0.weight": first.bool(), "2.weight": second.bool()})
    >>> effective_mask(network, mask, (2,))["0.weight"]
    tensor([[ True,  True],
            [False, False]])
    """
    check_paths(network)
    state = {name: torch.zeros(p.shape).double() for name, p in network.named_parameters()}
    state |= {name: torch.zeros(b.shape).double() for name, b in network.named_buffers()}
    weights = {
        f"{path}.weight" if path else "weight": torch.ones(layer.weight.shape).double()
        for path, layer in network.named_modules()
        if isinstance(layer, _LAYERS)
    }
    mask.check({name: weights[name] for name in mask if name in weights})
    weights |= {name: kept.double() for name, kept in mask.items()}
    inputs = torch.ones(1, *input_shape).double()
    ones = {name: weight.requires_grad_() for name, weight in weights.items()}
    handles = [module.register_forward_hook(_pass_on) for module in network.modules()]
    try:
        output = functional_call(network.eval(), {**state, **ones}, (inputs,))
        output.sum().backward()
    finally:
        for handle in handles:
            handle.remove()
    # A layer that the pass never reaches, or whose outputs nothing reads, has no gradient.
    return Mask(
        {
            name: kept & (torch.zeros_like(kept) if (grad := ones[name].grad) is None else grad > 0)
            for name, kept in mask.items()
        }
    )


def check_paths(network: nn.Module) -> None:
    """Check that paths can be followed through every layer of a network.

    Raises:
        UsageError: it has layers that are not supported, which are named.
    """
    unknown = {
        type(module).__name__
        for module in network.modules()
        if type(module) not in (*_KNOWN, nn.Sequential) and not _is_ours(module)
    }
    if unknown:
        raise UsageError(
            f"paths through {', '.join(sorted(unknown))} are not known here; they are through "
            f"{', '.join(kind.__name__ for kind in _KNOWN)}"
        )


def _is_ours(module: nn.Module) -> bool:
    """Whether it only adds, joins and rectifies what layers inside of it give."""
    return type(module).__module__.startswith("lottery.models.") and any(module.children())


def _pass_on(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """What a layer gives instead: where it is above zero is what can be reached."""
    if isinstance(module, _LAYERS):
        reached: Tensor = _Reached.apply(output)  # type: ignore[no-untyped-call]
        return reached
    if isinstance(module, _ALONE):
        return inputs[0]
    if isinstance(module, nn.MaxPool2d):
        # The gradient of a maximum goes to one place alone.
        return F.avg_pool2d(
            inputs[0], module.kernel_size, module.stride, module.padding, module.ceil_mode
        )
    return output


class _Reached(torch.autograd.Function):
    """Ones where values are above zero, forward and backward, so that nothing grows or dies."""

    @override
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return (values > 0).to(values)

    @override
    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return (gradient > 0).to(gradient)
