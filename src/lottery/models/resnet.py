"""Residual networks: for CIFAR's small images and for ImageNet's."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final

import torch.nn.functional as F
from torch import Tensor, nn

from lottery.models.shapes import check_image


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (arXiv:1512.03385, figure 5, left).

    Where the shape changes, the shortcut is a 1x1 convolution with batch normalization (option B,
    section 4.1); elsewhere it is the identity.
    """

    expansion: Final = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv(inputs, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = _shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """The block's outputs."""
        inner = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(inner)) + self.shortcut(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut (arXiv:1512.03385, figure 5, right).

    The stride is in the 3x3 convolution. The paper has it in the first 1x1 convolution, which then
    never looks at three quarters of its input; nearly every implementation since has moved it. The
    number of parameters is the same.
    """

    expansion: Final = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = self.expansion * width
        self.conv1 = conv(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv(width, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.shortcut = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """The block's outputs."""
        inner = F.relu(self.bn1(self.conv1(x)))
        inner = F.relu(self.bn2(self.conv2(inner)))
        return F.relu(self.bn3(self.conv3(inner)) + self.shortcut(x))


_Block = type[BasicBlock] | type[Bottleneck]

IMAGENET_DEPTHS: Final[Mapping[int, tuple[_Block, tuple[int, ...]]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}
"""Depth -> kind of block and number of blocks in each stage (arXiv:1512.03385, table 1)."""


def cifar_resnet(
    input_shape: Sequence[int], classes: int, *, depth: int, width: int = 1
) -> nn.Sequential:
    """A ResNet for small images (arXiv:1512.03385, section 4.2).

    A 3x3 convolution, then three stages of 16, 32 and 64 channels with (depth - 2) / 6 blocks
    each, the second and third at half the resolution of the stage before; global average pooling;
    the output layer. Unlike in the paper, where the shape changes the shortcut is a 1x1
    convolution with batch normalization, as in the papers on lottery tickets (arXiv:1803.03635,
    section 4). Layers are called ``conv1``, ``stage1.0.conv1``, ``stage2.0.shortcut.conv`` and so
    on.

    What arXiv:1803.03635 calls ResNet-18 is ``depth=20``: 272,474 parameters for CIFAR-10.

    Args:
        input_shape: (channels, height, width), at least 4 pixels each way.
        classes: number of outputs (logits).
        depth: 6n + 2, from 8.
        width: factor by which there are more channels everywhere, 1 or more.

    Raises:
        UsageError: the images are too small, or not images.
    """
    channels, _, _ = check_image(f"resnet-{depth}", input_shape, least=4)
    blocks, inputs = (depth - 2) // 6, 16 * width
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=conv(channels, inputs, 3), bn1=nn.BatchNorm2d(inputs), relu1=nn.ReLU()
    )
    for number in (1, 2, 3):
        outputs = 16 * width * 2 ** (number - 1)
        layers[f"stage{number}"] = _stage(BasicBlock, inputs, outputs, blocks, min(number, 2))
        inputs = outputs
    return nn.Sequential(layers | head(inputs, classes))


def imagenet_resnet(input_shape: Sequence[int], classes: int, *, depth: int) -> nn.Sequential:
    """A ResNet for large images (arXiv:1512.03385, table 1).

    A 7x7 convolution and a max pooling, each halving the image; four stages of which all but the
    first halve it again; global average pooling; the output layer. Shortcuts are 1x1 convolutions
    with batch normalization where the shape changes. In `Bottleneck` the stride is in the 3x3
    convolution. Layers are called as in `cifar_resnet`.

    Args:
        input_shape: (channels, height, width), at least 32 pixels each way; the paper's are 224.
        classes: number of outputs (logits).
        depth: 18, 34, 50, 101 or 152.

    Raises:
        UsageError: the images are too small, or not images.
    """
    channels, _, _ = check_image(f"resnet-{depth}", input_shape, least=32)
    block, counts = IMAGENET_DEPTHS[depth]
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=conv(channels, 64, 7, 2),
        bn1=nn.BatchNorm2d(64),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(3, stride=2, padding=1),
    )
    inputs = 64
    for number, count in enumerate(counts, start=1):
        width = 64 * 2 ** (number - 1)
        layers[f"stage{number}"] = _stage(block, inputs, width, count, min(number, 2))
        inputs = width * block.expansion
    return nn.Sequential(layers | head(inputs, classes))


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias, padded so that only its stride changes the size of the image."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


def head(inputs: int, classes: int) -> OrderedDict[str, nn.Module]:
    """The last layers of a convolutional network: global average pooling and the output layer."""
    return OrderedDict(
        pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), output=nn.Linear(inputs, classes)
    )


def _stage(block: _Block, inputs: int, width: int, count: int, stride: int) -> nn.Sequential:
    first = block(inputs, width, stride)
    return nn.Sequential(
        first, *(block(width * block.expansion, width, 1) for _ in range(count - 1))
    )


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(
        OrderedDict(conv=conv(inputs, outputs, 1, stride), bn=nn.BatchNorm2d(outputs))
    )
