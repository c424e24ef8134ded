"""Examples as they are stored, and batches of them as a network sees them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import torch
from torch import Tensor

from lottery.data.augment import AugmentationConfig, augment, center_crop
from lottery.data.normalize import PerChannel, normalized
from lottery.errors import DataError
from lottery.rng import Streams

SplitName = Literal["train", "validation", "test"]
"""One of the three parts of a dataset."""

SPLITS: Final[tuple[SplitName, ...]] = ("train", "validation", "test")
"""All of them, in the order in which a fingerprint covers them."""


@dataclass(frozen=True)
class Split:
    """Examples and their classes, in a fixed order.

    Args:
        inputs: as they are stored: uint8 images ``[N, C, H, W]``, floats ``[N, ...]``, or token ids
            ``[N, length]``, int64.
        targets: int64 classes, ``[N]``.
        mapped: whether the inputs are a memory-mapped file: they then stay on disk, and only the
            examples of a batch are read and moved to the device.
    """

    inputs: Tensor
    targets: Tensor
    mapped: bool = False

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Training, validation and test examples of one task.

    A network sees ``(x - mean) / deviation``, where bytes are divided by 255 first. This is
    computed batch by batch, on the device. By default floats are seen as they are.

    Args:
        name: what it is called in configs and reports.
        train: training examples.
        validation: examples held out of the training set, for early stopping.
        test: test examples, used for evaluation alone.
        classes: number of classes.
        mean: of each channel, or one number for all; of bytes after the division by 255.
        deviation: standard deviation of each channel, or one number for all, above 0; likewise.
        augmentation: what is done to training batches.
        variant: how the examples differ from those that the name stands for, in words; empty if
            they do not. It is recorded with a run.
        class_names: name of each class, for messages; empty where classes are only numbers.
        notes: what a user should know about the data before a run, a sentence each without a full
            stop.

    Raises:
        DataError: mean and deviation are not tuples of one length.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    classes: int
    mean: PerChannel = (0.0,)
    deviation: PerChannel = (1.0,)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    variant: str = ""
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        given: tuple[object, object] = (self.mean, self.deviation)
        if not all(isinstance(one, tuple) for one in given) or len(self.mean) != len(
            self.deviation
        ):
            raise DataError(
                f"{self.name}: expected mean and deviation as tuples of one length, such as (0.5,) "
                f"and (0.25,), got {self.mean!r} and {self.deviation!r}. Give one number for each "
                "channel, or one for all."
            )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example as a network sees it, such as ``(1, 28, 28)``."""
        shape = tuple(self.train.inputs.shape[1:])
        size = self.augmentation.resized_crop
        return (*shape[:-2], size, size) if size else shape

    def split(self, name: SplitName) -> Split:
        """One of the three splits, by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    def to(self, device: torch.device | str) -> Dataset:
        """The same examples on ``device``; no copy where they are there already."""

        def moved(split: Split) -> Split:
            inputs = split.inputs if split.mapped else split.inputs.to(device)
            return replace(split, inputs=inputs, targets=split.targets.to(device))

        train, validation, test = map(moved, map(self.split, SPLITS))
        return replace(self, train=train, validation=validation, test=test)

    def normalized(self, inputs: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Stored inputs as a network sees them, see `lottery.data.normalize.normalized`."""
        return normalized(inputs, self.mean, self.deviation, dtype)

    def batch(
        self, name: SplitName, chosen: Tensor | slice, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        """Some examples as a network sees them, never augmented, and their classes.

        Args:
            name: of which split.
            chosen: which examples: int64 indices, or a slice, which is quicker.
            dtype: of the inputs.

        Returns:
            Inputs ``[n, *input_shape]`` and targets ``[n]``, on the device of the targets.
        """
        split = self.split(name)
        inputs = self.normalized(_taken(split, chosen), dtype)
        size = self.augmentation.resized_crop
        return center_crop(inputs, size) if size else inputs, split.targets[chosen]

    def training_batch(
        self, chosen: Tensor, streams: Streams, iteration: int, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        """Some training examples as a network sees them in training, and their classes.

        They are augmented if `augmentation` says so, with random numbers from the stream
        ``("augmentation", iteration)``, so that the batch of an iteration is the same in every
        process, and after any interruption.

        Args:
            chosen: which examples: int64 indices.
            streams: of the replicate.
            iteration: steps done before the one that the batch is for, counted from initialization.
            dtype: of the inputs.

        Returns:
            Inputs ``[n, *input_shape]`` and targets ``[n]``, on the targets' device.
        """
        if not self.augmentation.active:
            return self.batch("train", chosen, dtype)
        inputs = self.normalized(_taken(self.train, chosen), dtype)
        generator = streams.generator("augmentation", iteration)
        return augment(inputs, self.augmentation, generator), self.train.targets[chosen]

    def fingerprint(self) -> str:
        """SHA-256 (hex) of every stored byte, of the splits' sizes, and of mean and deviation."""
        digest = hashlib.sha256(repr((self.mean, self.deviation)).encode())
        for split in map(self.split, SPLITS):
            for tensor in (split.inputs, split.targets):
                digest.update(repr((tuple(tensor.shape), str(tensor.dtype))).encode())
                # As bytes, since numpy has no bfloat16.
                digest.update(tensor.cpu().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()


def _taken(split: Split, chosen: Tensor | slice) -> Tensor:
    """Stored inputs of some examples, on the targets' device."""
    if isinstance(chosen, slice):
        inputs = split.inputs[chosen]
    else:
        inputs = split.inputs.index_select(0, chosen.to(split.inputs.device))
    return inputs.to(split.targets.device)


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Batches in one pass over ``examples``; the last may be smaller.

    >>> steps_per_epoch(55_000, 60)
    917
    """
    return -(-examples // batch_size)
