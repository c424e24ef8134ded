"""Image classifiers of the package transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from lottery.errors import UsageError
from lottery.integrations.extra import import_extra


class Logits(nn.Module):
    """A classifier of transformers as a network that maps images to logits.

    Args:
        network: returns an object with ``logits``.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch of images."""
        logits: Tensor = self.network(pixel_values=x).logits
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
        UsageError: the inputs are not images.
        ValueError: transformers has no such architecture, or no image classifier of it.
    """
    if len(input_shape) != 3:
        raise UsageError(
            f"hf:{name} takes images of shape (channels, height, width), got examples of shape "
            f"{tuple(input_shape)}"
        )
    channels, height, width = input_shape
    transformers: Any = import_extra(
        "transformers", extra="transformers", what=f"the network hf:{name}"
    )
    default = transformers.AutoConfig.for_model(name)
    wanted = {
        "num_channels": channels,
        "image_size": height if height == width else (height, width),
    }
    settings = {key: value for key, value in wanted.items() if hasattr(default, key)}
    config = transformers.AutoConfig.for_model(name, num_labels=classes, **settings)
    return Logits(transformers.AutoModelForImageClassification.from_config(config))
