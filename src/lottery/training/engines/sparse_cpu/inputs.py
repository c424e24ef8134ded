"""Examples in memory: as they are, or only what differs from a background.

Most pixels of an image of a digit have the value of the paper. Where at least half of all values
are such a background, one value for each input, and no more than 256 values are left, as in images
of 8 bits, the examples are kept as compressed rows of the others: three bytes an entry. Nothing is
lost: every value comes back exactly.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lottery.data import Dataset, Split
from lottery.data.dataset import SplitName
from lottery.training.engines.sparse_cpu.kernels import Floats, Integers
from lottery.training.engines.sparse_cpu.vectors import LANES

Bytes = NDArray[np.uint8]

_MOST = 0.5
"""Share of values that may differ from the background."""

_LEVELS = 256
_PART = 1_000
"""Examples looked at together, which bounds the memory that takes."""


class Inputs(NamedTuple):
    """The examples of one split.

    Args:
        rows: ``[examples, inputs]``, or empty when they are compressed, as follows.
        starts: int64 ``[examples + 1]``: each example's entries.
        columns: uint16 ``[entries]``, the inputs that differ from the background, in order.
        codes: uint8 ``[entries]``, which level each has.
        block_starts: int64 ``[blocks * inputs + 1]``, for validation and test: the same entries by
            block of 64 examples and then by input, so that a block is made in one go.
        block_lanes: uint8 ``[entries]``, their examples within the block.
        block_codes: uint8 ``[entries]``.
        levels: the values there are, ``[256]``.
        background: ``[inputs]``.
        targets: classes, int64 ``[examples]``.
    """

    rows: Floats
    starts: Integers
    columns: NDArray[np.uint16]
    codes: Bytes
    block_starts: Integers
    block_lanes: Bytes
    block_codes: Bytes
    levels: Floats
    background: Floats
    targets: Integers


def make_inputs(data: Dataset, dtype: torch.dtype) -> Mapping[SplitName, Inputs]:
    """All splits of a dataset; made once for all trainings that use it at the same time."""
    tensors = [tensor for name in _NAMES for tensor in vars(data.split(name)).values()]
    key = (dtype, *((id(tensor), _version(tensor)) for tensor in tensors))
    with _lock:
        if key not in _made:
            _made[key] = _make_inputs(data, dtype)
            # Another tensor may get the number of one that is gone.
            for tensor in tensors:
                weakref.finalize(tensor, _made.pop, key, None)
        return _made[key]


def _version(tensor: Tensor) -> int:
    """How often it was changed in place; an inference tensor does not count."""
    return 0 if tensor.is_inference() else tensor._version


_NAMES: tuple[SplitName, ...] = ("train", "validation", "test")
_lock = threading.Lock()
_made: dict[tuple[object, ...], Mapping[SplitName, Inputs]] = {}


def _make_inputs(data: Dataset, dtype: torch.dtype) -> Mapping[SplitName, Inputs]:
    rows = {name: _rows(data.split(name), dtype) for name in _NAMES}
    background = rows["train"].min(0)
    levels = _levels(rows, background)
    if levels is None:
        return {name: _uncompressed(rows[name], data.split(name)) for name in _NAMES}
    return {
        name: _compressed(rows[name], data.split(name), background, levels, blocks=name != "train")
        for name in _NAMES
    }


def _rows(split: Split, dtype: torch.dtype) -> Floats:
    rows: Floats = split.inputs.flatten(1).to(dtype).numpy()
    return rows


def _levels(rows: Mapping[SplitName, Floats], background: Floats) -> Floats | None:
    """All values that differ from the background; None if the examples are not to be compressed."""
    levels, differing = np.zeros(0, background.dtype), 0
    for name, split in rows.items():
        for _, part in _parts(split):
            values = part[part != background]
            levels = np.union1d(levels, values)
            differing += len(values) if name == "train" else 0
            if len(levels) > _LEVELS or differing > _MOST * rows["train"].size:
                return None
    return levels if split.shape[1] <= np.iinfo(np.uint16).max else None


def _parts(rows: Floats) -> Iterator[tuple[int, Floats]]:
    """Some examples at a time, each time with the number of the first."""
    for first in range(0, len(rows), _PART):
        yield first, rows[first : first + _PART]


def _uncompressed(rows: Floats, split: Split) -> Inputs:
    return Inputs(
        rows=rows,
        starts=np.zeros(0, np.int64),
        columns=np.zeros(0, np.uint16),
        codes=np.zeros(0, np.uint8),
        block_starts=np.zeros(0, np.int64),
        block_lanes=np.zeros(0, np.uint8),
        block_codes=np.zeros(0, np.uint8),
        levels=np.zeros(0, rows.dtype),
        background=np.zeros(rows.shape[1], rows.dtype),
        targets=split.targets.numpy(),
    )


def _compressed(
    rows: Floats, split: Split, background: Floats, levels: Floats, *, blocks: bool
) -> Inputs:
    starts = np.zeros(len(rows) + 1, np.int64)
    for first, part in _parts(rows):
        starts[first + 1 : first + 1 + len(part)] = (part != background).sum(1)
    np.cumsum(starts, out=starts)
    columns, codes = np.empty(starts[-1], np.uint16), np.empty(starts[-1], np.uint8)
    for first, part in _parts(rows):
        differs = part != background
        entries = slice(starts[first], starts[first + len(part)])
        columns[entries] = np.nonzero(differs)[1]
        codes[entries] = np.searchsorted(levels, part[differs])
    inputs = _uncompressed(rows[:0], split)._replace(
        starts=starts,
        columns=columns,
        codes=codes,
        levels=np.concatenate([levels, np.zeros(_LEVELS - len(levels), levels.dtype)]),
        background=background,
    )
    return _with_blocks(inputs) if blocks else inputs


def _with_blocks(inputs: Inputs) -> Inputs:
    width = len(inputs.background)
    block_starts = [np.zeros(1, np.int64)]
    lanes, codes = np.empty_like(inputs.codes), np.empty_like(inputs.codes)
    for first in range(0, len(inputs.targets), LANES):
        starts = inputs.starts[first : first + LANES + 1]
        entries = slice(starts[0], starts[-1])
        columns = inputs.columns[entries]
        # Stable, so that lanes stay in order.
        order = np.argsort(columns, kind="stable")
        lanes[entries] = np.repeat(np.arange(len(starts) - 1), np.diff(starts))[order]
        codes[entries] = inputs.codes[entries][order]
        counts = np.bincount(columns, minlength=width)
        block_starts.append(starts[0] + np.cumsum(counts))
    return inputs._replace(
        block_starts=np.concatenate(block_starts), block_lanes=lanes, block_codes=codes
    )
