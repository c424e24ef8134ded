"""Conv-2, Conv-4 and Conv-6: small convolutional networks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from torch import nn

from lottery.models.shapes import check_image

# Channels of the pairs of convolutions; a pooling that halves the image follows each pair.
_PAIRS: Final = (64, 128, 256)
_HIDDEN: Final = 256


def convnet(
    input_shape: Sequence[int], classes: int, *, depth: int, dropout: float = 0.0
) -> nn.Sequential:
    """Conv-2, Conv-4 or Conv-6 of the Lottery Ticket Hypothesis (arXiv:1803.03635, figure 2).

    Pairs of 3x3 convolutions (padding 1, biases, ReLU) of 64, 128 and 256 channels, each pair
    followed by max pooling, then two fully connected layers of 256 units and the output layer:
    ``conv1``, ``conv2``, ..., ``fc1``, ``fc2``, ``output``.

    For 32x32 images in color and 10 classes there are 4,300,992, 2,425,024 and 2,261,184 weights.
    The paper gives 4.3, 2.4 and 1.7 million. The last does not follow from the layers it lists;
    those are what is built.

    Args:
        input_shape: (channels, height, width), at least 2, 4 or 8 pixels each way.
        classes: number of outputs (logits).
        depth: number of convolutions, 2, 4 or 6.
        dropout: share of the units of ``fc1`` and ``fc2`` that a training step leaves out.

    Raises:
        UsageError: the images are too small, or not images.
    """
    pairs = _PAIRS[: depth // 2]
    channels, height, width = check_image(f"conv-{depth}", input_shape, least=2 ** len(pairs))
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, outputs in enumerate((size for size in pairs for _ in range(2)), start=1):
        layers[f"conv{number}"] = nn.Conv2d(channels, outputs, 3, padding=1)
        layers[f"relu{number}"] = nn.ReLU()
        if number % 2 == 0:
            layers[f"pool{number // 2}"] = nn.MaxPool2d(2)
        channels = outputs
    layers["flatten"] = nn.Flatten()
    units = channels * (height >> len(pairs)) * (width >> len(pairs))
    for number in (1, 2):
        layers[f"fc{number}"] = nn.Linear(units, _HIDDEN)
        layers[f"relu{depth + number}"] = nn.ReLU()
        if dropout:
            layers[f"dropout{number}"] = nn.Dropout(dropout)
        units = _HIDDEN
    layers["output"] = nn.Linear(units, classes)
    return nn.Sequential(layers)
