"""Jobs whose parts do not fit: compiled code, which checks no bounds, must never see them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from lottery.data import Dataset
from lottery.errors import MaskError, UsageError
from lottery.testing.samples import tiny_dataset, tiny_job
from lottery.training import State, TrainingJob
from lottery.training.engines.sparse_cpu.training import Training


def without(state: State, name: str) -> State:
    return {key: value for key, value in state.items() if key != name}


def with_a_class(data: Dataset, split: str, target: int) -> Dataset:
    old = getattr(data, split)
    targets = old.targets.clone()
    targets[-1] = target
    return replace(data, **{split: replace(old, targets=targets)})


def with_fewer_inputs(data: Dataset, split: str) -> Dataset:
    old = getattr(data, split)
    return replace(data, **{split: replace(old, inputs=old.inputs[..., :-1])})


CASES: dict[str, tuple[Callable[[TrainingJob], TrainingJob], str]] = {
    "examples of another size": (
        lambda job: replace(job, data=tiny_dataset(input_shape=(13,))),
        "train: an example has 13 values, and the network 12 inputs",
    ),
    "examples of another size in the test": (
        lambda job: replace(job, data=with_fewer_inputs(job.data, "test")),
        "test: an example has 9 values, and the network 12 inputs",
    ),
    "more classes than outputs": (
        lambda job: replace(job, data=with_a_class(job.data, "train", 3)),
        "train: classes go from 0 to 3, and the network has 3 outputs",
    ),
    "more classes in validation": (
        lambda job: replace(job, data=with_a_class(job.data, "validation", 7)),
        "validation: classes go from 0 to 7",
    ),
    "a class below zero": (
        lambda job: replace(job, data=with_a_class(job.data, "test", -1)),
        "test: classes go from -1 to 2",
    ),
    "a start without a bias": (
        lambda job: replace(job, start=without(job.start, "fc2.bias")),
        "'fc2.bias' is missing in the start",
    ),
    "start weights of another shape": (
        lambda job: replace(job, start={**job.start, "fc2.weight": torch.zeros(7, 11)}),
        r"'fc2.weight' has shape \(7, 11\) in the start; the network's has shape \(7, 10\)",
    ),
    "a start bias of another shape": (
        lambda job: replace(job, start={**job.start, "fc1.bias": torch.zeros(1)}),
        r"'fc1.bias' has shape \(1,\) in the start; the network's has shape \(10,\)",
    ),
    "a start before the training": (
        lambda job: replace(job, start_iteration=-1),
        "cannot start at iteration -1: the training has 12",
    ),
    "a start after the training": (
        lambda job: replace(job, start_iteration=13),
        "cannot start at iteration 13: the training has 12",
    ),
}


@pytest.mark.parametrize(("change", "message"), CASES.values(), ids=list(CASES))
def test_what_does_not_fit_is_refused(
    change: Callable[[TrainingJob], TrainingJob], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Training(change(tiny_job()))


def test_a_mask_for_another_network_is_refused() -> None:
    job = tiny_job()

    with pytest.raises(MaskError, match=r"'fc1.weight' is missing from the mask"):
        Training(replace(job, mask=type(job.mask)(without(job.mask, "fc1.weight"))))


def test_what_fits_is_not_refused() -> None:
    Training(tiny_job())
    Training(replace(tiny_job(), start_iteration=12))
