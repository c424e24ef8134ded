"""Networks of the package timm."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from torch import nn

from lottery.errors import UsageError
from lottery.integrations.extra import import_extra


def timm_model(name: str, input_shape: Sequence[int], classes: int) -> nn.Module:
    """A network of timm with random weights, for this number of channels and classes.

    Networks built for one image size, such as Vision Transformers, are built for this one.
    Importing timm imports torchvision, which the extra installs too.

    Args:
        name: as in ``timm.list_models()``, such as ``resnet18``.
        input_shape: (channels, height, width).
        classes: number of outputs (logits).

    Raises:
        MissingPackageError: timm is not installed.
        UsageError: timm has no such network, or the inputs are not images.
    """
    timm: Any = import_extra("timm", extra="timm", what=f"the network timm:{name}")
    if not timm.is_model(name):
        near = get_close_matches(name, timm.list_models(), n=1)
        hint = f"; did you mean '{near[0]}'?" if near else "; timm.list_models() names all"
        raise UsageError(f"timm has no network '{name}'{hint}")
    if len(input_shape) != 3:
        raise UsageError(
            f"timm:{name} takes images of shape (channels, height, width), got examples of shape "
            f"{tuple(input_shape)}"
        )
    channels, height, width = input_shape
    known = timm.get_pretrained_cfg(name)
    fixed = known is not None and known.fixed_input_size
    model: nn.Module = timm.create_model(
        name,
        pretrained=False,
        num_classes=classes,
        in_chans=channels,
        **({"img_size": (height, width)} if fixed else {}),
    )
    return model
