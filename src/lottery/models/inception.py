"""Inception-v3."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lottery.models.resnet import head
from lottery.models.shapes import check_image

_LEAST = 75  # what leaves one pixel after the last reduction


class Branches(nn.Module):
    """Runs every branch on the same input and joins their channels, in the order given."""

    def __init__(self, **branches: nn.Module) -> None:
        super().__init__()
        for name, branch in branches.items():
            self.add_module(name, branch)

    def forward(self, x: Tensor) -> Tensor:
        """The outputs of all branches, along the channels."""
        return torch.cat([branch(x) for branch in self.children()], dim=1)


class _Conv(NamedTuple):
    """A convolution, followed by batch normalization and ReLU.

    Args:
        outputs: its channels.
        kernel: height and width.
        stride: 2 halves the image.
        padded: whether the image keeps its size but for the stride.
    """

    outputs: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padded: bool = True


def inception_v3(input_shape: Sequence[int], classes: int) -> nn.Sequential:
    """Inception-v3 (arXiv:1512.00567, section 6), with batch normalization.

    In the form of the code that the authors published, which departs from their table 1: the
    fourth convolution is 1x1, pooling instead of a stride follows the fifth, and the first blocks
    keep a branch with a 5x5 kernel. Layers are called ``conv1``, ..., ``conv5`` (the stem),
    ``mixed1.deep.conv2`` and so on (eleven blocks whose branches are joined) and ``output``,
    which follows global average pooling.

    The auxiliary classifier of section 4 is left out: it adds a second loss while training, and
    the weights that serve it alone would compete with the others for being kept. There is no
    dropout before the output layer either. For 1000 classes there are 23,834,568 parameters; the
    auxiliary classifier would add 3,326,696, for 27,161,264.

    Args:
        input_shape: (channels, height, width), at least 75 pixels each way; the paper's are 299.
        classes: number of outputs (logits).

    Raises:
        UsageError: the images are too small, or not images.
    """
    channels, _, _ = check_image("inception-v3", input_shape, least=_LEAST)
    before = (_Conv(32, (3, 3), 2, False), _Conv(32, (3, 3), 1, False), _Conv(64, (3, 3)))
    between = (_Conv(80, (1, 1), 1, False), _Conv(192, (3, 3), 1, False))
    layers = _units(channels, *before)
    layers["pool1"] = nn.MaxPool2d(3, stride=2)
    layers |= _units(64, *between, first=4)
    layers["pool2"] = nn.MaxPool2d(3, stride=2)
    blocks = [
        *(_small(inputs, pooled) for inputs, pooled in ((192, 32), (256, 64), (288, 64))),
        _reduce_small(288),
        *(_factorized(inner) for inner in (128, 160, 160, 192)),
        _reduce_large(768),
        *(_wide(inputs) for inputs in (1280, 2048)),
    ]
    layers |= {f"mixed{number}": block for number, block in enumerate(blocks, start=1)}
    return nn.Sequential(layers | head(2048, classes))


def _small(inputs: int, pooled: int) -> nn.Module:
    """Kernels of 5x5 and twice 3x3 (figures 4 and 5); 224 + ``pooled`` channels."""
    return Branches(
        point=_chain(inputs, _Conv(64)),
        large=_chain(inputs, _Conv(48), _Conv(64, (5, 5))),
        deep=_chain(inputs, _Conv(64), _Conv(96, (3, 3)), _Conv(96, (3, 3))),
        pool=_pooled(inputs, pooled),
    )


def _reduce_small(inputs: int) -> nn.Module:
    """Halves the image beside a pooling (figure 10); 480 channels more."""
    return Branches(
        single=_chain(inputs, _Conv(384, (3, 3), 2, False)),
        deep=_chain(inputs, _Conv(64), _Conv(96, (3, 3)), _Conv(96, (3, 3), 2, False)),
        pool=nn.MaxPool2d(3, stride=2),
    )


def _factorized(inner: int) -> nn.Module:
    """Kernels of 7x7 as 1x7 after 7x1 (figure 6); 768 channels, as many as before."""
    wide, tall = _Conv(inner, (1, 7)), _Conv(inner, (7, 1))
    last_wide, last_tall = _Conv(192, (1, 7)), _Conv(192, (7, 1))
    return Branches(
        point=_chain(768, _Conv(192)),
        single=_chain(768, _Conv(inner), wide, last_tall),
        deep=_chain(768, _Conv(inner), tall, wide, tall, last_wide),
        pool=_pooled(768, 192),
    )


def _reduce_large(inputs: int) -> nn.Module:
    """Halves the image beside a pooling; 512 channels more."""
    return Branches(
        single=_chain(inputs, _Conv(192), _Conv(320, (3, 3), 2, False)),
        deep=_chain(
            inputs,
            _Conv(192),
            _Conv(192, (1, 7)),
            _Conv(192, (7, 1)),
            _Conv(192, (3, 3), 2, False),
        ),
        pool=nn.MaxPool2d(3, stride=2),
    )


def _wide(inputs: int) -> nn.Module:
    """Kernels of 1x3 and 3x1 side by side (figure 7); 2048 channels."""
    single, deep = _chain(inputs, _Conv(384)), _chain(inputs, _Conv(448), _Conv(384, (3, 3)))
    for chain in (single, deep):
        sides = {"wide": _chain(384, _Conv(384, (1, 3))), "tall": _chain(384, _Conv(384, (3, 1)))}
        chain.add_module("split", Branches(**sides))
    return Branches(
        point=_chain(inputs, _Conv(320)), single=single, deep=deep, pool=_pooled(inputs, 192)
    )


def _pooled(inputs: int, outputs: int) -> nn.Sequential:
    """Average pooling that keeps the size of the image, then a 1x1 convolution."""
    pool = nn.AvgPool2d(3, stride=1, padding=1)
    return nn.Sequential(OrderedDict(pool=pool) | _units(inputs, _Conv(outputs)))


def _chain(inputs: int, *convolutions: _Conv) -> nn.Sequential:
    return nn.Sequential(_units(inputs, *convolutions))


def _units(inputs: int, *convolutions: _Conv, first: int = 1) -> OrderedDict[str, nn.Module]:
    """Layers ``convN``, ``bnN``, ``reluN`` for each convolution, numbered from ``first``."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, unit in enumerate(convolutions, start=first):
        height, width = unit.kernel
        padding = (height // 2, width // 2) if unit.padded else 0
        layers[f"conv{number}"] = nn.Conv2d(
            inputs, unit.outputs, unit.kernel, unit.stride, padding, bias=False
        )
        layers[f"bn{number}"] = nn.BatchNorm2d(unit.outputs, eps=1e-3)
        layers[f"relu{number}"] = nn.ReLU()
        inputs = unit.outputs
    return layers
