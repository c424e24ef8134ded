"""VGG networks for small images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final

from torch import nn

from lottery.models.resnet import conv, head
from lottery.models.shapes import check_image

_CHANNELS: Final = (64, 128, 256, 512, 512)

VGG_DEPTHS: Final[Mapping[int, tuple[int, ...]]] = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""Depth -> number of convolutions in each stage (arXiv:1409.1556, table 1)."""


def vgg(input_shape: Sequence[int], classes: int, *, depth: int) -> nn.Sequential:
    """A VGG network with batch normalization, as in the papers on lottery tickets.

    3x3 convolutions of arXiv:1409.1556, table 1, each followed by batch normalization and ReLU;
    max pooling between the stages; then global average pooling and one output layer instead of
    the three large ones (arXiv:1803.03635, section 4). The convolutions have no
    biases, which normalization would take away again. Layers are called ``conv1_1``, ``bn1_1``,
    ..., ``output``. VGG-19 has 20,024,000 weights for CIFAR-10.

    Args:
        input_shape: (channels, height, width), at least 16 pixels each way.
        classes: number of outputs (logits).
        depth: 11, 13, 16 or 19.

    Raises:
        UsageError: the images are too small, or not images.
    """
    inputs, _, _ = check_image(f"vgg-{depth}", input_shape, least=16)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for stage, (outputs, count) in enumerate(zip(_CHANNELS, VGG_DEPTHS[depth], strict=True), 1):
        if stage > 1:
            layers[f"pool{stage - 1}"] = nn.MaxPool2d(2)
        for number in range(1, count + 1):
            layers[f"conv{stage}_{number}"] = conv(inputs, outputs, 3)
            layers[f"bn{stage}_{number}"] = nn.BatchNorm2d(outputs)
            layers[f"relu{stage}_{number}"] = nn.ReLU()
            inputs = outputs
    return nn.Sequential(layers | head(inputs, classes))
