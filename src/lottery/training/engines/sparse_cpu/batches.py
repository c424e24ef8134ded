"""Loading examples in the form that the first layer needs: side by side, or as compressed rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from lottery.training.engines.sparse_cpu.compiled import compiled
from lottery.training.engines.sparse_cpu.inputs import Inputs
from lottery.training.engines.sparse_cpu.kernels import Floats, Indices, Integers, fill_rows
from lottery.training.engines.sparse_cpu.layers import tiles_of
from lottery.training.engines.sparse_cpu.ragged import aligned
from lottery.training.engines.sparse_cpu.vectors import LANES, prefetch

_STRIP = 96
"""Inputs worked on together: rows of 64 numbers that fit the first cache."""


class Batch(NamedTuple):
    """Some examples, in the form that the first layer needs; the arrays are reused for the next.

    Args:
        lanes: ``[blocks, inputs, 64]``: 64 examples side by side; empty for BACKGROUND.
        starts: int64 ``[examples * tiles + 1]``, and what follows: compressed rows for BACKGROUND.
        columns: uint32.
        values: differences from the background.
        starts_back: int64 ``[inputs + 1]``: the same by input.
        columns_back: uint32, the examples.
        values_back: their differences.
        targets: int64 ``[blocks * 64]``.
        next_entries: scratch, int64 ``[64]``.
    """

    lanes: Floats
    starts: Integers
    columns: Indices
    values: Floats
    starts_back: Integers
    columns_back: Indices
    values_back: Floats
    targets: Integers
    next_entries: Integers


def make_batch(splits: Iterable[Inputs], size: int, *, compressed: bool) -> Batch:
    """An empty batch for up to ``size`` examples of any split, rounded up to whole blocks.

    Args:
        splits: where they will come from.
        size: the largest number of examples.
        compressed: as compressed rows, for BACKGROUND; otherwise side by side.
    """
    splits = list(splits)
    width, dtype = len(splits[0].background), splits[0].background.dtype
    blocks = -(-size // LANES)
    capacity = blocks * LANES
    longest = max(int(np.diff(inputs.starts).max(initial=0)) for inputs in splits)
    entries = longest * capacity if compressed else 0
    return Batch(
        lanes=aligned((0 if compressed else blocks, width, LANES), dtype),
        starts=np.zeros(capacity * tiles_of(width) + 1, np.int64),
        columns=np.zeros(entries, np.uint32),
        values=aligned(entries, dtype),
        starts_back=np.zeros(width + 1, np.int64),
        columns_back=np.zeros(entries, np.uint32),
        values_back=aligned(entries, dtype),
        targets=np.zeros(capacity, np.int64),
        next_entries=np.zeros(LANES, np.int64),
    )


@compiled
def prefetch_batch(inputs: Inputs, examples: Integers) -> None:
    """Start to fetch the entries of a later batch from memory, which goes on in the background."""
    if len(inputs.starts) > 0:
        for number in range(len(examples)):
            example = examples[number]
            for entry in range(inputs.starts[example], inputs.starts[example + 1], 32):
                prefetch(inputs.columns, entry)
                prefetch(inputs.codes, entry)


@compiled
def load_lanes(inputs: Inputs, examples: Integers, batch: Batch) -> None:
    """Put examples side by side into ``batch.lanes``."""
    for number in range(len(examples)):
        batch.targets[number] = inputs.targets[examples[number]]
    for block in range((len(examples) + 63) // 64):
        chosen = examples[block * 64 : (block + 1) * 64]
        if len(inputs.starts) > 0:
            _scatter(inputs, chosen, batch.lanes[block], batch.next_entries)
        elif len(inputs.pixels) > 0:
            _look_up(inputs, chosen, batch.lanes[block])
        else:
            _gather(inputs.rows, chosen, batch.lanes[block])


@compiled
def load_block(inputs: Inputs, block: int, batch: Batch) -> None:
    """Put the examples of a block of validation or test side by side, in ``batch.lanes[0]``."""
    lanes, width = batch.lanes[0], len(inputs.background)
    for lane in range(min(64, len(inputs.targets) - block * 64)):
        batch.targets[lane] = inputs.targets[block * 64 + lane]
    for row in range(width):
        for lane in range(64):
            lanes[row, lane] = inputs.background[row]
        place = block * width + row
        for entry in range(inputs.block_starts[place], inputs.block_starts[place + 1]):
            lanes[row, inputs.block_lanes[entry]] = inputs.levels[inputs.block_codes[entry]]


@compiled
def _scatter(inputs: Inputs, examples: Integers, lanes: Floats, next_entries: Integers) -> None:
    for lane in range(len(examples)):
        next_entries[lane] = inputs.starts[examples[lane]]
    for first in range(0, len(lanes), _STRIP):
        last = min(first + _STRIP, len(lanes))
        fill_rows(inputs.background[first:last], lanes[first:last])
        for lane in range(len(examples)):
            entry, end = next_entries[lane], inputs.starts[examples[lane] + 1]
            while entry < end and inputs.columns[entry] < last:
                lanes[inputs.columns[entry], lane] = inputs.levels[inputs.codes[entry]]
                entry += 1
            next_entries[lane] = entry


@compiled
def _gather(rows: Floats, examples: Integers, lanes: Floats) -> None:
    # In squares of 16 by 16, so that each cache line is used up while it is there.
    for left in range(0, rows.shape[1], 16):
        for top in range(0, len(examples), 16):
            for lane in range(top, min(len(examples), top + 16)):
                example = examples[lane]
                for column in range(left, min(rows.shape[1], left + 16)):
                    lanes[column, lane] = rows[example, column]


@compiled
def _look_up(inputs: Inputs, examples: Integers, lanes: Floats) -> None:
    # As `_gather` does, channel by channel.
    width = inputs.pixels.shape[1] // len(inputs.values)
    for channel in range(len(inputs.values)):
        end = (channel + 1) * width
        for left in range(channel * width, end, 16):
            for top in range(0, len(examples), 16):
                for lane in range(top, min(len(examples), top + 16)):
                    example = examples[lane]
                    for column in range(left, min(end, left + 16)):
                        value = inputs.pixels[example, column]
                        lanes[column, lane] = inputs.values[channel, value]


@compiled
def load_compressed(inputs: Inputs, examples: Integers, batch: Batch) -> None:
    """Copy examples into ``batch`` as compressed rows of differences from the background."""
    width = len(inputs.background)
    tiles = len(batch.starts) // (len(batch.targets))
    count = 0
    for number in range(len(examples)):
        example = examples[number]
        batch.targets[number] = inputs.targets[example]
        entry, end = inputs.starts[example], inputs.starts[example + 1]
        for tile in range(tiles):
            limit = (tile + 1) * width // tiles
            while entry < end and inputs.columns[entry] < limit:
                column = inputs.columns[entry]
                batch.columns[count] = column
                batch.values[count] = inputs.levels[inputs.codes[entry]] - inputs.background[column]
                count += 1
                entry += 1
            batch.starts[number * tiles + tile + 1] = count


@compiled
def sort_by_input(batch: Batch, examples: int) -> None:
    """Sort the compressed rows' entries by input as well, which the gradient needs."""
    # How many entries each input has, then where each input's start, then each to its place.
    starts = batch.starts_back
    for column in range(len(starts)):
        starts[column] = 0
    tiles = len(batch.starts) // len(batch.targets)
    for entry in range(batch.starts[examples * tiles]):
        starts[batch.columns[entry] + 1] += 1
    for column in range(1, len(starts)):
        starts[column] += starts[column - 1]
    for number in range(examples):
        for entry in range(batch.starts[number * tiles], batch.starts[(number + 1) * tiles]):
            column = batch.columns[entry]
            batch.columns_back[starts[column]] = number
            batch.values_back[starts[column]] = batch.values[entry]
            starts[column] += 1
    # Each start has moved on to the next one's.
    for column in range(len(starts) - 1, 0, -1):
        starts[column] = starts[column - 1]
    starts[0] = 0
