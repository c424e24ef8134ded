"""From bytes to a dataset: the fixed split into training and validation, and standardization."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lottery.data.dataset import Dataset, Split
from lottery.data.idx import Bytes
from lottery.errors import DataError
from lottery.rng import Streams


@dataclass(frozen=True)
class Examples:
    """Images and their classes as they come from a file.

    Args:
        images: ``[N, H, W]``.
        labels: ``[N]``.
    """

    images: Bytes
    labels: Bytes

    def __len__(self) -> int:
        return len(self.labels)

    def parted(self, first: int, *purpose: str) -> tuple[Examples, Examples]:
        """A random ``first`` of the examples, and the rest, both in shuffled order.

        The shuffle depends on ``purpose`` and on how many examples there are, and on nothing else:
        neither on an experiment's seed nor on its replicate, so every run sees the same split. A
        larger ``first`` holds every example of a smaller one.
        """
        generator = Streams(0, 0).generator("split", *purpose)
        order = torch.randperm(len(self), generator=generator).numpy()
        return self._rows(order[:first]), self._rows(order[first:])

    def _rows(self, rows: np.typing.NDArray[np.int64]) -> Examples:
        return Examples(self.images[rows], self.labels[rows])


@dataclass(frozen=True)
class Scale:
    """What input values in [0, 1] are standardized with.

    Args:
        mean: subtracted first.
        deviation: divided by then, above 0.
    """

    mean: float
    deviation: float


def scale_of(images: Bytes) -> Scale:
    """Mean and standard deviation over all pixels, in units of a full 255.

    From exact integer sums, so neither the order nor the number of threads matters.

    >>> scale_of(np.array([[[0, 255]]], dtype=np.uint8))
    Scale(mean=0.5, deviation=0.5)
    """
    counts = np.zeros(256, dtype=np.int64)
    for image in np.array_split(images, -(-len(images) // 4096)):
        counts += np.bincount(image.reshape(-1), minlength=256)
    number = int(counts.sum())
    total = sum(value * int(count) for value, count in enumerate(counts))
    squares = sum(value * value * int(count) for value, count in enumerate(counts))
    variance = (number * squares - total * total) / (number * number)
    return Scale(total / number / 255, float(np.sqrt(variance)) / 255)


def standardized(images: Bytes, scale: Scale) -> Tensor:
    """Images ``[N, H, W]`` as float32 ``[N, 1, H, W]``: ``(x / 255 - mean) / deviation``.

    The one float copy is changed in place, so that a dataset's peak in memory is its size.
    """
    inputs = torch.from_numpy(images).unsqueeze(1).to(torch.float32)
    return inputs.div_(255).sub_(scale.mean).div_(scale.deviation)


def assemble(
    name: str,
    training: Examples,
    test: Examples,
    *,
    validation: int,
    classes: int,
    scale: Scale | None,
    stream: str,
) -> Dataset:
    """Hold ``validation`` of the training examples out and standardize all.

    Args:
        name: the dataset's name in configs and reports.
        training: examples to learn from or to hold out.
        test: examples that only measure.
        validation: how many to hold out, 1 or more.
        classes: number of classes.
        scale: what to standardize with; ``None`` computes it from the examples that remain for
            training.
        stream: names the shuffle, see ``Examples.parted``.

    Raises:
        DataError: nothing would remain to learn from, or every pixel has the same value.
    """
    if not 1 <= validation < len(training):
        raise DataError(
            f"{name}: cannot hold {validation:,} examples out for validation, for there are "
            f"{len(training):,} training examples and at least 1 must remain. "
            f"Set data.validation to at least 1 and at most {len(training) - 1:,}."
        )
    held_out, train = training.parted(validation, stream, "validation")
    scale = scale or scale_of(train.images)
    if not scale.deviation > 0:
        raise DataError(
            f"{name}: expected images that differ, but every pixel of the training images has the "
            "same value. Check the files."
        )

    def split(examples: Examples) -> Split:
        labels = torch.from_numpy(examples.labels).to(torch.int64)
        return Split(standardized(examples.images, scale), labels)

    return Dataset(
        name=name,
        train=split(train),
        validation=split(held_out),
        test=split(test),
        classes=classes,
        mean=scale.mean,
        deviation=scale.deviation,
    )
