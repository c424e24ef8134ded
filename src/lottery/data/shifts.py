"""Variants of a dataset: another split into training and validation, random training labels."""

from __future__ import annotations

from dataclasses import replace

import torch

from lottery.data.dataset import Dataset, Split
from lottery.errors import DataError
from lottery.rng import Streams


def split_anew(dataset: Dataset, number: int) -> Dataset:
    """Another random split into training and validation examples; the test set stays the same.

    As many examples are held out as before. Mean and deviation stay as they were.

    Args:
        dataset: the dataset in its own split.
        number: which split, 1 or more; each is the same in every run.

    Raises:
        DataError: the images are a memory-mapped file, whose order is that of its own split.
    """
    train, validation = dataset.train, dataset.validation
    if train.mapped or validation.mapped:
        raise DataError(
            f"{dataset.name}: its images lie in files as they are split, so data.split has no "
            "meaning for it; use 0"
        )
    inputs = torch.cat([validation.inputs, train.inputs])
    targets = torch.cat([validation.targets, train.targets])
    generator = Streams(0, 0).generator("split", "anew", number)
    rows = torch.randperm(len(targets), generator=generator)
    held_out, rest = rows[: len(validation)], rows[len(validation) :]
    return _varied(
        replace(
            dataset,
            train=Split(inputs[rest], targets[rest]),
            validation=Split(inputs[held_out], targets[held_out]),
        ),
        f"examples for training and validation split anew, number {number}",
    )


def with_random_labels(dataset: Dataset, share: float) -> Dataset:
    """Replace the labels of some training examples by labels drawn uniformly from all classes.

    A drawn label may be the one that the example had. As in Zhang et al. (2017, arXiv:1611.03530,
    section 2.2), but for an exact share of the examples. The examples of a smaller share are among
    those of a larger one, with the same labels. Validation and test labels are not changed.

    Args:
        dataset: the dataset with its own labels.
        share: of the training examples, in [0, 1].
    """
    count, streams = len(dataset.train), Streams(0, 0)
    order = torch.randperm(count, generator=streams.generator("random-labels", "examples"))
    chosen = order[: round(share * count)]
    drawn = torch.randint(
        dataset.classes, (count,), generator=streams.generator("random-labels", "labels")
    )
    targets = dataset.train.targets.clone()
    targets[chosen] = drawn[chosen].to(targets)
    return _varied(
        replace(dataset, train=replace(dataset.train, targets=targets)),
        f"{len(chosen):,} of {count:,} training labels drawn at random",
    )


def _varied(dataset: Dataset, how: str) -> Dataset:
    return replace(dataset, variant="; ".join(filter(None, (dataset.variant, how))))
