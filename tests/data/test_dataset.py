"""The dataset as a value."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lottery.data import Dataset, Split, steps_per_epoch


@pytest.fixture
def dataset() -> Dataset:
    def split(count: int) -> Split:
        return Split(torch.arange(count * 4.0).reshape(count, 1, 2, 2), torch.arange(count) % 3)

    return Dataset(
        name="small",
        train=split(6),
        validation=split(4),
        test=split(5),
        classes=3,
        mean=0.0,
        deviation=1.0,
    )


def test_splits_by_name(dataset: Dataset) -> None:
    assert dataset.split("validation") is dataset.validation
    assert dataset.input_shape == (1, 2, 2)


def test_to_changes_the_dtype_of_inputs_alone(dataset: Dataset) -> None:
    moved = dataset.to("cpu", torch.bfloat16)

    assert moved.test.inputs.dtype == torch.bfloat16
    assert moved.test.targets.dtype == torch.int64
    assert dataset.to("cpu").train.inputs is dataset.train.inputs


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fingerprint_sees_every_value_and_every_boundary(
    dataset: Dataset, dtype: torch.dtype
) -> None:
    one = dataset.to("cpu", dtype)
    changed = one.test.inputs.clone()
    changed[-1, 0, 1, 1] += 1
    swapped = replace(one, validation=one.test, test=one.validation)

    others = [replace(one, test=Split(changed, one.test.targets)), swapped]

    assert dataset.to("cpu", dtype).fingerprint() == one.fingerprint()
    assert one.fingerprint() not in [other.fingerprint() for other in others]


def test_fingerprint_does_not_depend_on_the_layout_in_memory(dataset: Dataset) -> None:
    inputs = dataset.train.inputs
    strided = inputs.transpose(2, 3).contiguous().transpose(2, 3)

    other = replace(dataset, train=Split(strided, dataset.train.targets))

    assert other.fingerprint() == dataset.fingerprint()


@pytest.mark.parametrize(("examples", "size", "steps"), [(6, 2, 3), (7, 2, 4), (1, 60, 1)])
def test_steps_per_epoch(examples: int, size: int, steps: int) -> None:
    assert steps_per_epoch(examples, size) == steps
