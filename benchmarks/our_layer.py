"""The same sparse layer with the kernels of the engine ``sparse_cpu``.

The one place where the benchmarks look inside an engine; all else goes through its interface.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import numpy as np

from benchmarks.figure import Figure
from benchmarks.layer import INPUTS, OUTPUTS, Floats, Layer, make_layer
from benchmarks.timing import call_seconds
from lottery.training.engines.sparse_cpu import layers, passes
from lottery.training.engines.sparse_cpu.compiled import compiled
from lottery.training.engines.sparse_cpu.network import LinearLayer
from lottery.training.engines.sparse_cpu.vectors import LANES


def step(*, density: float, batch: int, quick: bool) -> Figure:
    """Seconds of one forward pass and both gradients; a bias and its gradient besides.

    Args:
        density: share of the weights that are kept.
        batch: examples; 64, which is what the kernels work on at a time.
        quick: hardly any calls.
    """
    if batch != LANES:
        raise ValueError(f"expected a batch of {LANES}, got {batch}")
    layer = make_layer(density, batch)
    call, results = _kernels(layer)
    call()
    layer.check(*results())
    blocks, calls = (1, 5) if quick else (20, 200)
    samples = call_seconds(call, blocks=blocks, calls=calls)
    return Figure(value=statistics.median(samples), unit="s", samples=samples)


Results = Callable[[], tuple[Floats, Floats, Floats]]
"""Outputs, gradients of the weights and of the inputs of the latest call."""


def _kernels(layer: Layer) -> tuple[Callable[[], None], Results]:
    linear = LinearLayer(name="measured", inputs=INPUTS, outputs=OUTPUTS)
    form = layers.make_layer(layers.SPARSE, linear, layer.mask)
    weights = _aligned(layers.pack(form, layer.weights))
    weight_gradients, scratch = _aligned(0 * weights), _aligned(0 * weights)
    bias, bias_gradients = np.zeros((2, OUTPUTS), np.float32)
    inputs, given = _aligned(layer.inputs.T), _aligned(layer.output_gradients.T)
    input_gradients, outputs = _aligned(0 * inputs), _aligned(0 * given)
    gradients = (weight_gradients, bias_gradients, input_gradients)

    def call() -> None:
        _forward_and_back(form, (weights, bias), inputs, given, scratch, outputs, gradients)

    def results() -> tuple[Floats, Floats, Floats]:
        return outputs.T, layers.unpack(form, weight_gradients), input_gradients.T

    return call, results


@compiled
def _forward_and_back(
    form: layers.Layer,
    parameters: tuple[Floats, Floats],
    inputs: Floats,
    given: Floats,
    scratch: Floats,
    outputs: Floats,
    gradients: tuple[Floats, Floats, Floats],
) -> None:
    # In compiled code, as in the engine's loop.
    weights, bias = parameters
    passes.forward(form, weights, bias, inputs, outputs)
    passes.add_gradients(form, given, inputs, 0, scratch, gradients[0], gradients[1])
    passes.backward_input(form, weights, given, scratch, gradients[2])


def _aligned(values: Floats) -> Floats:
    """A copy that starts on a cache line, as the engine's own arrays do."""
    raw = np.zeros(values.nbytes + 64, np.uint8)
    start = -raw.ctypes.data % 64
    out: Floats = raw[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    out[:] = values
    return out
