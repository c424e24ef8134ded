"""Examples in memory: whatever the data, every value comes back; made once and forgotten."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from lottery.data import Dataset, Split
from lottery.data.dataset import SplitName
from lottery.training.engines.sparse_cpu.inputs import Inputs, make_inputs

Array = NDArray[Any]

NAMES: tuple[SplitName, ...] = ("train", "validation", "test")
DTYPES = [torch.float32, torch.float64]
NUMPY = {torch.float32: np.float32, torch.float64: np.float64}

quick = settings(max_examples=60, deadline=None)


def dataset(train: Tensor, validation: Tensor, test: Tensor) -> Dataset:
    def split(inputs: Tensor) -> Split:
        return Split(inputs, torch.arange(len(inputs)) % 3)

    return Dataset(
        name="made up",
        train=split(train),
        validation=split(validation),
        test=split(test),
        classes=3,
    )


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    """Few or many values, of which few or most are a background: of all inputs, or of each one."""
    width = draw(st.integers(1, 40))
    levels = draw(st.sampled_from([1, 2, 5, 256, 257, 10_000]))
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    values = np.unique(generator.normal(size=levels))
    background = values[generator.integers(0, len(values), width)]
    if draw(st.booleans()):
        background[:] = values.min()

    def array_at(examples: int, share: float, shift: float) -> Tensor:
        rows = values[generator.integers(0, len(values), (examples, width))] + shift
        rows = np.where(generator.random(rows.shape) < share, background, rows)
        rows[:, generator.random(width) < draw(st.sampled_from([0.0, 0.3]))] = 0.25
        return torch.from_numpy(rows).to(draw(st.sampled_from(DTYPES)))

    share = draw(st.sampled_from([0.0, 0.3, 0.6, 0.95, 1.0]))
    elsewhere = draw(st.sampled_from([share, 0.0]))
    return dataset(
        array_at(draw(st.integers(1, 200)), share, 0.0),
        array_at(draw(st.integers(1, 130)), elsewhere, draw(st.sampled_from([0.0, -3.0]))),
        array_at(draw(st.integers(1, 130)), elsewhere, draw(st.sampled_from([0.0, 3.0]))),
    )


def rows_of(inputs: Inputs) -> Array:
    """The examples, decoded as plainly as can be."""
    if len(inputs.pixels):
        assert not len(inputs.starts)
        width = inputs.pixels.shape[1] // len(inputs.values)
        channels = np.arange(inputs.pixels.shape[1]) // width
        return np.stack([inputs.values[channels, row] for row in inputs.pixels])
    if not len(inputs.starts):
        return inputs.rows
    rows = np.repeat(inputs.background[None], len(inputs.targets), axis=0)
    for example, row in enumerate(rows):
        entries = slice(inputs.starts[example], inputs.starts[example + 1])
        assert (np.diff(inputs.columns[entries].astype(int)) > 0).all()
        row[inputs.columns[entries]] = inputs.levels[inputs.codes[entries]]
    return rows


def rows_of_blocks(inputs: Inputs) -> Array:
    """The same from the entries by block and input."""
    width = len(inputs.background)
    rows = np.repeat(inputs.background[None], len(inputs.targets), axis=0)
    for place in range(len(inputs.block_starts) - 1):
        block, column = divmod(place, width)
        entries = slice(inputs.block_starts[place], inputs.block_starts[place + 1])
        examples = block * 64 + inputs.block_lanes[entries].astype(int)
        assert (np.diff(examples) > 0).all()
        rows[examples, column] = inputs.levels[inputs.block_codes[entries]]
    return rows


def check(data: Dataset, dtype: torch.dtype) -> bool:
    """Every value comes back exactly; returns whether the examples were compressed."""
    splits = make_inputs(data, dtype)
    for name in NAMES:
        found, expected = splits[name], data.split(name)
        rows = data.normalized(expected.inputs, dtype).flatten(1).numpy()
        np.testing.assert_array_equal(rows_of(found), rows, strict=True)
        np.testing.assert_array_equal(found.targets, expected.targets.numpy(), strict=True)
        assert found.background.shape == (rows.shape[1],)
        assert found.background.dtype == found.levels.dtype == NUMPY[dtype]
        if len(found.starts) and name != "train":
            blocks = -(-len(rows) // 64)
            assert len(found.block_starts) == blocks * rows.shape[1] + 1
            np.testing.assert_array_equal(rows_of_blocks(found), rows)
    assert len({len(inputs.starts) > 0 for inputs in splits.values()}) == 1
    return len(splits["train"].starts) > 0


@given(datasets(), st.sampled_from(DTYPES))
@quick
def test_every_value_comes_back(data: Dataset, dtype: torch.dtype) -> None:
    before = data.fingerprint()

    check(data, dtype)

    assert data.fingerprint() == before


def image_like(examples: int = 30, width: int = 30, kept: int = 10, levels: int = 5) -> Tensor:
    """Zeros, and ``kept`` other values in each example, further to the right in each next one."""
    values = 1 + torch.arange(examples * kept).view(examples, kept) % levels
    places = (torch.arange(examples)[:, None] + torch.arange(kept)) % width
    return torch.zeros(examples, width).scatter_(1, places, values.float())


def test_which_examples_are_compressed() -> None:
    few = image_like(2)

    assert check(dataset(image_like(kept=15), few, few), torch.float32)
    assert not check(dataset(image_like(kept=16), few, few), torch.float32)
    # The share in training decides; other splits may have more.
    assert check(dataset(image_like(), image_like(kept=30), few), torch.float32)
    assert check(dataset(torch.full((30, 30), -0.5), few, few), torch.float32)


@pytest.mark.parametrize("split", NAMES)
def test_no_more_values_than_a_byte_can_tell_apart(split: SplitName) -> None:
    tensors = {name: image_like(100) for name in NAMES}

    tensors[split] = image_like(100, levels=256)
    assert check(dataset(**tensors), torch.float32)
    tensors[split] = image_like(100, levels=257)
    assert not check(dataset(**tensors), torch.float32)


def test_no_more_inputs_than_two_bytes_can_tell_apart() -> None:
    for width, compressed in ((65_535, True), (65_536, False)):
        rows = image_like(3, width, kept=2)
        rows[:, -1] = 3.0
        rows[0, -1] = 0.0
        assert check(dataset(rows, rows, rows), torch.float32) == compressed


def test_many_examples() -> None:
    """More than are looked at together, with the odd one out at the end."""
    rows = image_like(2_345, levels=200)
    rows[-1, -1] = 0.125

    assert check(dataset(rows, rows.flip(0), rows), torch.float32)


def test_what_becomes_the_same_in_single_precision() -> None:
    """Double precision tells more values apart than the training will see."""
    rows = 1.0 + torch.rand(50, 20, dtype=torch.float64) * 1e-9
    rows[:, 0] = torch.linspace(1, 2, 50, dtype=torch.float64)

    assert check(dataset(rows, rows, rows), torch.float32)
    assert not check(dataset(rows.clone(), rows, rows), torch.float64)


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("split", NAMES)
def test_values_that_are_not_finite_come_back(split: SplitName, broken: float) -> None:
    tensors = {name: image_like() for name in NAMES}
    tensors[split][3, 2] = tensors[split][4, 20] = broken

    check(dataset(**tensors), torch.float32)


@pytest.mark.parametrize("dtype", DTYPES)
def test_inputs_are_made_once_for_a_dataset(dtype: torch.dtype) -> None:
    data = dataset(image_like(), image_like(), image_like())

    splits = make_inputs(data, dtype)

    assert make_inputs(data, dtype) is splits
    assert make_inputs(replace(data, name="another name"), dtype) is splits
    other = torch.float64 if dtype == torch.float32 else torch.float32
    assert make_inputs(data, other) is not splits


def test_threads_that_start_together_share_what_one_of_them_makes() -> None:
    data = dataset(image_like(3_000), image_like(), image_like())
    together = threading.Barrier(4)

    def make(_: int) -> Mapping[SplitName, Inputs]:
        together.wait(600)
        return make_inputs(data, torch.float32)

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(make, range(4)))

    assert all(splits is made[0] for splits in made)


@pytest.mark.parametrize("split", NAMES)
@pytest.mark.parametrize("what", ["inputs", "targets"])
def test_another_tensor_makes_another_dataset(split: str, what: str) -> None:
    data = dataset(image_like(), image_like(), image_like())
    splits = make_inputs(data, torch.float32)
    old = getattr(data, split)
    new = {"inputs": old.inputs + 1.0, "targets": 2 - old.targets}[what]
    other = replace(data, **{split: replace(old, **{what: new})})

    check(other, torch.float32)

    assert make_inputs(other, torch.float32) is not splits
    assert make_inputs(data, torch.float32) is splits


@pytest.mark.parametrize("split", NAMES)
def test_examples_that_were_changed_are_seen_as_they_are(split: SplitName) -> None:
    data = dataset(image_like(), image_like(), image_like())
    check(data, torch.float32)

    data.split(split).inputs[3, 7] += 0.5
    check(data, torch.float32)
    data.split(split).targets[5] = 1
    check(data, torch.float32)


def test_tensors_that_do_not_count_their_changes_will_do() -> None:
    with torch.inference_mode():
        data = dataset(image_like(), image_like(), image_like())

    check(data, torch.float32)
    assert make_inputs(data, torch.float32) is make_inputs(data, torch.float32)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(30,), (1, 5, 6)])
def test_inputs_go_with_the_data(
    shape: tuple[int, ...], dtype: torch.dtype, compressed: bool
) -> None:
    """Examples in the engine's form are large, and a test or a notebook uses many datasets."""
    kept = 10 if compressed else 30
    data = dataset(*(image_like(kept=kept).view(30, *shape) for _ in NAMES))
    splits = make_inputs(data, dtype)
    assert bool(len(splits["train"].starts)) == compressed
    splits_of = [data.split(name) for name in NAMES]
    tensors = [weakref.ref(tensor) for s in splits_of for tensor in (s.inputs, s.targets)]
    arrays = [weakref.ref(array) for array in splits["train"]]

    del data, splits_of
    gc.collect()
    np.testing.assert_array_equal(splits["train"].targets, np.arange(30) % 3)
    del splits
    gc.collect()

    assert not [array for array in arrays if array() is not None]
    assert not [tensor for tensor in tensors if tensor() is not None]


