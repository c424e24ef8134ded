"""The three forms of a layer's weights: where each weight lies, and the way back."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lottery.training.engines.sparse_cpu.layers import (
    BACKGROUND,
    DENSE,
    SPARSE,
    Layer,
    layer_of,
    make_layer,
    make_network,
    pack,
    panels,
    rows_of,
    tiles_of,
    unpack,
)
from lottery.training.engines.sparse_cpu.network import RELU, TANH, LinearLayer

Kept = NDArray[np.bool_]

FORMS = (DENSE, SPARSE, BACKGROUND)
SIZES = (1, 2, 63, 64, 65, 130, 300)
DTYPES = (np.float32, np.float64)

quick = settings(max_examples=80, deadline=None)
every_form = pytest.mark.parametrize("form", FORMS, ids=["dense", "sparse", "background"])


@st.composite
def masks(draw: st.DrawFn) -> Kept:
    """Of any size and density; some with outputs or inputs of which nothing is kept."""
    shape = draw(st.sampled_from(SIZES)), draw(st.sampled_from((*SIZES, 1000)))
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    kept = generator.random(shape) < draw(st.sampled_from([0.0, 0.02, 0.5, 0.99, 1.0]))
    kept[generator.random(shape[0]) < draw(st.sampled_from([0.0, 0.3]))] = False
    kept[:, generator.random(shape[1]) < draw(st.sampled_from([0.0, 0.3]))] = False
    return kept


def layer_for(form: int, kept: Kept) -> Layer:
    outputs, inputs = kept.shape
    linear = LinearLayer(name="fc", inputs=inputs, outputs=outputs, activation=TANH, dropout=0.25)
    return make_layer(form, linear, kept)


def numbered(kept: Kept, dtype: type[np.generic]) -> NDArray[Any]:
    """A weight for each place, none of them zero and no two the same; zero where pruned."""
    return np.where(kept, np.arange(1, kept.size + 1).reshape(kept.shape), 0).astype(dtype)


@every_form
@given(kept=masks(), dtype=st.sampled_from(DTYPES))
@quick
def test_what_is_packed_is_unpacked(form: int, kept: Kept, dtype: type[np.generic]) -> None:
    layer, matrix = layer_for(form, kept), numbered(kept, dtype)
    before = matrix.copy()

    flat = pack(layer, matrix)

    assert flat.ndim == 1
    assert not flat.size or flat.ctypes.data % 64 == 0
    np.testing.assert_array_equal(unpack(layer, flat), matrix, strict=True)
    np.testing.assert_array_equal(pack(layer, unpack(layer, flat)), flat, strict=True)
    # Copies both ways.
    unpack(layer, flat)[:] = -1
    flat[:] = -2
    np.testing.assert_array_equal(matrix, before)


@given(masks())
@quick
def test_each_form_has_its_order(kept: Kept) -> None:
    matrix = numbered(kept, np.float64)
    outputs, inputs = kept.shape

    np.testing.assert_array_equal(pack(layer_for(DENSE, kept), matrix), matrix.ravel())
    np.testing.assert_array_equal(pack(layer_for(SPARSE, kept), matrix), matrix[kept])
    by_panel = pack(layer_for(BACKGROUND, kept), matrix).reshape(-1, inputs, 64)
    assert len(by_panel) == panels(outputs) == -(-outputs // 64)
    for output in range(panels(outputs) * 64):
        expected = matrix[output] if output < outputs else np.zeros(inputs)
        np.testing.assert_array_equal(by_panel[output // 64, :, output % 64], expected)


@given(masks())
@quick
def test_entries_of_sparse_rows(kept: Kept) -> None:
    layer = layer_for(SPARSE, kept)
    rows, columns = np.nonzero(kept)

    # By row and column, with every entry in its row and tile.
    np.testing.assert_array_equal(rows_of(layer), rows)
    np.testing.assert_array_equal(layer.columns, columns)
    tiles = (len(layer.starts) - 1) // layer.outputs
    assert len(layer.starts) == layer.outputs * tiles + 1
    assert (layer.starts[0], layer.starts[-1]) == (0, kept.sum())
    assert 1 <= tiles <= tiles_of(layer.inputs)
    width = -(-layer.inputs // tiles)
    for place in range(layer.outputs * tiles):
        entries = slice(layer.starts[place], layer.starts[place + 1])
        assert (rows[entries] == place // tiles).all()
        assert (columns[entries] // width == place % tiles).all()

    # The same by column, each with its place among the weights.
    assert (layer.starts_back[0], layer.starts_back[-1]) == (0, kept.sum())
    turned = np.repeat(np.arange(layer.inputs), np.diff(layer.starts_back))
    np.testing.assert_array_equal(turned, columns[layer.places_back])
    np.testing.assert_array_equal(layer.columns_back, rows[layer.places_back])
    np.testing.assert_array_equal(np.sort(layer.places_back), np.arange(kept.sum()))


def test_a_wide_row_of_many_entries_has_several_tiles() -> None:
    """So that tests of tiled kernels do meet tiles."""
    dense, few = np.ones((10, 784), bool), np.zeros((10, 784), bool)
    few[:, ::100] = True

    assert len(layer_for(SPARSE, dense).starts) - 1 == 10 * tiles_of(784) > 10
    assert len(layer_for(SPARSE, few).starts) - 1 == 10


@pytest.mark.parametrize("form", [DENSE, BACKGROUND])
@given(kept=masks())
@quick
def test_a_mask_lies_as_the_weights_do(form: int, kept: Kept) -> None:
    layer = layer_for(form, kept)

    if kept.all():
        assert layer.kept.size == 0
    else:
        np.testing.assert_array_equal(unpack(layer, layer.kept), kept.astype(np.uint8), strict=True)
        assert layer.kept.sum() == kept.sum()


@pytest.mark.parametrize("seed", range(3))
def test_a_network_gives_its_layers_back(seed: int) -> None:
    generator = np.random.default_rng(seed)
    widths = generator.choice(SIZES, 5)
    layers = []
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        linear = LinearLayer(
            name=f"fc{number}",
            inputs=int(inputs),
            outputs=int(outputs),
            activation=(RELU, TANH)[number % 2],
            dropout=number / 10,
        )
        kept = generator.random((outputs, inputs)) < (1.0, 0.5, 0.1, 0.0)[number]
        layers.append(make_layer(FORMS[(number + seed) % 3], linear, kept))

    network = make_network(layers)

    for number, layer in enumerate(layers):
        found = layer_of(network, number)
        for name, value in layer._asdict().items():
            np.testing.assert_array_equal(getattr(found, name), value, err_msg=name)
            if isinstance(value, np.ndarray):
                got = getattr(found, name)
                assert got.dtype == value.dtype
                assert not got.size or got.ctypes.data % 64 == 0
