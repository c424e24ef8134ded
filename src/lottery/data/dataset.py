"""Examples in memory: a dataset is three splits of tensors on one device."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

SplitName = Literal["train", "validation", "test"]
"""The three parts of a dataset."""


@dataclass(frozen=True)
class Split:
    """Examples and their classes, in a fixed order.

    Args:
        inputs: normalized floats, ``[N, *input_shape]``.
        targets: int64 classes, ``[N]``.
    """

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Training, validation and test examples of one task.

    Args:
        name: what it is called in configs and reports.
        train: examples that are learned from.
        validation: examples held out of the training set, for early stopping.
        test: examples that only measure.
        classes: number of classes.
        mean: what was subtracted from every input value (inputs in [0, 1] before).
        deviation: what every input value was then divided by.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    classes: int
    mean: float
    deviation: float

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example, such as ``(1, 28, 28)``."""
        return tuple(self.train.inputs.shape[1:])

    def split(self, name: SplitName) -> Split:
        """One of the three splits, by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> Dataset:
        """The same examples on ``device``, inputs as ``dtype``; no copy where nothing changes."""

        def moved(split: Split) -> Split:
            return Split(split.inputs.to(device, dtype), split.targets.to(device))

        return replace(
            self,
            train=moved(self.train),
            validation=moved(self.validation),
            test=moved(self.test),
        )

    def fingerprint(self) -> str:
        """SHA-256 (hex) of every example's bytes and of the splits' sizes."""
        digest = hashlib.sha256()
        for split in (self.train, self.validation, self.test):
            for tensor in (split.inputs, split.targets):
                digest.update(repr((tuple(tensor.shape), str(tensor.dtype))).encode())
                # As bytes, since numpy has no bfloat16.
                digest.update(tensor.cpu().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Batches in one pass over ``examples``; the last may be smaller.

    >>> steps_per_epoch(55_000, 60)
    917
    """
    return -(-examples // batch_size)
