"""From arrays to a dataset: the fixed split into training and validation, mean and deviation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lottery.data.dataset import Dataset, Split
from lottery.data.idx import Bytes
from lottery.data.normalize import PerChannel
from lottery.errors import DataError
from lottery.rng import Streams

Rows = NDArray[np.int64]

_PART = 512
"""Images processed together, which bounds the memory that this takes besides the images."""


@dataclass(frozen=True)
class Examples:
    """Inputs and their classes as they come from a file.

    Args:
        inputs: bytes ``[N, H, W]`` or ``[N, C, H, W]``; or floats or int64 ``[N, ...]``.
        labels: integers ``[N]``.
    """

    inputs: NDArray[Any]
    labels: NDArray[np.integer[Any]]

    def __len__(self) -> int:
        return len(self.labels)

    def split_off(
        self, first: int, *purpose: str, every_class: bool = False
    ) -> tuple[Examples, Examples]:
        """``first`` of the examples, chosen at random but fixed, and the rest.

        Args:
            first: how many.
            purpose: names the random order, see `shuffled_rows`; both parts are in this order.
            every_class: make some `exchanges` so that, if possible, both parts have every class.
        """
        rows = shuffled_rows(len(self), *purpose)
        if every_class:
            for one, other in exchanges(self.labels[rows], first):
                rows[[one, other]] = rows[[other, one]]
        chosen, rest = rows[:first], rows[first:]
        return (
            Examples(self.inputs[chosen], self.labels[chosen]),
            Examples(self.inputs[rest], self.labels[rest]),
        )


def shuffled_rows(count: int, *purpose: str) -> Rows:
    """The fixed random order by which examples are divided into splits, int64 ``[count]``.

    It depends only on ``purpose`` and on the number of examples: neither on an experiment's seed
    nor on its replicate, so every run sees the same split.
    """
    generator = Streams(0, 0).generator("split", *purpose)
    rows: Rows = torch.randperm(count, generator=generator).numpy()
    return rows


def exchanges(labels: NDArray[np.integer[Any]], first: int) -> list[tuple[int, int]]:
    """Which examples to exchange between two parts so that no class is missing without need.

    The rest, which is for training, should have an example of every class, and the first part one
    of every class that has two. Each exchange gives a part an example of a class that it lacks, and
    takes from it one of a class of which it keeps another; so a part that is smaller than the
    number of classes may still lack some. If no class is missing, nothing is exchanged.

    Args:
        labels: of all examples, 0 or more, ``[N]``.
        first: how many of them are the first part.

    Returns:
        Pairs of positions to exchange, one after another: in the first part, and in the rest.

    >>> exchanges(np.array([2, 1, 0, 0, 0, 1]), 2)
    [(0, 2)]
    """
    labels = labels.astype(np.int64)
    classes = int(labels.max(initial=0)) + 1
    parts = slice(None, first), slice(first, None)
    counts = np.stack([np.bincount(labels[part], minlength=classes) for part in parts])
    found = []
    for lacking, least in ((1, 1), (0, 2)):
        for label in np.flatnonzero((counts[lacking] == 0) & (counts.sum(axis=0) >= least)):
            spare = np.flatnonzero(counts[lacking][labels[parts[lacking]]] >= 2)
            if not len(spare):
                break
            given, taken = int(spare[0]), int(np.flatnonzero(labels == label)[0])
            given += lacking * first
            counts[lacking, [label, labels[given]]] += 1, -1
            counts[1 - lacking, [label, labels[given]]] += -1, 1
            labels[[given, taken]] = labels[[taken, given]]
            found.append((min(given, taken), max(given, taken)))
    return found


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation that input values in [0, 1] are standardized with.

    Args:
        mean: of each channel, or one for all; subtracted first.
        deviation: likewise, above 0; then divided by.
    """

    mean: PerChannel
    deviation: PerChannel


