"""Wide residual networks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from lottery.models.resnet import conv, head
from lottery.models.shapes import check_image


class PreActivationBlock(nn.Module):
    """Two 3x3 convolutions, each after normalization and ReLU, beside a shortcut.

    Where the number of channels changes, the shortcut is a 1x1 convolution of what was normalized
    and activated for the first convolution; elsewhere it is the identity of the input.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = conv(inputs, outputs, 3, stride)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = conv(outputs, outputs, 3)
        self.shortcut: nn.Module | None = None
        if inputs != outputs:
            self.shortcut = nn.Sequential(OrderedDict(conv=conv(inputs, outputs, 1, stride)))

    def forward(self, x: Tensor) -> Tensor:
        """The block's outputs."""
        active = F.relu(self.bn1(x))
        inner: Tensor = self.conv2(F.relu(self.bn2(self.conv1(active))))
        beside: Tensor = x if self.shortcut is None else self.shortcut(active)
        return inner + beside


def wide_resnet(
    input_shape: Sequence[int], classes: int, *, depth: int, width: int
) -> nn.Sequential:
    """A wide residual network for small images (arXiv:1605.07146, table 1, without dropout).

    A 3x3 convolution to 16 channels, three stages of 16, 32 and 64 channels times ``width`` with
    (depth - 4) / 6 blocks each, normalization and ReLU, global average pooling and the output
    layer. Layers are called ``conv1``, ``stage1.0.conv1``, ``stage1.0.shortcut.conv`` and so on.
    WRN-28-10 has 36,479,194 parameters for CIFAR-10.

    Args:
        input_shape: (channels, height, width), at least 4 pixels each way.
        classes: number of outputs (logits).
        depth: 6n + 4, from 10.
        width: the widening factor, 1 or more.

    Raises:
        UsageError: the images are too small, or not images.
    """
    channels, _, _ = check_image(f"wrn-{depth}-{width}", input_shape, least=4)
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv1=conv(channels, 16, 3))
    inputs = 16
    for number in (1, 2, 3):
        outputs = 16 * width * 2 ** (number - 1)
        first = PreActivationBlock(inputs, outputs, min(number, 2))
        rest = (PreActivationBlock(outputs, outputs, 1) for _ in range((depth - 4) // 6 - 1))
        layers[f"stage{number}"] = nn.Sequential(first, *rest)
        inputs = outputs
    layers["bn"] = nn.BatchNorm2d(inputs)
    layers["relu"] = nn.ReLU()
    return nn.Sequential(layers | head(inputs, classes))
