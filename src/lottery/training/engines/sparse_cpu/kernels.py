"""The products of sparse and dense matrices that training consists of.

A dense matrix has rows of 64 numbers (`LANES`). A sparse one is in compressed rows: one after the
other, the entries of each row by column, each with its column and its value. Rows are divided into
tiles of columns: the entries of row r in tile t are ``starts[r * tiles + t]`` up to the next start.
The entries of one tile use few rows of the dense matrix, which stay in the fastest cache.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lottery.training.engines.sparse_cpu.compiled import compiled
from lottery.training.engines.sparse_cpu.vectors import (
    add_scaled,
    add_up,
    dot,
    load,
    scaled,
    store,
    store_dots,
)

Floats = NDArray[np.float32] | NDArray[np.float64]
Integers = NDArray[np.int64]
Indices = NDArray[np.uint32]


@compiled
def add_product(
    starts: Integers, columns: Indices, values: Floats, dense: Floats, out: Floats
) -> None:
    """``out += sparse @ dense``.

    Args:
        starts: int64 ``[rows * tiles + 1]``.
        columns: uint32 ``[entries]``.
        values: ``[entries]``.
        dense: ``[columns, 64]``.
        out: ``[rows, 64]``.
    """
    tiles = (len(starts) - 1) // max(1, len(out))
    for tile in range(tiles):
        for row in range(len(out)):
            place = row * tiles + tile
            total = load(out, row)
            for entry in range(starts[place], starts[place + 1]):
                total = add_scaled(total, values[entry], load(dense, columns[entry]))
            store(out, row, total)


@compiled
def products_at(
    starts: Integers, columns: Indices, left: Floats, right: Floats, out: Floats
) -> None:
    """The entries of ``left @ right.T`` at the places of a sparse matrix.

    Args:
        starts: int64 ``[rows * tiles + 1]``.
        columns: uint32 ``[entries]``.
        left: ``[rows, 64]``.
        right: ``[columns, 64]``.
        out: ``[entries]``.
    """
    tiles = (len(starts) - 1) // max(1, len(left))
    for tile in range(tiles):
        for row in range(len(left)):
            place = row * tiles + tile
            first, end = starts[row * tiles], starts[row * tiles + tiles]
            # Groups of 16 are counted from the row's first entry; one belongs to the tile in
            # which it begins.
            entry = first + (starts[place] - first + 15) // 16 * 16
            one = load(left, row)
            while entry < starts[place + 1] and entry + 16 <= end:
                store_dots(out, entry, one, right, columns)
                entry += 16
            if entry < starts[place + 1]:
                while entry < end:
                    out[entry] = dot(one, load(right, columns[entry]))
                    entry += 1


@compiled
def shifted_product(
    starts: Integers,
    columns: Indices,
    values: Floats,
    dense: Floats,
    shift: Floats,
    factors: Floats,
    out: Floats,
) -> None:
    """``out = sparse @ dense + outer(factors, shift)``.

    Args:
        starts: int64 ``[rows + 1]``.
        columns: uint32 ``[entries]``.
        values: ``[entries]``.
        dense: ``[columns, 64]``.
        shift: ``[1, 64]``.
        factors: ``[rows]``.
        out: ``[rows, 64]``.
    """
    one = load(shift, 0)
    for row in range(len(out)):
        total = scaled(factors[row], one)
        for entry in range(starts[row], starts[row + 1]):
            total = add_scaled(total, values[entry], load(dense, columns[entry]))
        store(out, row, total)


@compiled
def add_rows(factors: Floats, dense: Floats, out: Floats) -> None:
    """``out += factors @ dense``.

    Args:
        factors: ``[rows]``.
        dense: ``[rows, 64]``.
        out: ``[1, 64]``.
    """
    total = load(out, 0)
    for row in range(len(factors)):
        total = add_scaled(total, factors[row], load(dense, row))
    store(out, 0, total)


@compiled
def fill_rows(numbers: Floats, out: Floats) -> None:
    """``out[r, :] = numbers[r]``; numbers ``[rows]``, out ``[rows, 64]``."""
    for row in range(len(out)):
        for lane in range(64):
            out[row, lane] = numbers[row]


@compiled
def clear(out: Floats) -> None:
    """``out = 0``, ``[rows, 64]``."""
    for row in range(len(out)):
        for lane in range(64):
            out[row, lane] = 0


@compiled
def copy_rows(rows: Floats, out: Floats) -> None:
    """``out = rows``, both ``[rows, 64]``."""
    for row in range(len(out)):
        store(out, row, load(rows, row))


@compiled
def add_columns(dense: Floats, again: bool, out: Floats) -> None:
    """``out = dense.sum(1)``, or ``out +=`` that if ``again``; dense ``[rows, 64]``."""
    for row in range(len(dense)):
        before = out[row] if again else out.dtype.type(0)
        out[row] = before + add_up(load(dense, row))


@compiled
def transpose(square: Floats, out: Floats) -> None:
    """``out = square.T``, both ``[64, 64]``; in strips, so that both stay in the fastest cache."""
    for left in range(0, 64, 8):
        for row in range(64):
            for column in range(left, left + 8):
                out[row, column] = square[column, row]
