"""Networks from outside this package: from a function of the user's, or from a library.

A name with a colon is one of these. Building ``package.module:factory`` runs that code: do it only
with a config you trust. Checking a name runs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from lottery.errors import LotteryError, UsageError, describe_error
from lottery.import_paths import imported, is_import_path
from lottery.integrations.hf_models import hf_model
from lottery.integrations.timm_models import timm_model
from lottery.integrations.torchvision_models import torchvision_model

LIBRARIES: Final[Mapping[str, Callable[[str, Sequence[int], int], nn.Module]]] = {
    "timm": timm_model,
    "torchvision": torchvision_model,
    "hf": hf_model,
}
"""Prefix of a network's name, before a colon -> builder of that library's networks, a function of
(name, shape of one input, number of classes)."""

OUTSIDE_FORMS: Final[dict[str, str]] = {
    "package.module:factory": "What factory(input_shape, classes) of an importable module returns; "
    "a config that names code runs that code",
    "timm:NAME": "A network of timm, such as timm:resnet18; needs lottery[timm]",
    "torchvision:NAME": "A classifier of torchvision, such as torchvision:resnet18; needs "
    "lottery[torchvision]",
    "hf:NAME": "An architecture of transformers, such as hf:vit; needs lottery[transformers]",
}
"""Forms of names of networks from outside -> what they stand for."""

_LIBRARY_NAME = re.compile(r"\w[\w-]{0,99}", re.ASCII)


def is_outside(name: str) -> bool:
    """Whether a network is from outside this package, so that building it imports other code."""
    return ":" in name


def check_outside(name: str) -> str | None:
    """What is wrong with the form of such a name, or None; nothing is imported."""
    library, _, rest = name.partition(":")
    if library not in LIBRARIES:
        if is_import_path(name):
            return None
        return (
            f"expected a module and a function in it, such as mynets.small:make_network, "
            f"or {', '.join(f'{known}:NAME' for known in LIBRARIES)}; got '{name}'"
        )
    if _LIBRARY_NAME.fullmatch(rest):
        return None
    found = f"expected a name without '/' and '.' after '{library}:', got '{rest}'"
    if library == "hf" and "/" in rest:
        return (
            f"{found}: weights on a hub would need a download; name an architecture, as in hf:vit"
        )
    return f"{found}; networks have random weights, so no published ones can be named"


def build_outside(name: str, input_shape: Sequence[int], classes: int) -> nn.Module:
    """Build a network from outside; its name has been checked.

    Torch's global CPU generator has the same fixed seed for every build, and is restored after it,
    so that parameters that an initialization does not set (see `lottery.models.INITIALIZATIONS`)
    are the same in every build. Layers that take their shapes from their first input
    (``LazyLinear`` and the like) get them from an example of zeros.

    Raises:
        UsageError: there is no such module or function, it fails, or it returns no network.
        MissingPackageError: the library is not installed.
    """
    library, _, rest = name.partition(":")
    shape = tuple(input_shape)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        try:
            if library in LIBRARIES:
                model: object = LIBRARIES[library](rest, shape, classes)
            else:
                model = _factory(name)(shape, classes)
        except LotteryError:
            raise
        except Exception as error:
            raise UsageError(
                f"{name}: building it for examples of shape {shape} and {classes} classes failed "
                f"with {describe_error(error)}"
            ) from error
        if not isinstance(model, nn.Module):
            raise UsageError(f"{name}: expected it to return a torch.nn.Module, got {_kind(model)}")
        _give_shapes(name, model, shape)
    return model


def _give_shapes(name: str, model: nn.Module, shape: tuple[int, ...]) -> None:
    """Pass an example of zeros through a network that has layers without a shape, as they want."""
    if not _without_shape(model):
        return
    types = [p.dtype for p in model.parameters() if p.is_floating_point()]
    training = [(layer, layer.training) for layer in model.modules()]
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, *shape, dtype=types[0] if types else None))
    except Exception as error:
        raise UsageError(
            f"{name}: {', '.join(_without_shape(model))} have no shape yet, and passing an example "
            f"of shape {shape} to give them one failed with {describe_error(error)}"
        ) from error
    for layer, mode in training:
        layer.training = mode
    if left := _without_shape(model):
        raise UsageError(
            f"{name}: an example of shape {shape} gave no shape to {', '.join(left)}; leave out "
            "what takes no part, or give these layers their sizes"
        )


def _without_shape(model: nn.Module) -> list[str]:
    named = [*model.named_parameters(), *model.named_buffers()]
    return [name for name, value in named if is_lazy(value)]


def _factory(name: str) -> Callable[[Sequence[int], int], object]:
    found = imported("model", name)
    if not callable(found):
        raise UsageError(
            f"{name}: expected a function (input_shape, classes) -> torch.nn.Module, "
            f"got {_kind(found)}"
        )
    return found  # type: ignore[no-any-return]


def _kind(value: object) -> str:
    return "None" if value is None else f"an object of type {type(value).__name__}"