@st.composite
def images(draw: st.DrawFn) -> Dataset:
    """Bytes of one channel or three, mostly paper or not, with a scale for each channel or one."""
    channels = draw(st.sampled_from([1, 3]))
    shape = (channels, draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    scales = draw(st.sampled_from([1, channels]))
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    most = draw(st.sampled_from([2, 50, 256]))
    paper = draw(st.sampled_from([0.0, 0.4, 0.8, 1.0]))

    def array_at() -> Tensor:
        pixels = generator.integers(0, most, (draw(st.integers(1, 130)), *shape), dtype=np.uint8)
        pixels[generator.random(pixels.shape) < paper] = 0
        return torch.from_numpy(pixels)

    number = st.floats(0.05, 0.95)
    return replace(
        dataset(array_at(), array_at(), array_at()),
        mean=tuple(draw(number) for _ in range(scales)),
        deviation=tuple(draw(number) for _ in range(scales)),
    )


@given(images(), st.sampled_from(DTYPES))
@quick
def test_every_byte_comes_back_as_what_it_stands_for(data: Dataset, dtype: torch.dtype) -> None:
    check(data, dtype)


def same_inputs(one: Inputs, other: Inputs) -> None:
    for found, expected in zip(one, other, strict=True):
        np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.parametrize("dtype", DTYPES)
def test_bytes_are_compressed_as_the_floats_they_stand_for(dtype: torch.dtype) -> None:
    parts = [image_like(200, levels=200).to(torch.uint8) for _ in NAMES]
    data = replace(dataset(*parts), mean=(0.1307,), deviation=(0.3081,))
    floats = dataset(*(data.normalized(part) for part in parts))

    for name in NAMES:
        found, expected = (make_inputs(each, dtype)[name] for each in (data, floats))
        assert len(found.starts)
        same_inputs(found, expected)


def test_a_scale_that_makes_bytes_equal_is_no_reason_to_tell_them_apart() -> None:
    """Next to a mean of a million the bytes are all one number."""
    parts = [torch.randint(0, 256, (20, 30), dtype=torch.uint8) for _ in NAMES]

    assert check(replace(dataset(*parts), mean=(1e9,)), torch.float32)


@pytest.mark.parametrize("dtype", DTYPES)
def test_bytes_that_are_not_compressed_are_not_copied(dtype: torch.dtype) -> None:
    parts = [torch.randint(0, 256, (40, 3, 4, 4), dtype=torch.uint8) for _ in NAMES]
    data = replace(dataset(*parts), mean=(0.1, 0.2, 0.3), deviation=(0.4, 0.5, 0.6))

    for inputs, part in zip(make_inputs(data, dtype).values(), parts, strict=True):
        assert inputs.rows.size == 0
        assert inputs.pixels.ctypes.data == part.data_ptr()


def test_another_scale_makes_another_dataset() -> None:
    parts = [torch.randint(0, 256, (40, 3), dtype=torch.uint8) for _ in NAMES]
    data = dataset(*parts)
    splits = make_inputs(data, torch.float32)

    other = replace(data, mean=(0.5,))

    assert make_inputs(other, torch.float32) is not splits
    check(other, torch.float32)
    check(replace(data, deviation=(0.5,)), torch.float32)
