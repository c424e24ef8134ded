"""How a layer's weights are stored: in one of three forms, each with its own kernels.

``DENSE``: the whole matrix, for BLAS. ``SPARSE``: the surviving weights alone, in compressed rows.
``BACKGROUND``: the whole matrix transposed, in panels of 64 outputs, for a first layer whose inputs
are mostly one and the same value, such as the black of an image: only what differs is multiplied.

Whatever the form, the numbers that training changes are one flat array, so that the optimizer
does not know of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from lottery.training.engines.sparse_cpu.compiled import compiled
from lottery.training.engines.sparse_cpu.kernels import Indices, Integers
from lottery.training.engines.sparse_cpu.network import LinearLayer
from lottery.training.engines.sparse_cpu.ragged import Ragged, aligned, array_at, ragged
from lottery.training.engines.sparse_cpu.vectors import LANES

T = TypeVar("T", bound=np.generic)

DENSE, SPARSE, BACKGROUND = 0, 1, 2

# Entries of a row of a tile for which the outputs' way to the registers and back is worth it, and
# the rows of 64 numbers that fit the fastest cache of today's CPUs.
_ENTRIES_A_TILE = 8
_ROWS_A_TILE = 192


class Layer(NamedTuple):
    """One layer's form and the positions of its weights; nothing here changes in training.

    Args:
        form: `DENSE`, `SPARSE` or `BACKGROUND`.
        inputs: how many.
        outputs: how many.
        activation: see `lottery.training.engines.sparse_cpu.network`.
        dropout: share of the outputs dropped in training.
        kept: DENSE and BACKGROUND: uint8, 0 where a weight was pruned and 1 elsewhere, of the
            weights' length; empty when none was pruned.
        starts: SPARSE: entries by output and tile of inputs, see `kernels`.
        columns: SPARSE: each entry's input.
        starts_back: SPARSE: entries by input.
        columns_back: SPARSE: their outputs.
        places_back: SPARSE: their places among the weights.
    """

    form: int
    inputs: int
    outputs: int
    activation: int
    dropout: float
    kept: NDArray[np.uint8]
    starts: Integers
    columns: Indices
    starts_back: Integers
    columns_back: Indices
    places_back: Indices


def make_layer(form: int, linear: LinearLayer, kept: NDArray[np.bool_]) -> Layer:
    """A layer in one of the forms.

    Args:
        form: `DENSE`, `SPARSE` or `BACKGROUND`.
        linear: its sizes, and what follows it.
        kept: its mask, ``[outputs, inputs]``.
    """
    nowhere, no_starts = np.zeros(0, np.uint32), np.zeros(0, np.int64)
    layer = Layer(
        form=form,
        inputs=linear.inputs,
        outputs=linear.outputs,
        activation=linear.activation,
        dropout=linear.dropout,
        kept=np.zeros(0, np.uint8),
        starts=no_starts,
        columns=nowhere,
        starts_back=no_starts,
        columns_back=nowhere,
        places_back=nowhere,
    )
    if form == SPARSE:
        return _with_places(layer, kept)
    if kept.all():
        return layer
    return layer._replace(kept=pack(layer, kept.astype(np.uint8)))


def _with_places(layer: Layer, kept: NDArray[np.bool_]) -> Layer:
    rows, columns = np.nonzero(kept)
    tiles = max(1, min(tiles_of(layer.inputs), int(len(rows) / layer.outputs / _ENTRIES_A_TILE)))
    tile = columns // -(-layer.inputs // tiles)
    back = np.lexsort((rows, columns))
    return layer._replace(
        starts=_starts(rows * tiles + tile, layer.outputs * tiles),
        columns=columns.astype(np.uint32),
        starts_back=_starts(columns, layer.inputs),
        columns_back=rows[back].astype(np.uint32),
        places_back=back.astype(np.uint32),
    )


def _starts(groups: NDArray[np.int64], count: int) -> Integers:
    """Where each of ``count`` groups starts, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(np.bincount(groups, minlength=count))]).astype(np.int64)


def tiles_of(columns: int) -> int:
    """Into how many tiles to divide columns for their rows of 64 numbers to fit the first cache."""
    return max(1, -(-columns // _ROWS_A_TILE))


def rows_of(layer: Layer) -> NDArray[np.int64]:
    """The output of each surviving weight of a SPARSE layer, in the order of its weights."""
    tiles = (len(layer.starts) - 1) // layer.outputs
    return np.repeat(np.arange(layer.outputs), np.diff(layer.starts[::tiles]))


def pack(layer: Layer, matrix: NDArray[T]) -> NDArray[T]:
    """The numbers of a matrix ``[outputs, inputs]`` in the layer's form, as one flat array."""
    if layer.form == SPARSE:
        flat = matrix[rows_of(layer), layer.columns]
    elif layer.form == BACKGROUND:
        padded = np.zeros((panels(layer.outputs) * LANES, layer.inputs), matrix.dtype)
        padded[: layer.outputs] = matrix
        flat = padded.reshape(-1, LANES, layer.inputs).transpose(0, 2, 1).ravel()
    else:
        flat = matrix.ravel()
    out = aligned(flat.size, flat.dtype)
    out[:] = flat
    return out


def unpack(layer: Layer, flat: NDArray[T]) -> NDArray[T]:
    """The matrix ``[outputs, inputs]`` of which `pack` made ``flat``; zero where pruned."""
    if layer.form == SPARSE:
        matrix = np.zeros((layer.outputs, layer.inputs), flat.dtype)
        matrix[rows_of(layer), layer.columns] = flat
        return matrix
    if layer.form == BACKGROUND:
        by_panel = flat.reshape(-1, layer.inputs, LANES).transpose(0, 2, 1)
        return by_panel.reshape(-1, layer.inputs)[: layer.outputs].copy()
    return flat.reshape(layer.outputs, layer.inputs).copy()


def panels(outputs: int) -> int:
    """How many panels of 64 hold this many outputs."""
    return -(-outputs // LANES)


class Network(NamedTuple):
    """All layers; see `Layer` for what the arrays are.

    Args:
        sizes: form, inputs, outputs and activation, int64 ``[layers, 4]``.
        dropout: float64 ``[layers]``.
        kept: and what follows, by layer.
    """

    sizes: Integers
    dropout: NDArray[np.float64]
    kept: Ragged
    starts: Ragged
    columns: Ragged
    starts_back: Ragged
    columns_back: Ragged
    places_back: Ragged


def make_network(layers: Sequence[Layer]) -> Network:
    """A network of these layers."""
    return Network(
        sizes=np.array([layer[:4] for layer in layers], np.int64),
        dropout=np.array([layer.dropout for layer in layers], np.float64),
        kept=ragged([layer.kept for layer in layers]),
        starts=ragged([layer.starts for layer in layers]),
        columns=ragged([layer.columns for layer in layers]),
        starts_back=ragged([layer.starts_back for layer in layers]),
        columns_back=ragged([layer.columns_back for layer in layers]),
        places_back=ragged([layer.places_back for layer in layers]),
    )


@compiled
def layer_of(network: Network, number: int) -> Layer:
    """One layer, in compiled code."""
    return Layer(
        network.sizes[number, 0],
        network.sizes[number, 1],
        network.sizes[number, 2],
        network.sizes[number, 3],
        network.dropout[number],
        array_at(network.kept, number),
        array_at(network.starts, number),
        array_at(network.columns, number),
        array_at(network.starts_back, number),
        array_at(network.columns_back, number),
        array_at(network.places_back, number),
    )
