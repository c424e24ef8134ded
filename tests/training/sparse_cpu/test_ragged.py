"""Arrays of different lengths as one value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery.training.engines.sparse_cpu.ragged import (
    aligned,
    array_at,
    arrays_of,
    empty_ragged,
    ragged,
)

CACHE_LINE = 64
DTYPES = [np.float32, np.float64, np.uint8, np.uint32, np.int64]

quick = settings(max_examples=60, deadline=None)


@given(st.lists(st.integers(0, 200), min_size=1, max_size=6), st.sampled_from(DTYPES))
@quick
def test_every_array_comes_back_from_a_place_of_its_own(
    lengths: list[int], dtype: type[np.generic]
) -> None:
    arrays = [np.full(length, number + 1, dtype) for number, length in enumerate(lengths)]

    made = ragged(arrays)

    for number, array in enumerate(arrays):
        for found in (arrays_of(made)[number], array_at(made, number)):
            np.testing.assert_array_equal(found, array, strict=True)
            assert np.shares_memory(found, made.numbers) == bool(array.size)
            assert not array.size or found.ctypes.data % CACHE_LINE == 0
    # Views, not copies: what is written to one is there for the other.
    for number in range(len(arrays)):
        arrays_of(made)[number][:] = 100 + number
    for number, array in enumerate(arrays):
        assert (array_at(made, number) == 100 + number).all()
        assert len(array_at(made, number)) == array.size


def test_a_ragged_array_holds_copies() -> None:
    array = np.arange(5.0)
    made = ragged([array])

    array[:] = -1

    np.testing.assert_array_equal(array_at(made, 0), np.arange(5.0))


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_that_are_to_be_filled_are_zero(dtype: type[np.generic]) -> None:
    made = empty_ragged([3, 0, 70], np.dtype(dtype))

    assert [len(array) for array in arrays_of(made)] == [3, 0, 70]
    assert made.numbers.dtype == dtype
    assert not made.numbers.any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [0, 1, 63, (3, 5), (0, 7, 64), (2, 7, 64)])
def test_aligned_arrays(shape: int | tuple[int, ...], dtype: type[Any]) -> None:
    array = aligned(shape, np.dtype(dtype))

    assert array.shape == ((shape,) if isinstance(shape, int) else shape)
    assert array.dtype == dtype
    # numpy has no address for what is empty.
    assert not array.size or array.ctypes.data % CACHE_LINE == 0
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert not array.any()
