"""Arrays of different lengths, such as the weights of all layers, in one value.

With a tuple of arrays, numba would compile everything again for each number of layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lottery.training.engines.sparse_cpu.compiled import compiled

_CACHE_LINE = 64


class Ragged(NamedTuple):
    """Arrays one after the other; each starts on a cache line, so that no vector lies across two.

    Args:
        numbers: all of them, ``[n]``.
        starts: where each begins, int64 ``[arrays]``.
        lengths: int64 ``[arrays]``.
    """

    numbers: NDArray[Any]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]


def ragged(arrays: Sequence[NDArray[Any]]) -> Ragged:
    """Copies of flat arrays of one dtype."""
    made = empty_ragged([array.size for array in arrays], arrays[0].dtype)
    for place, array in zip(arrays_of(made), arrays, strict=True):
        place[:] = array
    return made


def empty_ragged(lengths: Sequence[int], dtype: np.dtype[Any]) -> Ragged:
    """Arrays of zeros."""
    line = _CACHE_LINE // dtype.itemsize
    rounded = [-(-length // line) * line for length in lengths]
    ends = np.cumsum(rounded, dtype=np.int64)
    return Ragged(
        numbers=aligned(int(ends[-1]), dtype),
        starts=ends - rounded,
        lengths=np.array(lengths, np.int64),
    )


def arrays_of(made: Ragged) -> list[NDArray[Any]]:
    """Views of the arrays."""
    places = zip(made.starts, made.lengths, strict=True)
    return [made.numbers[start : start + length] for start, length in places]


@compiled
def array_at(made: Ragged, number: int) -> NDArray[Any]:
    """One of the arrays, in compiled code."""
    start = made.starts[number]
    return made.numbers[start : start + made.lengths[number]]


def aligned(shape: int | tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array of zeros that starts on a cache line."""
    shape = (shape,) if isinstance(shape, int) else shape
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.zeros(size + _CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % _CACHE_LINE
    return raw[start : start + size].view(dtype).reshape(shape)
