"""Other data of the same kind: examples split anew, training labels drawn at random."""

from __future__ import annotations

from dataclasses import replace

import torch

from lottery.data.dataset import Dataset, Split
from lottery.errors import DataError
from lottery.rng import Streams


def split_anew(dataset: Dataset, number: int) -> Dataset:
    """The same test set, with others of the remaining examples held out for validation.

    As many as before. Inputs are standardized as they were.

    Args:
        dataset: as it is split.
        number: of the split, 1 or more; each is the same in every run.

    Raises:
        DataError: the examples are too many for the memory, and lie in files as they are split.
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
    """Some training examples get labels drawn from all classes alike, so that some keep theirs.

    As in Zhang et al. (2017, arXiv:1611.03530, section 2.2), but of an exact share of the examples.
    Those of a smaller share are among those of a larger, with the same labels. Validation and test
    examples keep theirs.

    Args:
        dataset: as it is labelled.
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
