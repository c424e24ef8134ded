"""Examples in memory: as they are, or only the values that differ from a background.

Most pixels of an image of a digit are background. Where at least half of all values equal a
background, one value for each input, and the others have at most 256 different values, as in images
of 8 bits, the examples are stored as compressed rows of these others: three bytes per entry. Other
images stay bytes, and become floats when a batch is loaded. Both are lossless: every value is
exactly that of `Dataset.normalized`.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lottery.data import SPLITS, Dataset, Split, SplitName
from lottery.data.idx import Bytes
from lottery.data.normalize import value_table
from lottery.training.engines.sparse_cpu.kernels import Floats, Integers
from lottery.training.engines.sparse_cpu.vectors import LANES

_MOST = 0.5
"""Share of values that may differ from the background."""

_LEVELS = 256
_PART = 1_000
"""Examples processed together, which bounds the memory that this takes."""


class Inputs(NamedTuple):
    """The examples of one split, in one of three forms; the arrays of the others are empty.

    Args:
        rows: ``[examples, inputs]``: as floats.
        pixels: uint8 ``[examples, inputs]``: as they are stored, one channel after the other.
        values: ``[channels, 256]``: what the bytes of each channel stand for.
        starts: int64 ``[examples + 1]``, and what follows: compressed. Each example's entries.
        columns: uint16 ``[entries]``, the inputs that differ from the background, in order.
        codes: uint8 ``[entries]``, which level each has.
        block_starts: int64 ``[blocks * inputs + 1]``, for validation and test: the same entries by
            block of 64 examples and then by input, so that a block is made in one go.
        block_lanes: uint8 ``[entries]``, their examples within the block.
        block_codes: uint8 ``[entries]``.
        levels: the values there are, ``[256]``.
        background: ``[inputs]``; of any form, it tells how many inputs there are.
        targets: classes, int64 ``[examples]``.
    """

    rows: Floats
    pixels: Bytes
    values: Floats
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
    """All splits of a dataset; trainings that use it at the same time share them."""
    splits = map(data.split, SPLITS)
    tensors = [tensor for split in splits for tensor in (split.inputs, split.targets)]
    versions = ((id(tensor), _version(tensor)) for tensor in tensors)
    key = (dtype, data.mean, data.deviation, *versions)
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


_lock = threading.Lock()
_made: dict[tuple[object, ...], Mapping[SplitName, Inputs]] = {}


class _Source:
    """Examples as comparing them is cheapest: bytes where they tell values apart, else floats."""

    def __init__(self, data: Dataset, dtype: torch.dtype) -> None:
        self.data, self.dtype = data, dtype
        self.stored = all(data.split(name).inputs.dtype == torch.uint8 for name in SPLITS)
        self.values: Floats = value_table(data.mean, data.deviation, dtype).numpy()
        one_table = len(self.values) == 1 and bool((np.diff(self.values[0]) > 0).all())
        self.as_bytes = self.stored and one_table

    def parts(self, name: SplitName) -> Iterator[tuple[int, NDArray[Any]]]:
        """Some examples ``[n, inputs]`` at a time, each time with the number of the first."""
        inputs = self.data.split(name).inputs
        for first in range(0, len(inputs), _PART):
            part = inputs[first : first + _PART]
            if not self.as_bytes:
                part = self.data.normalized(part, self.dtype)
            yield first, part.flatten(1).numpy()

    def floats(self, found: NDArray[Any]) -> Floats:
        """What values of ``parts`` stand for."""
        return self.values[0][found] if self.as_bytes else found


def _make_inputs(data: Dataset, dtype: torch.dtype) -> Mapping[SplitName, Inputs]:
    source = _Source(data, dtype)
    background = np.stack([part.min(0) for _, part in source.parts("train")]).min(0)
    levels = _levels(source, background)
    if levels is None:
        return {name: _uncompressed(source, name) for name in SPLITS}
    return {
        name: _compressed(source, name, background, levels, blocks=name != "train")
        for name in SPLITS
    }


def _levels(source: _Source, background: NDArray[Any]) -> NDArray[Any] | None:
    """All values that differ from the background; None if the examples are not to be compressed."""
    levels, differing = np.zeros(0, background.dtype), 0
    most = _MOST * len(source.data.train) * len(background)
    for name in SPLITS:
        for _, part in source.parts(name):
            values = part[part != background]
            levels = np.union1d(levels, values)
            differing += len(values) if name == "train" else 0
            if len(levels) > _LEVELS or differing > most:
                return None
    return levels if len(background) <= np.iinfo(np.uint16).max else None


def _uncompressed(source: _Source, name: SplitName) -> Inputs:
    split = source.data.split(name)
    flat, width = split.inputs.flatten(1), split.inputs[0].numel()
    empty = _empty(split, width, source.values.dtype)
    # The loop looks a channel's values up, so each channel must have as many pixels.
    if source.stored and width % len(source.values) == 0:
        return empty._replace(pixels=flat.contiguous().numpy(), values=source.values)
    rows: Floats = source.data.normalized(split.inputs, source.dtype).flatten(1).numpy()
    return empty._replace(rows=rows)


def _empty(split: Split, width: int, dtype: np.dtype[Any]) -> Inputs:
    return Inputs(
        rows=np.zeros((0, width), dtype),
        pixels=np.zeros((0, width), np.uint8),
        values=np.zeros((0, 256), dtype),
        starts=np.zeros(0, np.int64),
        columns=np.zeros(0, np.uint16),
        codes=np.zeros(0, np.uint8),
        block_starts=np.zeros(0, np.int64),
        block_lanes=np.zeros(0, np.uint8),
        block_codes=np.zeros(0, np.uint8),
        levels=np.zeros(0, dtype),
        background=np.zeros(width, dtype),
        targets=split.targets.numpy(),
    )


def _compressed(
    source: _Source,
    name: SplitName,
    background: NDArray[Any],
    levels: NDArray[Any],
    *,
    blocks: bool,
) -> Inputs:
    split = source.data.split(name)
    starts = np.zeros(len(split) + 1, np.int64)
    for first, part in source.parts(name):
        starts[first + 1 : first + 1 + len(part)] = (part != background).sum(1)
    np.cumsum(starts, out=starts)
    columns, codes = np.empty(starts[-1], np.uint16), np.empty(starts[-1], np.uint8)
    for first, part in source.parts(name):
        differs = part != background
        entries = slice(starts[first], starts[first + len(part)])
        columns[entries] = np.nonzero(differs)[1]
        codes[entries] = np.searchsorted(levels, part[differs])
    known = source.floats(levels)
    inputs = _empty(split, len(background), known.dtype)._replace(
        starts=starts,
        columns=columns,
        codes=codes,
        levels=np.concatenate([known, np.zeros(_LEVELS - len(known), known.dtype)]),
        background=source.floats(background),
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
