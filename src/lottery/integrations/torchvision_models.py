"""Networks of the package torchvision."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Final

from torch import nn

from lottery.errors import UsageError
from lottery.integrations.extra import import_extra

# These return more than logits while training unless they are told not to, and take long to draw
# weights that are drawn again anyway.
_WITH_AUXILIARY: Final = ("googlenet", "inception_v3")


def torchvision_model(name: str, input_shape: Sequence[int], classes: int) -> nn.Module:
    """A classifier of torchvision with random weights and this many classes.

    torchvision's networks take three channels, and this cannot be changed. Vision Transformers are
    made for this size of image. Auxiliary classifiers are left out.

    Args:
        name: as in ``torchvision.models.list_models(module=torchvision.models)``, such as
            ``resnet18``.
        input_shape: (3, height, width).
        classes: number of outputs (logits).

    Raises:
        MissingPackageError: torchvision is not installed.
        UsageError: it has no such classifier, or the inputs are not images of three channels.
    """
    shown = f"torchvision:{name}"
    models: Any = import_extra(
        "torchvision.models", extra="torchvision", what=f"the network {shown}"
    )
    known = models.list_models(module=models)
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else f". Choices: {', '.join(known)}"
        raise UsageError(f"torchvision has no classifier '{name}'{hint}")
    if len(input_shape) != 3 or input_shape[0] != 3:
        raise UsageError(
            f"{shown} takes images of shape (3, height, width), got examples of shape "
            f"{tuple(input_shape)}"
        )
    _, height, width = input_shape
    settings: dict[str, Any] = {}
    if name in _WITH_AUXILIARY:
        settings = {"aux_logits": False, "init_weights": False}
    elif name.startswith("vit_"):
        if height != width:
            raise UsageError(f"{shown} takes square images, got {height} x {width}")
        settings = {"image_size": height}
    model: nn.Module = models.get_model(name, weights=None, num_classes=classes, **settings)
    return model
