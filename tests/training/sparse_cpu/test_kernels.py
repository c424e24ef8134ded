"""The sparse kernels against numpy: whole numbers, so that every order of adding is exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lottery.training.engines.sparse_cpu.kernels import (
    add_columns,
    add_product,
    add_rows,
    clear,
    copy_rows,
    fill_rows,
    products_at,
    shifted_product,
    transpose,
)

Array = NDArray[Any]

LANES = 64
UNTOUCHED = 12345.0

quick = settings(max_examples=60, deadline=None)
PRECISIONS: list[type[np.floating[Any]]] = [np.float32, np.float64]
precisions = st.sampled_from(PRECISIONS)
both_precisions = pytest.mark.parametrize("dtype", PRECISIONS)


@dataclass(frozen=True)
class Sparse:
    """A matrix, and the same as the kernels take it."""

    matrix: Array
    starts: NDArray[np.int64]
    columns: NDArray[np.uint32]
    values: Array


def sparse(matrix: Array, tiles: int) -> Sparse:
    """Compressed rows, written as plainly as can be: an entry is what is not zero."""
    rows, width = matrix.shape
    starts, columns, values = [0], [], []
    for row in range(rows):
        for tile in range(tiles):
            for column in range(tile * width // tiles, (tile + 1) * width // tiles):
                if matrix[row, column]:
                    columns.append(column)
                    values.append(matrix[row, column])
            starts.append(len(columns))
    return Sparse(
        matrix=matrix,
        starts=np.array(starts, np.int64),
        # In a longer array, so that a kernel that goes too far finds rows that there are.
        columns=np.array(columns + [0] * 40, np.uint32)[: len(columns)],
        values=np.array(values, matrix.dtype),
    )


def whole_numbers(
    shape: int | tuple[int, ...], dtype: type[np.floating[Any]], seed: int = 0
) -> Array:
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(dtype)


@st.composite
def sparse_matrices(draw: st.DrawFn) -> Sparse:
    """Any number of rows and tiles, with rows and tiles that are empty or full."""
    rows, width = draw(st.integers(0, 70)), draw(st.integers(1, 150))
    matrix = whole_numbers((rows, width), draw(precisions), draw(st.integers(0, 9)))
    density = draw(st.sampled_from([0.0, 0.05, 0.5, 1.0]))
    generator = np.random.default_rng(draw(st.integers(0, 9)))
    kept = generator.random(matrix.shape) < density
    kept &= generator.random((rows, 1)) < draw(st.sampled_from([0.7, 1.0]))
    return sparse(matrix * kept, draw(st.integers(1, 4)))


def with_entries(counts: Sequence[int], dtype: type[np.floating[Any]], tiles: int = 1) -> Sparse:
    """Rows with these numbers of entries, at random places."""
    matrix = np.zeros((len(counts), 40), dtype)
    for row, count in enumerate(counts):
        places = np.random.default_rng(row).permutation(40)[:count]
        matrix[row, places] = 1 + np.arange(count)
    return sparse(matrix, tiles)


def guarded(rows: int, dtype: type[np.floating[Any]]) -> tuple[Array, Array]:
    """Rows of 64 numbers, and the longer array they lie in."""
    longer = np.full((rows + 2, LANES), UNTOUCHED, dtype)
    return longer[1 : rows + 1], longer


def dense_beside(made: Sparse, seed: int = 5) -> Array:
    """A dense matrix that the sparse one can be multiplied with."""
    return whole_numbers((made.matrix.shape[1], LANES), made.matrix.dtype.type, seed)


def check_add_product(made: Sparse) -> None:
    dense = dense_beside(made)
    out, longer = guarded(len(made.matrix), made.matrix.dtype.type)
    out[:] = whole_numbers(out.shape, out.dtype.type, 6)
    expected = out + made.matrix @ dense

    add_product(made.starts, made.columns, made.values, dense, out)

    np.testing.assert_array_equal(out, expected)
    assert (longer[[0, -1]] == UNTOUCHED).all()


def check_products_at(made: Sparse) -> None:
    left, right = (
        whole_numbers((len(made.matrix), LANES), made.matrix.dtype.type),
        dense_beside(made),
    )
    longer = np.full(len(made.values) + 40, UNTOUCHED, made.matrix.dtype)
    out = longer[20 : 20 + len(made.values)]

    products_at(made.starts, made.columns, left, right, out)

    np.testing.assert_array_equal(out, (left @ right.T)[made.matrix != 0])
    assert (longer[:20] == UNTOUCHED).all()
    assert (longer[20 + len(out) :] == UNTOUCHED).all()


def check_shifted_product(made: Sparse) -> None:
    dense, dtype = dense_beside(made), made.matrix.dtype.type
    shift, factors = whole_numbers((1, LANES), dtype, 7), whole_numbers(len(made.matrix), dtype, 8)
    out, longer = guarded(len(made.matrix), dtype)
    out[:] = np.nan

    shifted_product(made.starts, made.columns, made.values, dense, shift, factors, out)

    np.testing.assert_array_equal(out, made.matrix @ dense + np.outer(factors, shift))
    assert (longer[[0, -1]] == UNTOUCHED).all()


@given(sparse_matrices())
@quick
def test_sparse_times_dense_is_added(made: Sparse) -> None:
    check_add_product(made)


@given(sparse_matrices())
@quick
def test_products_at_the_places_of_entries(made: Sparse) -> None:
    check_products_at(made)


@given(sparse_matrices())
@quick
def test_sparse_times_dense_with_a_shift(made: Sparse) -> None:
    check_shifted_product(sparse(made.matrix, 1))


@both_precisions
@pytest.mark.parametrize("tiles", [1, 3])
def test_rows_of_any_number_of_entries(tiles: int, dtype: type[np.floating[Any]]) -> None:
    made = with_entries([0, 1, 15, 16, 17, 33, 0, 2, 32, 31, 40, 0], dtype, tiles)

    check_add_product(made)
    check_products_at(made)
    if tiles == 1:
        check_shifted_product(made)


@both_precisions
def test_a_matrix_without_any_entry(dtype: type[np.floating[Any]]) -> None:
    made = with_entries([0, 0, 0], dtype)

    check_add_product(made)
    check_products_at(made)
    check_shifted_product(made)


@both_precisions
def test_entries_take_rows_of_their_own_columns(dtype: type[np.floating[Any]]) -> None:
    """One entry alone, wherever it is; its row of the dense matrix says which one was taken."""
    dense = np.repeat(np.arange(40, dtype=dtype)[:, None], LANES, axis=1)
    for column in range(40):
        matrix = np.zeros((1, 40), dtype)
        matrix[0, column] = 2
        made, out = sparse(matrix, 3), np.zeros((1, LANES), dtype)
        add_product(made.starts, made.columns, made.values, dense, out)
        assert (out == 2 * column).all()


@both_precisions
@pytest.mark.parametrize("rows", [1, 2, 63, 64, 65])
def test_kernels_on_whole_rows(rows: int, dtype: type[np.floating[Any]]) -> None:
    numbers, dense = whole_numbers(rows, dtype, 1), whole_numbers((rows, LANES), dtype, 2)
    one = whole_numbers((1, LANES), dtype, 3)
    filled, around_filled = guarded(rows, dtype)
    cleared, around_cleared = guarded(rows, dtype)
    copied, around_copied = guarded(rows, dtype)
    total = one.copy()

    fill_rows(numbers, filled)
    clear(cleared)
    copy_rows(dense, copied)
    add_rows(numbers, dense, total)

    np.testing.assert_array_equal(filled, np.repeat(numbers[:, None], LANES, axis=1))
    np.testing.assert_array_equal(cleared, np.zeros((rows, LANES)))
    np.testing.assert_array_equal(copied, dense)
    np.testing.assert_array_equal(total, one + numbers @ dense)
    for longer in (around_filled, around_cleared, around_copied):
        assert (longer[[0, -1]] == UNTOUCHED).all()


@both_precisions
@pytest.mark.parametrize("rows", [1, 7, 64])
def test_sums_of_rows_replace_or_are_added(rows: int, dtype: type[np.floating[Any]]) -> None:
    dense, out = whole_numbers((rows, LANES), dtype), np.full(rows + 1, np.nan, dtype)

    add_columns(dense, False, out[:rows])
    np.testing.assert_array_equal(out[:rows], dense.sum(1))
    add_columns(dense, True, out[:rows])
    np.testing.assert_array_equal(out[:rows], 2 * dense.sum(1))
    assert np.isnan(out[rows])


@both_precisions
def test_transpose(dtype: type[np.floating[Any]]) -> None:
    square = np.arange(LANES * LANES, dtype=dtype).reshape(LANES, LANES)
    out, longer = guarded(LANES, dtype)

    transpose(square, out)

    np.testing.assert_array_equal(out, square.T)
    assert (longer[[0, -1]] == UNTOUCHED).all()
