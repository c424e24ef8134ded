"""Batches against the rows they are made of."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lottery.data import Dataset, Split
from lottery.data.dataset import SplitName
from lottery.training.engines.sparse_cpu.batches import (
    Batch,
    load_block,
    load_compressed,
    load_lanes,
    make_batch,
    sort_by_input,
)
from lottery.training.engines.sparse_cpu.inputs import Inputs, make_inputs
from lottery.training.engines.sparse_cpu.layers import tiles_of

Array = NDArray[Any]

NAMES: tuple[SplitName, ...] = ("train", "validation", "test")
DTYPES = [torch.float32, torch.float64]
# The last is wide enough for three tiles.
WIDTHS = [
    1,
    15,
    16,
    17,
    95,
    96,
    97,
    256,
    257,
    next(width for width in count(1) if tiles_of(width) == 3),
]
SIZES = [1, 2, 15, 16, 17, 60, 63, 64, 65, 100, 128, 200]

quick = settings(max_examples=60, deadline=None)


def dataset(width: int, *, compressible: bool, seed: int = 0, blank: bool = False) -> Dataset:
    """Examples of which no two are the same; if ``blank``, some are nothing but background."""
    generator = np.random.default_rng(seed)
    background = generator.integers(-9, 9, width) / 4

    def split(examples: int) -> Split:
        if compressible:
            rows = background + generator.integers(1, 200, (examples, width)) / 4
            rows = np.where(generator.random(rows.shape) < 0.7, background, rows)
            rows[:2] = background
            rows[::3] = background if blank else rows[::3]
        else:
            rows = generator.normal(size=(examples, width))
        return Split(torch.from_numpy(rows), torch.from_numpy(generator.integers(0, 7, examples)))

    return Dataset(
        name="made up",
        train=split(300),
        validation=split(130),
        test=split(64),
        classes=7,
    )


def rows_of(data: Dataset, name: SplitName, dtype: torch.dtype) -> Array:
    rows: Array = data.split(name).inputs.to(dtype).numpy()
    return rows


def blocks_for(size: int) -> int:
    return -(-size // 64) * 64


def spoil(batch: Batch) -> None:
    """What an earlier, larger batch might have left."""
    for array in batch:
        array.fill(2**31 if array.dtype.kind in "iu" else np.nan)


@given(
    width=st.sampled_from(WIDTHS),
    size=st.sampled_from(SIZES),
    name=st.sampled_from(NAMES),
    compressible=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 9),
)
@quick
def test_lanes_hold_exactly_the_rows(
    width: int, size: int, name: SplitName, compressible: bool, dtype: torch.dtype, seed: int
) -> None:
    data = dataset(width, compressible=compressible, seed=seed)
    splits = make_inputs(data, dtype)
    inputs, rows = splits[name], rows_of(data, name, dtype)
    batch = make_batch(splits.values(), size, compressed=False)
    spoil(batch)
    examples = np.random.default_rng(seed).integers(0, len(rows), size)

    load_lanes(inputs, examples, batch)

    assert batch.lanes.shape == (blocks_for(size) // 64, width, 64)
    for number, example in enumerate(examples):
        np.testing.assert_array_equal(batch.lanes[number // 64, :, number % 64], rows[example])
    np.testing.assert_array_equal(batch.targets[:size], inputs.targets[examples])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("blank", [False, True])
def test_blocks_hold_exactly_the_rows(width: int, blank: bool, dtype: torch.dtype) -> None:
    data = dataset(width, compressible=True, blank=blank)
    splits = make_inputs(data, dtype)
    batch = make_batch(splits.values(), 64, compressed=False)
    for name in NAMES[1:]:
        rows = rows_of(data, name, dtype)
        # There is no check of bounds: what is not compressed would be read beyond its end.
        assert len(splits[name].block_starts)
        for block in range(-(-len(rows) // 64)):
            spoil(batch)
            load_block(splits[name], block, batch)
            expected = rows[block * 64 : block * 64 + 64]
            np.testing.assert_array_equal(batch.lanes[0, :, : len(expected)], expected.T)
            targets = splits[name].targets[block * 64 : block * 64 + 64]
            np.testing.assert_array_equal(batch.targets[: len(expected)], targets)


def differences(inputs: Inputs, rows: Array) -> Array:
    """From the background; what equals it differs by nothing."""
    return np.where(rows != inputs.background, rows - inputs.background, 0)


@given(
    width=st.sampled_from(WIDTHS),
    size=st.sampled_from(SIZES),
    name=st.sampled_from(NAMES),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 9),
    blank=st.booleans(),
)
@quick
def test_compressed_rows_are_the_differences_from_the_background(
    width: int, size: int, name: SplitName, dtype: torch.dtype, seed: int, blank: bool
) -> None:
    data = dataset(width, compressible=True, seed=seed, blank=blank)
    splits = make_inputs(data, dtype)
    inputs, rows = splits[name], rows_of(data, name, dtype)
    # As the engine has it: workspace for whole blocks, of which the last may be partly used.
    workspace = blocks_for(size)
    batch = make_batch(splits.values(), workspace, compressed=True)
    spoil(batch)
    batch.starts[0] = 0
    examples = np.random.default_rng(seed).integers(0, len(rows), size)

    load_compressed(inputs, examples, batch)
    sort_by_input(batch, size)

    tiles = (len(batch.starts) - 1) // workspace
    assert tiles == tiles_of(width)
    expected, found = differences(inputs, rows[examples]), np.zeros((size, width), rows.dtype)
    for number in range(size):
        for tile in range(tiles):
            place = number * tiles + tile
            entries = slice(batch.starts[place], batch.starts[place + 1])
            columns = batch.columns[entries].astype(int)
            assert (np.diff(columns) > 0).all()
            assert (columns < (tile + 1) * width // tiles).all()
            assert (columns >= tile * width // tiles).all()
            found[number, columns] = batch.values[entries]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(batch.targets[:size], inputs.targets[examples])

    # By input: each entry once, and the examples in their order.
    turned = np.zeros((width, size), rows.dtype)
    for column in range(width):
        entries = slice(batch.starts_back[column], batch.starts_back[column + 1])
        assert (np.diff(batch.columns_back[entries].astype(int)) > 0).all()
        turned[column, batch.columns_back[entries]] = batch.values_back[entries]
    np.testing.assert_array_equal(turned, expected.T)
    assert batch.starts_back[0] == 0
    assert batch.starts_back[width] == batch.starts[size * tiles] == (expected != 0).sum()


@pytest.mark.parametrize("width", [5, WIDTHS[-1]])
@pytest.mark.parametrize("size", [1, 60, 65])
def test_there_is_room_for_the_fullest_examples_of_any_split(width: int, size: int) -> None:
    """A batch of nothing but the example that has the most entries, wherever it is."""
    for fullest in NAMES:
        data = dataset(width, compressible=True)
        data.split(fullest).inputs[7] = 1000.0
        splits = make_inputs(data, torch.float32)
        batch = make_batch(splits.values(), blocks_for(size), compressed=True)
        load_compressed(splits[fullest], np.full(size, 7), batch)
        sort_by_input(batch, size)
        assert batch.starts_back[width] == size * width <= len(batch.values)


@pytest.mark.parametrize("compressed", [True, False])
def test_arrays_lie_on_cache_lines(compressed: bool) -> None:
    splits = make_inputs(dataset(17, compressible=True), torch.float32)
    batch = make_batch(splits.values(), 128, compressed=compressed)
    for array in (batch.lanes, batch.values, batch.values_back):
        assert not array.size or array.ctypes.data % 64 == 0


@given(
    channels=st.sampled_from([1, 2, 3]),
    width=st.sampled_from([1, 5, 16, 17, 40]),
    size=st.sampled_from(SIZES),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 9),
)
@quick
def test_lanes_hold_what_bytes_stand_for(
    channels: int, width: int, size: int, dtype: torch.dtype, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    shape = (70, channels, width)
    pixels = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    split = Split(pixels, torch.arange(70) % 7)
    data = Dataset(
        name="bytes",
        train=split,
        validation=split,
        test=split,
        classes=7,
        mean=(0.4, 0.5, 0.6)[:channels],
        deviation=(0.2, 0.3, 0.4)[:channels],
    )
    splits = make_inputs(data, dtype)
    rows = data.normalized(pixels, dtype).flatten(1).numpy()
    batch = make_batch(splits.values(), size, compressed=False)
    spoil(batch)
    examples = np.random.default_rng(seed).integers(0, 70, size)

    load_lanes(splits["train"], examples, batch)

    for number, example in enumerate(examples):
        np.testing.assert_array_equal(batch.lanes[number // 64, :, number % 64], rows[example])
