"""Image classifiers of the package transformers."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any, Final

from torch import Tensor, nn

from lottery.errors import UsageError, describe_error
from lottery.integrations.extra import import_extra

_OTHER_INPUTS: Final = ("input_ids", "pixel_attention_mask", "spatial_shapes")
"""Inputs of networks that also learn from text, or from images cut into patches beforehand."""


class Logits(nn.Module):
    """A classifier of transformers as a network that maps images to logits.

    Args:
        network: returns an object with ``logits``.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch of images.

        Raises:
            UsageError: the network gives none.
        """
        outputs: Any = self.network(pixel_values=x)
        logits: Tensor | None = getattr(outputs, "logits", None)
        if logits is None:
            architecture = type(self.network).__name__
            raise UsageError(
                f"{architecture} of transformers gives {type(outputs).__name__} without logits; "
                "choose another architecture, such as hf:vit"
            )
        return logits


def hf_model(name: str, input_shape: Sequence[int], classes: int) -> Logits:
    """An image classifier of transformers with random weights; nothing is downloaded.

    The name is an architecture (``model_type``) with its default settings, but for the number of
    channels, the size of the images and the number of classes. The name of weights on a hub, such
    as ``google/vit-base-patch16-224``, would need a download and is not supported. Parameters are
    called as in transformers, after ``network.``.

    Args:
        name: an architecture of which there is an image classifier, such as ``vit``.
        input_shape: (channels, height, width).
        classes: number of outputs (logits).

    Raises:
        MissingPackageError: transformers is not installed.
        UsageError: the inputs are not images, or not all that the network learns from.
        ValueError: transformers has no such architecture, or no image classifier of it.
    """
    if len(input_shape) != 3:
        raise UsageError(
            f"hf:{name} takes images of shape (channels, height, width), got examples of shape "
            f"{tuple(input_shape)}"
        )
    height, width = input_shape[1:]
    transformers: Any = import_extra(
        "transformers", extra="transformers", what=f"the network hf:{name}"
    )
    default = transformers.AutoConfig.for_model(name)
    settings = _settings(default, input_shape)
    # Of several classifiers the first is taken; without the key, some releases take none.
    config = transformers.AutoConfig.for_model(
        name, num_labels=classes, architectures=[], **settings
    )
    try:
        network = transformers.AutoModelForImageClassification.from_config(config)
    except TypeError as error:
        if height == width:
            raise
        raise UsageError(
            f"hf:{name} takes square images, got {height} x {width} "
            f"({describe_error(error)}); bring them to squares with "
            "data.image_size, or choose another architecture, such as hf:vit"
        ) from error
    takes = signature(network.forward).parameters
    others = [key for key in _OTHER_INPUTS if key in takes]
    if "pixel_values" not in takes or others:
        raise UsageError(
            f"hf:{name} learns from more than images, or from images cut up beforehand: it takes "
            f"{', '.join(others) or 'no pixel_values'}; choose another architecture, such as hf:vit"
        )
    return Logits(network)


def _settings(default: Any, input_shape: Sequence[int]) -> dict[str, Any]:
    """What of an architecture's settings depends on the images: channels and size.

    Some have them in the settings of a part, and some have other names for the channels.
    """
    channels, height, width = input_shape
    found: dict[str, Any] = {}
    for key in ("num_channels", "stem_num_channels"):
        if hasattr(default, key):
            found[key] = channels
    stem = getattr(default, "stem_channels", None)
    if isinstance(stem, (list, tuple)):  # the images' channels and those of two layers
        found["stem_channels"] = [channels, *stem[1:]]
    if hasattr(default, "image_size"):
        as_pair = isinstance(default.image_size, (list, tuple)) or height != width
        found["image_size"] = (height, width) if as_pair else height
    vision = getattr(default, "vision_config", None)
    if vision is not None:
        found["vision_config"] = _settings(vision, input_shape)
    return found
