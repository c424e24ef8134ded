"""The vector instructions against numpy: whole numbers, so that every order of adding is exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba.core.errors import TypingError
from numpy.typing import NDArray

from lottery.training.engines.sparse_cpu.compiled import compiled
from lottery.training.engines.sparse_cpu.vectors import (
    LANES,
    add_scaled,
    add_up,
    dot,
    load,
    prefetch,
    scaled,
    store,
    store_dots,
)

Array = NDArray[Any]

both_precisions = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@compiled
def copy_row(array: Array, row: int, out: Array, to: int) -> None:
    store(out, to, load(array, row))


@compiled
def add_scaled_row(array: Array, row: int, factor: float, out: Array) -> None:
    store(out, 0, add_scaled(load(out, 0), out.dtype.type(factor), load(array, row)))


@compiled
def scaled_row(array: Array, row: int, factor: float, out: Array) -> None:
    store(out, 0, scaled(out.dtype.type(factor), load(array, row)))


@compiled
def dot_of_rows(array: Array, left: int, right: int) -> float:
    product: float = dot(load(array, left), load(array, right))
    return product


@compiled
def sum_of_row(array: Array, row: int) -> float:
    total: float = add_up(load(array, row))
    return total


@compiled
def sixteen_dots(out: Array, at: int, array: Array, left: int, rows: NDArray[np.uint32]) -> None:
    store_dots(out, at, load(array, left), array, rows)


@compiled
def prefetch_batch(array: Array, index: int) -> None:
    prefetch(array, index)


def whole_numbers(rows: int, dtype: type[np.floating[Any]], seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(-9, 10, (rows, LANES)).astype(dtype)


@both_precisions
def test_a_row_is_loaded_and_stored_whole_and_alone(dtype: type[np.floating[Any]]) -> None:
    array, out = whole_numbers(5, dtype), np.full((4, LANES), 99, dtype)

    copy_row(array, 3, out, 2)

    np.testing.assert_array_equal(out[2], array[3])
    assert (out[[0, 1, 3]] == 99).all()


@both_precisions
def test_rows_need_not_start_on_a_cache_line(dtype: type[np.floating[Any]]) -> None:
    numbers = whole_numbers(4, dtype).ravel()
    array = numbers[1 : 1 + 2 * LANES].reshape(2, LANES)
    out = np.zeros((1, LANES), dtype)

    copy_row(array, 1, out, 0)

    np.testing.assert_array_equal(out[0], numbers[1 + LANES : 1 + 2 * LANES])


@both_precisions
def test_arithmetic_on_rows(dtype: type[np.floating[Any]]) -> None:
    array = whole_numbers(5, dtype)
    added, product = array[:1].copy(), np.zeros((1, LANES), dtype)

    add_scaled_row(array, 4, -3.0, added)
    scaled_row(array, 2, 2.5, product)

    np.testing.assert_array_equal(added[0], array[0] - 3 * array[4])
    np.testing.assert_array_equal(product[0], dtype(2.5) * array[2])


@both_precisions
def test_a_product_and_a_sum_are_rounded_once(dtype: type[np.floating[Any]]) -> None:
    # (1 + e)² = 1 + 2e + e², whose last part is lost when the product alone is rounded.
    small = {np.float32: 2.0**-12, np.float64: 2.0**-27}[dtype]
    array, out = np.full((1, LANES), 1 + small, dtype), np.full((1, LANES), -1 - 2 * small, dtype)

    add_scaled_row(array, 0, 1 + small, out)

    assert (out == small**2).all()


@both_precisions
def test_sums_over_a_row(dtype: type[np.floating[Any]]) -> None:
    array = whole_numbers(3, dtype)

    assert sum_of_row(array, 1) == array[1].sum()
    assert dot_of_rows(array, 0, 2) == array[0] @ array[2]
    # Every lane counts, and once.
    for lane in range(LANES):
        one = np.zeros((1, LANES), dtype)
        one[0, lane] = 3
        assert sum_of_row(one, 0) == 3
        assert dot_of_rows(one, 0, 0) == 9


@both_precisions
@pytest.mark.parametrize("at", [0, 1, 16, 21])
def test_sixteen_products_lie_in_their_order(at: int, dtype: type[np.floating[Any]]) -> None:
    array, out = whole_numbers(30, dtype), np.full(40, 0.5, dtype)
    rows = np.random.default_rng(1).integers(0, 30, 40).astype(np.uint32)

    sixteen_dots(out, at, array, 7, rows)

    np.testing.assert_array_equal(out[at : at + 16], array[rows[at : at + 16]] @ array[7])
    assert (np.delete(out, slice(at, at + 16)) == 0.5).all()


@both_precisions
def test_sums_are_as_exact_as_their_precision(dtype: type[np.floating[Any]]) -> None:
    array = np.random.default_rng(0).normal(size=(16, LANES)).astype(dtype)
    out = np.zeros(16, dtype)

    sixteen_dots(out, 0, array, 3, np.arange(16, dtype=np.uint32))

    for row in range(16):
        products = array[3].astype(np.longdouble) * array[row]
        tolerance = 8 * float(np.finfo(dtype).eps) * np.abs(products).sum()
        assert abs(out[row] - products.sum()) <= tolerance
        assert abs(dot_of_rows(array, 3, row) - products.sum()) <= tolerance


@both_precisions
def test_announcing_changes_nothing(dtype: type[np.floating[Any]]) -> None:
    array = whole_numbers(1, dtype).ravel()
    before = array.copy()

    prefetch_batch(array, 63)

    np.testing.assert_array_equal(array, before)


def test_rows_that_do_not_lie_one_after_the_other_are_refused() -> None:
    scattered = np.zeros((LANES, LANES), np.float32).T

    with pytest.raises(TypingError, match="rows that lie one after the other"):
        copy_row(scattered, 0, np.zeros((1, LANES), np.float32), 0)
