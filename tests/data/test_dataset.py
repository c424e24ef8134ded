"""The dataset as a value."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

from lottery.data import AugmentationConfig, Dataset, Split, SplitName, steps_per_epoch
from lottery.errors import DataError
from lottery.rng import Streams


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
    )


def stored_as(dataset: Dataset, dtype: torch.dtype) -> Dataset:
    def split(old: Split) -> Split:
        return Split(old.inputs.to(dtype), old.targets)

    return replace(
        dataset,
        train=split(dataset.train),
        validation=split(dataset.validation),
        test=split(dataset.test),
    )


def test_splits_by_name(dataset: Dataset) -> None:
    assert dataset.split("validation") is dataset.validation
    assert dataset.input_shape == (1, 2, 2)


def test_to_where_they_are_copies_nothing(dataset: Dataset) -> None:
    assert dataset.to("cpu").train.inputs is dataset.train.inputs


def test_to_leaves_mapped_inputs_where_they_are(dataset: Dataset) -> None:
    mapped = replace(dataset, train=replace(dataset.train, mapped=True)).to("meta")

    assert mapped.train.inputs.device.type == "cpu"
    assert mapped.train.targets.device.type == "meta"
    assert mapped.test.inputs.device.type == "meta"
    # A batch of them goes to the device.
    assert mapped.batch("train", slice(0, 2))[0].device.type == "meta"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8])
def test_fingerprint_sees_every_value_and_every_boundary(
    dataset: Dataset, dtype: torch.dtype
) -> None:
    one = stored_as(dataset, dtype)
    changed = one.test.inputs.clone()
    changed[-1, 0, 1, 1] += 1
    swapped = replace(one, validation=one.test, test=one.validation)

    others = [
        replace(one, test=Split(changed, one.test.targets)),
        swapped,
        replace(one, mean=(0.5,)),
        replace(one, deviation=(0.5,)),
    ]

    assert stored_as(dataset, dtype).fingerprint() == one.fingerprint()
    assert one.fingerprint() not in [other.fingerprint() for other in others]


def test_fingerprint_does_not_depend_on_the_layout_in_memory(dataset: Dataset) -> None:
    inputs = dataset.train.inputs
    strided = inputs.transpose(2, 3).contiguous().transpose(2, 3)

    other = replace(dataset, train=Split(strided, dataset.train.targets))

    assert other.fingerprint() == dataset.fingerprint()


@pytest.mark.parametrize(("examples", "size", "steps"), [(6, 2, 3), (7, 2, 4), (1, 60, 1)])
def test_steps_per_epoch(examples: int, size: int, steps: int) -> None:
    assert steps_per_epoch(examples, size) == steps


def images(channels: int = 3, size: int = 8) -> Dataset:
    """Random bytes, with a mean and deviation for each channel."""
    generator = torch.Generator().manual_seed(channels)

    def split(count: int) -> Split:
        shape = (count, channels, size, size)
        pixels = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        return Split(pixels, torch.arange(count) % 3)

    return Dataset(
        name="images",
        train=split(20),
        validation=split(6),
        test=split(7),
        classes=3,
        mean=(0.4914, 0.4822, 0.4465)[:channels],
        deviation=(0.2470, 0.2435, 0.2616)[:channels],
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_batch_is_what_is_stored_normalized(split: SplitName, dtype: torch.dtype) -> None:
    data, chosen = images(), torch.tensor([3, 0, 3, 5])

    inputs, targets = data.batch(split, chosen, dtype)

    assert inputs.dtype == dtype
    whole = data.normalized(data.split(split).inputs, dtype)
    assert torch.equal(inputs, whole[chosen])
    assert torch.equal(targets, data.split(split).targets[chosen])
    sliced, _ = data.batch(split, slice(2, 5), dtype)
    assert torch.equal(sliced, whole[2:5])


def test_batches_leave_what_is_stored_as_it_is() -> None:
    data = replace(images(), augmentation=AugmentationConfig(flip=True, crop_padding=2))
    before = data.fingerprint()

    data.training_batch(torch.arange(20), Streams(0, 0), 3)[0].zero_()
    data.batch("test", slice(0, 7))[0].zero_()

    assert data.fingerprint() == before


def test_without_augmentation_a_training_batch_is_a_batch() -> None:
    data, chosen = images(), torch.tensor([1, 7])

    one, two = data.training_batch(chosen, Streams(0, 0), 0)[0], data.batch("train", chosen)[0]

    assert torch.equal(one, two)


class TestAugmentedBatches:
    data = replace(images(), augmentation=AugmentationConfig(flip=True, crop_padding=2))
    chosen = torch.arange(20)

    def inputs(self, iteration: int, seed: int = 0, replicate: int = 0) -> torch.Tensor:
        streams = Streams(seed, replicate)
        return self.data.training_batch(self.chosen, streams, iteration)[0]

    def test_follow_from_seed_replicate_and_iteration_alone(self) -> None:
        torch.manual_seed(1)
        first = self.inputs(7)
        self.inputs(8)
        torch.manual_seed(2)

        assert torch.equal(self.inputs(7), first)
        assert not torch.equal(self.inputs(8), first)
        assert not torch.equal(self.inputs(7, replicate=1), first)
        assert not torch.equal(self.inputs(7, seed=1), first)

    def test_leave_the_global_generator_alone(self) -> None:
        before = torch.random.get_rng_state()

        self.inputs(7)

        assert torch.equal(torch.random.get_rng_state(), before)

    def test_other_splits_and_batches_that_measure_are_not_augmented(self) -> None:
        plain = replace(self.data, augmentation=AugmentationConfig())
        for split in ("train", "validation", "test"):
            chosen = slice(0, 5)
            one, two = (data.batch(split, chosen)[0] for data in (self.data, plain))
            assert torch.equal(one, two)

    def test_golden(self) -> None:
        # A change here changes the results of every experiment with augmentation.
        data = replace(images(1, 4), augmentation=self.data.augmentation)

        inputs, _ = data.training_batch(torch.arange(8), Streams(3, 1), 12)

        digest = hashlib.sha256(inputs.numpy().tobytes()).hexdigest()
        assert digest[:16] == "9c57148d25e1a444"

    def test_the_same_bytes_in_a_fresh_process(self) -> None:
        code = (
            "import hashlib, torch; from lottery.data import *; from lottery.rng import Streams\n"
            "data = load_dataset(DataConfig(name='mnist-5k', validation=500, augmentation="
            "AugmentationConfig(flip=True, resized_crop=20)))\n"
            "inputs, _ = data.training_batch(torch.arange(60), Streams(0, 0), 99)\n"
            "digest = hashlib.sha256(inputs.numpy().tobytes()).hexdigest()\n"
        )
        environment = {**os.environ, "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"}
        here: dict[str, str] = {}
        exec(code, here)

        printed = subprocess.run(
            [sys.executable, "-c", f"{code}print(digest)"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

        assert printed.strip() == here["digest"]


def test_a_resized_crop_is_the_shape_a_network_sees() -> None:
    data = replace(images(size=8), augmentation=AugmentationConfig(resized_crop=7))

    assert data.input_shape == (3, 7, 7)
    assert data.training_batch(torch.arange(4), Streams(0, 0), 0)[0].shape == (4, 3, 7, 7)
    inputs, _ = data.batch("test", slice(0, 7))
    whole = data.normalized(data.test.inputs)
    assert torch.equal(inputs, whole[..., :7, :7])
    other = replace(data, augmentation=AugmentationConfig(resized_crop=4))
    assert other.batch("test", slice(0, 7))[0].shape == (7, 3, 4, 4)


@pytest.mark.parametrize(("mean", "deviation"), [(0.5, 0.25), ((0.5, 0.5), (0.25,))])
def test_mean_and_deviation_that_do_not_go_together(mean: Any, deviation: Any) -> None:
    with pytest.raises(DataError, match="tuples of one length"):
        replace(images(), mean=mean, deviation=deviation)
