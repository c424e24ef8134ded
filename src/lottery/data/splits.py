"""From bytes to a dataset: the fixed split into training and validation, and standardization."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from lottery.data.dataset import Dataset, Split
from lottery.data.idx import Bytes
from lottery.errors import DataError
from lottery.rng import Streams

Rows = NDArray[np.int64]

_PART = 512
"""Images looked at together; bounds the memory this takes beside the images."""


@dataclass(frozen=True)
class Examples:
    """Images and their classes as they come from a file.

    Args:
        images: ``[N, H, W]``.
        labels: ``[N]``.
        rows: which of them, in which order, int64; all of them if left out. They are not copied,
            so that a dataset being loaded takes little more memory than it does afterwards.
    """

    images: Bytes
    labels: Bytes
    rows: Rows | None = None

    def __len__(self) -> int:
        return len(self.labels if self.rows is None else self.rows)

    def parts(self) -> Iterator[Bytes]:
        """The images, in order, some thousands at a time."""
        for first in range(0, len(self), _PART):
            part = slice(first, first + _PART)
            yield self.images[part] if self.rows is None else self.images[self.rows[part]]

    def chosen_labels(self) -> Bytes:
        """The labels, in order."""
        return self.labels if self.rows is None else self.labels[self.rows]

    def parted(self, first: int, *purpose: str) -> tuple[Examples, Examples]:
        """A random ``first`` of the examples, and the rest, both in shuffled order.

        The shuffle depends on ``purpose`` and on how many examples there are, and on nothing else:
        neither on an experiment's seed nor on its replicate, so every run sees the same split. A
        larger ``first`` holds every example of a smaller one.
        """
        generator = Streams(0, 0).generator("split", *purpose)
        rows = torch.randperm(len(self), generator=generator).numpy()
        rows = rows if self.rows is None else self.rows[rows]
        return replace(self, rows=rows[:first]), replace(self, rows=rows[first:])


@dataclass(frozen=True)
class Scale:
    """What input values in [0, 1] are standardized with.

    Args:
        mean: subtracted first.
        deviation: divided by then, above 0.
    """

    mean: float
    deviation: float


def scale_of(parts: Iterable[Bytes]) -> Scale:
    """Mean and standard deviation over all pixels, in units of a full 255.

    From exact integer sums, so neither the order nor the number of threads matters.

    >>> scale_of([np.array([[[0, 255]]], dtype=np.uint8)])
    Scale(mean=0.5, deviation=0.5)
    """
    counts = np.zeros(256, dtype=np.int64)
    for images in parts:
        counts += np.bincount(images.reshape(-1), minlength=256)
    number = int(counts.sum())
    total = sum(value * int(count) for value, count in enumerate(counts))
    squares = sum(value * value * int(count) for value, count in enumerate(counts))
    variance = (number * squares - total * total) / (number * number)
    return Scale(total / number / 255, float(np.sqrt(variance)) / 255)


def standardized(examples: Examples, scale: Scale) -> Split:
    """Images as float32 ``[N, 1, H, W]``, ``(x / 255 - mean) / deviation``, and int64 labels.

    The one float copy is changed in place, so that a dataset's peak in memory is its size.
    """
    inputs = torch.empty(len(examples), 1, *examples.images.shape[1:])
    for place, images in zip(inputs.split(_PART), examples.parts(), strict=True):
        place.copy_(torch.from_numpy(images).unsqueeze(1))
    inputs.div_(255).sub_(scale.mean).div_(scale.deviation)
    return Split(inputs, torch.from_numpy(examples.chosen_labels()).to(torch.int64))


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
    scale = scale or scale_of(train.parts())
    if not scale.deviation > 0:
        raise DataError(
            f"{name}: expected images that differ, but every pixel of the training images has the "
            "same value. Check the files."
        )

    return Dataset(
        name=name,
        train=standardized(train, scale),
        validation=standardized(held_out, scale),
        test=standardized(test, scale),
        classes=classes,
        mean=scale.mean,
        deviation=scale.deviation,
    )