def scale_of(images: Bytes) -> Scale:
    """Mean and standard deviation of each channel over all pixels, divided by 255.

    Args:
        images: ``[N, H, W]`` or ``[N, C, H, W]``.

    >>> scale_of(np.array([[[0, 255]]], dtype=np.uint8))
    Scale(mean=(0.5,), deviation=(0.5,))
    """
    channels = images.shape[1] if images.ndim == 4 else 1
    counts = np.zeros((channels, 256), dtype=np.int64)
    for first in range(0, len(images), _PART):
        part = images[first : first + _PART].reshape(-1, channels, images[0].size // channels)
        counts += [np.bincount(part[:, n].ravel(), minlength=256) for n in range(channels)]
    return scale_of_histogram(counts)


def scale_of_histogram(counts: Rows) -> Scale:
    """Mean and standard deviation of each channel, divided by 255.

    Computed from exact integer sums, so neither order nor number of threads matters.

    Args:
        counts: how often each channel has each value, ``[C, 256]``.
    """
    found = []
    for channel in counts.tolist():
        number = sum(channel)
        total = sum(value * count for value, count in enumerate(channel))
        squares = sum(value * value * count for value, count in enumerate(channel))
        variance = (number * squares - total * total) / (number * number)
        found.append((total / number / 255, float(np.sqrt(variance)) / 255))
    return Scale(tuple(mean for mean, _ in found), tuple(deviation for _, deviation in found))


def as_split(examples: Examples) -> Split:
    """A copy as tensors: bytes ``[N, C, H, W]``, other inputs as they are, and int64 targets."""
    inputs = torch.from_numpy(np.array(examples.inputs, order="C"))
    if inputs.dtype == torch.uint8 and inputs.dim() == 3:
        inputs = inputs.unsqueeze(1)
    return Split(inputs, torch.from_numpy(examples.labels.astype(np.int64)))


def assemble(
    name: str,
    training: Examples,
    test: Examples,
    *,
    validation: int,
    classes: int,
    scale: Scale | None,
    stream: str = "",
    held_out: Examples | None = None,
    notes: tuple[str, ...] = (),
) -> Dataset:
    """Make a dataset, with ``validation`` of the training examples held out if none are yet.

    Args:
        name: the dataset's name in configs and reports.
        training: training examples, of which some may be held out.
        test: test examples.
        validation: how many to hold out, 1 or more.
        classes: number of classes.
        scale: mean and deviation; None computes those of bytes from the examples that remain for
            training, and leaves other inputs as they are.
        stream: names the random order, see `shuffled_rows`; by default the dataset's name.
        held_out: the validation examples, if there are any already.
        notes: see `Dataset`.

    Raises:
        DataError: nothing would remain to learn from, or every pixel has the same value.
    """
    train = training
    if held_out is None:
        check_validation(name, validation, len(training))
        held_out, train = training.split_off(
            validation, stream or name, "validation", every_class=True
        )
    if scale is None:
        is_bytes = training.inputs.dtype == np.uint8
        scale = scale_of(train.inputs) if is_bytes else Scale((0.0,), (1.0,))
    check_scale(name, scale)
    return Dataset(
        name=name,
        train=as_split(train),
        validation=as_split(held_out),
        test=as_split(test),
        classes=classes,
        mean=scale.mean,
        deviation=scale.deviation,
        notes=notes,
    )


def check_validation(name: str, validation: int, training: int) -> None:
    """Check that ``validation`` of ``training`` examples can be held out.

    Raises:
        DataError: nothing would remain to learn from.
    """
    if not 1 <= validation < training:
        raise DataError(
            f"{name}: cannot hold {validation:,} examples out for validation, for there are "
            f"{training:,} training examples and at least 1 must remain. "
            f"Set data.validation to at least 1 and at most {training - 1:,}."
        )


def check_scale(name: str, scale: Scale) -> None:
    """Check that the deviation of every channel is above 0, so that images can be divided by it.

    Raises:
        DataError: every pixel, of some channel, has the same value.
    """
    if not all(deviation > 0 for deviation in scale.deviation):
        raise DataError(
            f"{name}: expected images that differ, but every pixel of the training images has the "
            "same value, in one channel at least. Check the files."
        )
