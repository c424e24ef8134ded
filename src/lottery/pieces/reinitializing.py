"""New initial weights for a model."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from lottery.core import unwrapped
from lottery.errors import UsageError, format_names, unknown_name
from lottery.models import INITIALIZATIONS, Initialization
from lottery.pieces.weights import clear_entries, pruned_entries


def reinitialize(
    model: nn.Module,
    *,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    mask: Mapping[str, Tensor] | None = None,
    initialization: str | Initialization | None = None,
) -> None:
    """Draw new weights, in place: the control that shows whether the initialization matters.

    The same seed gives the same weights on every device, and torch's global generators stay as
    they are. Frozen parameters (``requires_grad`` is False) keep their values; running statistics
    of normalization start anew.

    Args:
        model: the network, wrapped or not.
        seed: the seed of the numbers drawn; either this or ``generator`` is needed.
        generator: a CPU generator to draw from.
        mask: the weights that are kept; pruned ones become zero. None: all are kept.
        initialization: one of `lottery.models.INITIALIZATIONS`, or a function of (model, generator)
            that sets the parameters; it may also draw from torch's global generator, which it finds
            seeded. None: what each layer does when it is made, its ``reset_parameters``.

    Raises:
        UsageError: layers with parameters have no ``reset_parameters``; neither or both of ``seed``
            and ``generator`` are given; there is no such initialization.
        MaskError: the mask does not fit the model.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> reinitialize(model, seed=1, initialization="glorot-normal")
        >>> model.bias.item()
        0.0
    """
    if (seed is None) == (generator is None):
        raise UsageError("reinitialize: expected either seed= or generator=, such as seed=1")
    generator = generator or torch.Generator().manual_seed(int(seed or 0))
    pruned = pruned_entries(model, mask)
    plain = unwrapped(model)
    twin = copy.deepcopy(plain).cpu()
    with torch.random.fork_rng(devices=[]):
        _draw(twin, generator, initialization)
    new = dict(twin.named_parameters())
    for name, parameter in plain.named_parameters():
        if not parameter.requires_grad:
            new[name].data.copy_(parameter)
    plain.load_state_dict(twin.state_dict())
    clear_entries(pruned)


def _draw(
    model: nn.Module, generator: torch.Generator, initialization: str | Initialization | None
) -> None:
    """New values for the parameters that are trained, and for running statistics."""
    if isinstance(initialization, str):
        if initialization not in INITIALIZATIONS:
            raise UsageError(unknown_name("initialization", initialization, INITIALIZATIONS))
        initialization = INITIALIZATIONS[initialization]
    else:
        # What layers do when they are made, and maybe a function of somebody's, draws from it.
        number = torch.randint(2**62, (), generator=generator)
        torch.default_generator.manual_seed(int(number))
    if initialization is None:
        _reset_layers(model)
        return
    initialization(model, generator)
    for layer in model.modules():
        if isinstance(layer, _NormBase) and _trained(layer):
            layer.reset_running_stats()


def _reset_layers(model: nn.Module) -> None:
    lost = []
    for path, layer in _inside_out(model):
        # Of torch's own, attention and Transformer have it as a private method.
        reset = getattr(layer, "reset_parameters", getattr(layer, "_reset_parameters", None))
        if callable(reset) and _trained(layer):
            reset()
        elif reset is None and any(p.requires_grad for p in layer.parameters(recurse=False)):
            lost.append(f"{path or 'the model itself'} ({type(layer).__name__})")
    if lost:
        raise UsageError(
            f"reinitialize: {format_names(lost)} have parameters and no reset_parameters(); give "
            "initialization=, one of "
            f"{', '.join(INITIALIZATIONS)} or a function of (model, generator)"
        )


def _trained(layer: nn.Module) -> bool:
    """Whether a layer is not frozen: some parameter of its own is trained, or it has none."""
    own = [*layer.parameters(recurse=False)]
    return not own or any(parameter.requires_grad for parameter in own)


def _inside_out(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every layer after the layers within it, as they were made; what compiles one is none."""
    layers = dict(model.named_modules())
    order = sorted(layers, key=lambda path: -len(path.split(".")) if path else 1)
    return ((path, layers[path]) for path in order if not hasattr(layers[path], "_orig_mod"))
