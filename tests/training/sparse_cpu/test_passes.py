"""Forward and backward through one layer, in every form, against torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lottery.blas import one_blas_thread
from lottery.data import Dataset, Split
from lottery.training.engines.sparse_cpu.batches import load_compressed, make_batch, sort_by_input
from lottery.training.engines.sparse_cpu.inputs import make_inputs
from lottery.training.engines.sparse_cpu.layers import (
    BACKGROUND,
    DENSE,
    SPARSE,
    Layer,
    make_layer,
    pack,
    unpack,
)
from lottery.training.engines.sparse_cpu.network import LINEAR, RELU, TANH, LinearLayer
from lottery.training.engines.sparse_cpu.passes import (
    activate,
    add_gradients,
    backward_activation,
    backward_input,
    forward,
    forward_from_background,
    gradients_from_background,
)

Array = NDArray[Any]

LANES = 64
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
FORMS = {"dense": DENSE, "sparse": SPARSE, "background": BACKGROUND}

every_form = pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """As in training."""
    with one_blas_thread():
        yield


@dataclass(frozen=True)
class Case:
    """A layer and a batch, and what torch makes of them."""

    x: Array
    kept: NDArray[np.bool_]
    weights: Array
    bias: Array
    grad_outputs: Array
    outputs: Array
    weight_gradient: Array
    bias_gradient: Array
    input_gradients: Array


def make_case(
    inputs: int, outputs: int, examples: int, density: float, dtype: torch.dtype, seed: int = 0
) -> Case:
    """Inputs that are mostly a background; a mask with outputs and inputs that keep nothing."""
    generator = np.random.default_rng(seed)
    background = generator.integers(-2, 3, inputs) / 4
    x = background + generator.integers(1, 60, (examples, inputs)) / 16
    # For each input a third of the examples, whichever they are, differ from it.
    x = np.where(generator.random(x.shape).argsort(0) >= examples // 3, background, x)
    kept = generator.random((outputs, inputs)) < density
    if density < 1:
        kept[generator.random(outputs) < 0.1] = False
        kept[:, generator.random(inputs) < 0.1] = False

    def tensor(numbers: Array) -> torch.Tensor:
        return torch.from_numpy(numbers).to(dtype).requires_grad_()

    inputs_, weights = tensor(x), tensor(np.where(kept, generator.normal(size=kept.shape), 0))
    bias, grad_outputs = (
        tensor(generator.normal(size=outputs)),
        generator.normal(size=(examples, outputs)),
    )
    made = torch.nn.functional.linear(inputs_, weights, bias)
    made.backward(torch.from_numpy(grad_outputs).to(dtype))
    assert weights.grad is not None
    assert bias.grad is not None
    assert inputs_.grad is not None
    return Case(
        x=inputs_.detach().numpy(),
        kept=kept,
        weights=weights.detach().numpy(),
        bias=bias.detach().numpy(),
        grad_outputs=torch.from_numpy(grad_outputs).to(dtype).numpy(),
        outputs=made.detach().numpy(),
        weight_gradient=np.where(kept, weights.grad.numpy(), 0),
        bias_gradient=bias.grad.numpy(),
        input_gradients=inputs_.grad.numpy(),
    )


def layer_of(case: Case, form: int) -> Layer:
    outputs, inputs = case.kept.shape
    return make_layer(form, LinearLayer(name="fc", inputs=inputs, outputs=outputs), case.kept)


def side_by_side(rows: Array, beyond: float) -> Array:
    """``[examples, n]`` as ``[blocks, n, 64]``, with something else in the lanes beyond."""
    blocks = -(-len(rows) // LANES)
    padded = np.full((blocks * LANES, rows.shape[1]), beyond, rows.dtype)
    padded[: len(rows)] = rows
    return np.ascontiguousarray(padded.reshape(blocks, LANES, -1).transpose(0, 2, 1))


def one_by_one(blocks: Array, examples: int) -> Array:
    """The opposite of `side_by_side`."""
    return blocks.transpose(0, 2, 1).reshape(-1, blocks.shape[1])[:examples]


def garbage(*shape: int, like: Array) -> Array:
    """What an earlier batch may have left; it must not matter."""
    return np.full(shape, 1e3, like.dtype)


@dataclass(frozen=True)
class Found:
    """What the kernels make of a case."""

    outputs: Array
    weight_gradient: Array
    bias_gradient: Array
    input_gradients: Array | None


def found_by(case: Case, form: int) -> Found:
    """The three passes of a layer, as the training loop does them."""
    if form == BACKGROUND:
        return _found_from_background(case)
    layer = layer_of(case, form)
    weights, like = pack(layer, case.weights), case.weights
    # Lanes beyond the batch hold anything finite; only their grad_outputs are zero.
    x, grad_outputs = side_by_side(case.x, 3.0), side_by_side(case.grad_outputs, 0.0)
    outputs, input_gradients = garbage(*grad_outputs.shape, like=like), garbage(*x.shape, like=like)
    gradient, bias_gradient = garbage(len(weights), like=like), garbage(len(case.bias), like=like)
    scratch = garbage(len(weights) + 5, like=like)
    for block in range(len(x)):
        forward(layer, weights, case.bias, x[block], outputs[block])
        add_gradients(layer, grad_outputs[block], x[block], block, scratch, gradient, bias_gradient)
        backward_input(layer, weights, grad_outputs[block], scratch, input_gradients[block])
    np.testing.assert_array_equal(weights, pack(layer, case.weights))
    return Found(
        outputs=one_by_one(outputs, len(case.x)),
        weight_gradient=unpack(layer, gradient),
        bias_gradient=bias_gradient,
        input_gradients=one_by_one(input_gradients, len(case.x)),
    )


def _found_from_background(case: Case) -> Found:
    layer = layer_of(case, BACKGROUND)
    split = Split(torch.from_numpy(case.x), torch.zeros(len(case.x), dtype=torch.int64))
    data = Dataset(name="", train=split, validation=split, test=split, classes=2)
    splits = make_inputs(data, split.inputs.dtype)
    assert len(splits["train"].starts), "the case has no background"
    examples, like = len(case.x), case.weights
    grad_outputs = side_by_side(case.grad_outputs, 0.0)
    batch = make_batch(splits.values(), len(grad_outputs) * LANES, compressed=True)
    load_compressed(splits["train"], np.arange(examples), batch)
    weights, outputs = pack(layer, case.weights), garbage(*grad_outputs.shape, like=like)
    gradient, bias_gradient = garbage(len(weights), like=like), garbage(len(case.bias), like=like)
    panel = garbage(len(grad_outputs) * LANES, LANES, like=like)
    square = garbage(LANES, LANES, like=like)
    forward_from_background(
        layer,
        weights,
        case.bias,
        splits["train"],
        batch,
        examples,
        panel,
        square,
        outputs,
    )
    sort_by_input(batch, examples)
    gradients_from_background(
        layer, grad_outputs, splits["train"], batch, panel, square, gradient, bias_gradient
    )
    np.testing.assert_array_equal(weights, pack(layer, case.weights))
    # Panels end with outputs that are none, whose weights must stay zero.
    np.testing.assert_array_equal(pack(layer, unpack(layer, gradient)), gradient)
    return Found(
        outputs=one_by_one(outputs, examples),
        weight_gradient=unpack(layer, gradient),
        bias_gradient=bias_gradient,
        input_gradients=None,
    )


def check(case: Case, form: int, dtype: torch.dtype) -> None:
    found = found_by(case, form)
    for name in ("outputs", "weight_gradient", "bias_gradient", "input_gradients"):
        got, expected = getattr(found, name), getattr(case, name)
        if got is not None:
            tolerance = TOLERANCE[dtype] * max(1e-30, float(np.abs(expected).max(initial=0)))
            np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance, err_msg=name)
            assert got.dtype == expected.dtype
    assert (found.weight_gradient[~case.kept] == 0).all()


@every_form
@given(
    inputs=st.sampled_from([1, 5, 63, 64, 65, 130]),
    outputs=st.sampled_from([1, 10, 63, 64, 65, 130]),
    examples=st.sampled_from([8, 60, 64, 65, 100, 128]),
    density=st.sampled_from([0.0, 0.05, 0.3, 0.9, 1.0]),
    seed=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_passes_are_torchs_in_double_precision(
    form: int, inputs: int, outputs: int, examples: int, density: float, seed: int
) -> None:
    check(make_case(inputs, outputs, examples, density, torch.float64, seed), form, torch.float64)


@every_form
@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=["double", "single"])
@pytest.mark.parametrize(
    ("examples", "density"),
    [
        (1, 0.3),
        (60, 1.0),
        (60, 0.05),
        (64, 0.3),
        (65, 1.0),
        (65, 0.05),
        (100, 0.3),
        (1000, 1.0),
        (1000, 0.05),
    ],
)
def test_passes_of_wide_layers(
    form: int, examples: int, density: float, dtype: torch.dtype
) -> None:
    """Several tiles, panels and blocks at once."""
    check(make_case(900, 70, examples, density, dtype), form, dtype)


@every_form
def test_a_mask_is_kept_to_in_every_block(form: int) -> None:
    """Slopes of later blocks are added to gradients, and must not bring back what is pruned."""
    for examples in (60, 65, 200):
        case = make_case(20, 70, examples, 0.5, torch.float64)
        found = found_by(case, form)
        assert (found.weight_gradient[~case.kept] == 0).all()
        assert (found.weight_gradient[case.kept] != 0).mean() > 0.9


@pytest.mark.parametrize("activation", [RELU, TANH, LINEAR], ids=["relu", "tanh", "linear"])
@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=["double", "single"])
def test_activations_are_torchs(activation: int, dtype: torch.dtype) -> None:
    numbers = torch.linspace(-4, 4, 9 * LANES).view(9, LANES).to(dtype)
    numbers[0, :7] = torch.tensor([0.0, -0.0, 1e-30, -1e-30, 40.0, -40.0, 1e4])
    numbers.requires_grad_()
    grad_outputs = torch.linspace(1, 2, 9 * LANES).view(9, LANES).to(dtype)
    function = {RELU: torch.relu, TANH: torch.tanh, LINEAR: torch.clone}[activation]
    expected = function(numbers)
    expected.backward(grad_outputs)
    assert numbers.grad is not None
    linear = LinearLayer(name="fc", inputs=1, outputs=9, activation=activation)
    layer = make_layer(DENSE, linear, np.ones((9, 1), bool))
    outputs, through = numbers.detach().numpy().copy(), grad_outputs.numpy().copy()

    activate(layer, outputs)
    backward_activation(layer, outputs, through)

    tolerance = {torch.float64: 1e-14, torch.float32: 1e-6}[dtype]
    np.testing.assert_allclose(outputs, expected.detach().numpy(), rtol=tolerance)
    np.testing.assert_allclose(through, numbers.grad.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("activation", [RELU, TANH], ids=["relu", "tanh"])
def test_what_is_not_a_number_is_not_hidden(activation: int) -> None:
    linear = LinearLayer(name="fc", inputs=1, outputs=1, activation=activation)
    layer = make_layer(DENSE, linear, np.ones((1, 1), bool))
    outputs, grad_outputs = np.full((1, LANES), np.nan), np.ones((1, LANES))

    activate(layer, outputs)
    backward_activation(layer, outputs, grad_outputs)

    assert np.isnan(outputs).all()
