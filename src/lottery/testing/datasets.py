"""The conformance suite of datasets: plain functions that raise AssertionError."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from lottery.data import SPLITS, Dataset, Split
from lottery.testing.expect import expect

DatasetCheck = Callable[[Dataset], None]
"""A check of a dataset; raises AssertionError when something is not as it should be."""

_PART: Final = 1_000
_LARGEST: Final = 10.0
"""The largest mean and deviation of normalized inputs; 1 over this is the least deviation."""


def check_shapes_and_types(dataset: Dataset) -> None:
    """Bytes, floats or token ids of one shape, and as many int64 targets."""
    expect(bool(dataset.name), "the dataset has no name")
    shape = tuple(dataset.train.inputs.shape[1:])
    for name in SPLITS:
        split = dataset.split(name)
        inputs, targets = split.inputs, split.targets
        known = inputs.is_floating_point() or inputs.dtype in (torch.uint8, torch.int64)
        counts = {len(inputs), len(targets), len(split)}
        plain = not inputs.requires_grad and inputs.device == targets.device
        found = tuple(inputs.shape[1:])
        for fine, problem in (
            (known, f"inputs are {inputs.dtype}, expected uint8, floats or int64 token ids"),
            (targets.dtype == torch.int64, f"targets are {targets.dtype}, expected int64"),
            (targets.dim() == 1, f"targets have shape {tuple(targets.shape)}, expected [N]"),
            (len(counts) == 1, f"{len(inputs)} inputs for {len(targets)} targets"),
            (len(targets) > 0, "there are no examples"),
            (len(found) > 0, f"inputs have shape {tuple(inputs.shape)}, expected [N, ...]"),
            (found == shape, f"one example has shape {found}, in training {shape}"),
            (plain, "inputs must be plain data, on the targets' device"),
        ):
            expect(fine, f"{name}: {problem}")


def check_values(dataset: Dataset) -> None:
    """Normalized inputs are finite, with mean and deviation near 0 and 1; targets are classes."""
    expect(dataset.classes >= 2, f"expected two classes or more, got {dataset.classes}")
    mean, deviation = dataset.mean, dataset.deviation
    expect(
        all(map(math.isfinite, (*mean, *deviation))) and all(one > 0 for one in deviation),
        f"expected finite means and deviations above 0, got {mean}, {deviation}",
    )
    channels = tuple(dataset.train.inputs.shape[1:2])
    expect(
        len(mean) == len(deviation) and len(mean) in (1, *channels),
        f"expected one mean and deviation, or one for each channel, got {len(mean)}",
    )
    for name in SPLITS:
        split = dataset.split(name)
        low, high = int(split.targets.min()), int(split.targets.max())
        expect(
            low >= 0 and high < dataset.classes,
            f"{name}: targets span {low} to {high}, expected 0 to {dataset.classes - 1}",
        )
        if split.inputs.dtype == torch.int64:
            expect(int(split.inputs.min()) >= 0, f"{name}: some token ids are below 0")
            continue
        centre, spread = _moments(dataset, split)
        expect(math.isfinite(centre), f"{name}: some inputs are not finite")
        expect(
            abs(centre) <= _LARGEST and 1 / _LARGEST <= spread <= _LARGEST,
            f"{name}: normalized inputs have mean {centre:.4g} and deviation {spread:.4g}, "
            "expected about 0 and 1; are mean and deviation those of the inputs?",
        )


def _moments(dataset: Dataset, split: Split) -> tuple[float, float]:
    """Mean and deviation of what a network sees; not finite where any of it is not."""
    total = squares = 0.0
    for part in split.inputs.split(_PART):
        seen = dataset.normalized(part, torch.float64)
        total += float(seen.sum())
        squares += float(seen.square().sum())
    count = split.inputs.numel()
    return total / count, math.sqrt(max(0.0, squares / count - (total / count) ** 2))


def check_every_class_is_learned(dataset: Dataset) -> None:
    """Every class of validation and test occurs in training."""
    known = set(dataset.train.targets.tolist())
    for name in SPLITS[1:]:
        strange = set(dataset.split(name).targets.tolist()) - known
        expect(not strange, f"{name}: classes {sorted(strange)} do not occur in training")


def check_splits_are_apart(dataset: Dataset) -> None:
    """Validation and test examples are not training examples.

    A few repeated examples are allowed, as real data have them; a tenth of a split is too many.
    """
    learned = _fingerprints(dataset.train)
    for name in SPLITS[1:]:
        held_out = _fingerprints(dataset.split(name))
        repeated = sum(example in learned for example in held_out)
        expect(
            repeated <= 0.1 * len(held_out),
            f"{name}: {repeated} of {len(held_out)} different examples are training examples too",
        )


def _fingerprints(split: Split) -> set[bytes]:
    def content(example: Tensor) -> bytes:
        return hashlib.sha256(example.numpy().tobytes()).digest()

    return {content(example.double()) for example in split.inputs.cpu()}


def check_fingerprint(dataset: Dataset) -> None:
    """The fingerprint is the same for a copy, and another when one value changes."""
    copy = replace(
        dataset,
        train=_copied(dataset.train),
        validation=_copied(dataset.validation),
        test=_copied(dataset.test),
    )
    expect(copy.fingerprint() == dataset.fingerprint(), "a copy has another fingerprint")
    copy.test.inputs.view(-1)[-1] += 1
    expect(
        copy.fingerprint() != dataset.fingerprint(),
        "the last test example changed, but the fingerprint did not",
    )


def _copied(split: Split) -> Split:
    return Split(split.inputs.clone(memory_format=torch.contiguous_format), split.targets.clone())


DATASET_CHECKS: Final[tuple[DatasetCheck, ...]] = (
    check_shapes_and_types,
    check_values,
    check_every_class_is_learned,
    check_splits_are_apart,
    check_fingerprint,
)
"""What every dataset must pass."""
