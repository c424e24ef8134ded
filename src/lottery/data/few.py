"""A dataset with few of its test examples, for trying things out."""

from __future__ import annotations

from dataclasses import replace

import torch

from lottery.data.dataset import Dataset, Split

FEW_TESTS = 100
"""How many test examples are left, at most."""


def with_few_tests(dataset: Dataset, name: str) -> Dataset:
    """The same dataset with at most `FEW_TESTS` test examples, under a name that says so.

    They lie evenly apart, so that a test set that is sorted by class keeps many classes. What is
    learned from, and what is held out of it, stays what it is.

    Args:
        dataset: the whole.
        name: of what is returned.
    """
    count = len(dataset.test)
    kept = min(count, FEW_TESTS)
    chosen = (torch.arange(kept) * count) // max(kept, 1)
    test = Split(inputs=dataset.test.inputs[chosen], targets=dataset.test.targets[chosen])
    return replace(dataset, name=name, test=test)
