"""Forward and backward through one layer, in each of the three forms.

Activations are ``[features, 64]``: 64 examples side by side.
"""

from __future__ import annotations

import math

import numpy as np

from lottery.training.engines.sparse_cpu.batches import Batch
from lottery.training.engines.sparse_cpu.compiled import compiled
from lottery.training.engines.sparse_cpu.inputs import Inputs
from lottery.training.engines.sparse_cpu.kernels import (
    Floats,
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
from lottery.training.engines.sparse_cpu.layers import SPARSE, Layer
from lottery.training.engines.sparse_cpu.network import RELU, TANH


@compiled
def forward(layer: Layer, weights: Floats, bias: Floats, inputs: Floats, out: Floats) -> None:
    """``out = weights @ inputs + bias``; DENSE or SPARSE.

    Args:
        layer: the form of its weights.
        weights: in that form.
        bias: ``[outputs]``.
        inputs: ``[inputs, 64]``.
        out: ``[outputs, 64]``.
    """
    if layer.form == SPARSE:
        fill_rows(bias, out)
        add_product(layer.starts, layer.columns, weights, inputs, out)
    else:
        np.dot(weights.reshape(layer.outputs, layer.inputs), inputs, out)
        for row in range(len(out)):
            for lane in range(64):
                out[row, lane] += bias[row]


@compiled
def add_gradients(
    layer: Layer,
    grad_outputs: Floats,
    inputs: Floats,
    block: int,
    scratch: Floats,
    weight_gradient: Floats,
    bias_gradient: Floats,
) -> None:
    """Gradients of weights and bias of `forward` from those of its outputs, summed over blocks.

    Args:
        layer: the form of its weights, DENSE or SPARSE.
        grad_outputs: gradients of its outputs, ``[outputs, 64]``.
        inputs: ``[inputs, 64]``.
        block: which 64 examples; the first block's gradients replace what was there.
        scratch: as long as the weights, or longer.
        weight_gradient: in the weights' form.
        bias_gradient: ``[outputs]``.
    """
    out = weight_gradient if block == 0 else scratch[: len(weight_gradient)]
    if layer.form == SPARSE:
        products_at(layer.starts, layer.columns, grad_outputs, inputs, out)
    else:
        np.dot(grad_outputs, inputs.T, out.reshape(layer.outputs, layer.inputs))
        for i in range(len(layer.kept)):
            out[i] *= layer.kept[i]
    if block > 0:
        for i in range(len(out)):
            weight_gradient[i] += out[i]
    add_columns(grad_outputs, block > 0, bias_gradient)


@compiled
def backward_input(
    layer: Layer, weights: Floats, grad_outputs: Floats, scratch: Floats, out: Floats
) -> None:
    """``out = weights.T @ grad_outputs``.

    Args:
        layer: the form of its weights, DENSE or SPARSE.
        weights: in that form.
        grad_outputs: gradients of its outputs, ``[outputs, 64]``.
        scratch: as long as the weights, or longer.
        out: gradients of its inputs, ``[inputs, 64]``.
    """
    if layer.form == SPARSE:
        for entry in range(len(weights)):
            scratch[entry] = weights[layer.places_back[entry]]
        clear(out)
        add_product(layer.starts_back, layer.columns_back, scratch, grad_outputs, out)
    else:
        np.dot(weights.reshape(layer.outputs, layer.inputs).T, grad_outputs, out)


@compiled
def forward_from_background(
    layer: Layer,
    weights: Floats,
    bias: Floats,
    inputs: Inputs,
    batch: Batch,
    examples: int,
    panel: Floats,
    square: Floats,
    out: Floats,
) -> None:
    """`forward` of a BACKGROUND layer, for a whole batch.

    With inputs x = background + d, the product is W background + W d, and the first term is the
    same for all examples.

    Args:
        layer: its sizes.
        weights: ``[panels, inputs, 64]``, flat.
        bias: ``[outputs]``.
        inputs: where the background is.
        batch: the differences d.
        examples: how many.
        panel: scratch, ``[blocks * 64, 64]``.
        square: scratch, ``[64, 64]``.
        out: ``[blocks, outputs, 64]``.
    """
    shape = (len(weights) // (layer.inputs * 64), layer.inputs, 64)
    matrix = weights.reshape(shape)
    tiles = len(batch.starts) // len(batch.targets)
    for number in range(shape[0]):
        first, last = number * 64, min(layer.outputs, number * 64 + 64)
        common = square[:1]
        for lane in range(64):
            common[0, lane] = bias[first + lane] if first + lane < last else 0
        add_rows(inputs.background, matrix[number], common)
        for example in range(examples):
            copy_rows(common, panel[example : example + 1])
        starts = batch.starts[: examples * tiles + 1]
        add_product(starts, batch.columns, batch.values, matrix[number], panel[:examples])
        for block in range(len(out)):
            transpose(panel[block * 64 : block * 64 + 64], square)
            copy_rows(square, out[block, first:last])


@compiled
def gradients_from_background(
    layer: Layer,
    grad_outputs: Floats,
    inputs: Inputs,
    batch: Batch,
    panel: Floats,
    square: Floats,
    weight_gradient: Floats,
    bias_gradient: Floats,
) -> None:
    """The gradients of weights and bias of a BACKGROUND layer, for a whole batch.

    With inputs x = background + d, the sum over examples of x times gradient is the background
    times the sum of the gradients, which is the bias's gradient, plus the sum of d times gradient.

    Args:
        layer: its sizes.
        grad_outputs: gradients of its outputs, ``[blocks, outputs, 64]``.
        inputs: where the background is.
        batch: the differences d, by input.
        panel: scratch, ``[blocks * 64, 64]``.
        square: scratch, ``[64, 64]``.
        weight_gradient: ``[panels, inputs, 64]``, flat; overwritten.
        bias_gradient: ``[outputs]``; overwritten.
    """
    shape = (len(weight_gradient) // (layer.inputs * 64), layer.inputs, 64)
    matrix = weight_gradient.reshape(shape)
    for block in range(len(grad_outputs)):
        add_columns(grad_outputs[block], block > 0, bias_gradient)
    for number in range(shape[0]):
        first, last = number * 64, min(layer.outputs, number * 64 + 64)
        for block in range(len(grad_outputs)):
            clear(square[last - first :])
            copy_rows(grad_outputs[block, first:last], square[: last - first])
            transpose(square, panel[block * 64 : block * 64 + 64])
        total = square[:1]
        for lane in range(64):
            total[0, lane] = bias_gradient[first + lane] if first + lane < last else 0
        shifted_product(
            batch.starts_back,
            batch.columns_back,
            batch.values_back,
            panel,
            total,
            inputs.background,
            matrix[number],
        )
    for i in range(len(layer.kept)):
        weight_gradient[i] *= layer.kept[i]


@compiled
def activate(layer: Layer, outputs: Floats) -> None:
    """Apply the layer's activation in place; NaN stays NaN."""
    if layer.activation == RELU:
        for row in range(outputs.shape[0]):
            for lane in range(outputs.shape[1]):
                value = outputs[row, lane]
                outputs[row, lane] = outputs.dtype.type(0) if value < 0 else value
    elif layer.activation == TANH:
        for row in range(outputs.shape[0]):
            for lane in range(outputs.shape[1]):
                outputs[row, lane] = math.tanh(outputs[row, lane])


@compiled
def backward_activation(layer: Layer, outputs: Floats, grad_outputs: Floats) -> None:
    """Turn the gradients of the activation's outputs into those of its inputs, in place."""
    if layer.activation == RELU:
        for row in range(outputs.shape[0]):
            for lane in range(outputs.shape[1]):
                if outputs[row, lane] <= 0:
                    grad_outputs[row, lane] = 0
    elif layer.activation == TANH:
        for row in range(outputs.shape[0]):
            for lane in range(outputs.shape[1]):
                value = outputs[row, lane]
                grad_outputs[row, lane] *= outputs.dtype.type(1) - value * value
