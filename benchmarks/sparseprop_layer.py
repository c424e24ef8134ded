"""A sparse layer in SparseProp (Nikdan et al. 2023, arXiv:2302.04852).

Runs in an environment of its own, see requirements-sparseprop.txt: nothing of lottery is imported.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import torch
from scipy.sparse import csr_matrix
from sparseprop import backend  # type: ignore[import-not-found]
from sparseprop.modules import SparseLinear  # type: ignore[import-not-found]

from benchmarks.figure import Figure
from benchmarks.layer import INPUTS, OUTPUTS, Floats, Layer, make_layer
from benchmarks.timing import call_seconds


def step(*, density: float, batch: int, through: str, quick: bool) -> Figure:
    """Seconds of one forward pass and both gradients.

    Args:
        density: share of the weights that are kept.
        batch: examples.
        through: ``kernels`` calls the compiled functions with arrays laid out as they want them;
            ``module`` calls the layer as a user of PyTorch does, with autograd and transposes.
        quick: hardly any calls.
    """
    torch.set_num_threads(1)
    layer = make_layer(density, batch)
    call, results = _kernels(layer) if through == "kernels" else _module(layer)
    call()
    layer.check(*results())
    blocks, calls = (1, 5) if quick else (20, 200)
    samples = call_seconds(call, blocks=blocks, calls=calls)
    details = {"versions": {"sparseprop": version("sparseprop"), "torch": torch.__version__}}
    return Figure(value=statistics.median(samples), unit="s", samples=samples, details=details)


Results = Callable[[], tuple[Floats, Floats, Floats]]
"""Outputs, gradients of the weights and of the inputs of the latest call."""


def _kernels(layer: Layer) -> tuple[Callable[[], None], Results]:
    weights = csr_matrix(layer.weights)
    inputs = np.ascontiguousarray(layer.inputs.T)
    given = np.ascontiguousarray(layer.output_gradients.T)
    outputs = np.zeros_like(given)
    input_gradients, weight_gradients = np.zeros_like(inputs), np.zeros_like(weights.data)
    places = (weights.indptr, weights.indices, weights.data)

    def call() -> None:
        # The functions add to both of these.
        outputs.fill(0)
        input_gradients.fill(0)
        backend.sparse_linear_vectorized_forward(inputs, *places, outputs)
        backend.sparse_linear_vectorized_backward(
            inputs, *places, given, input_gradients, weight_gradients
        )

    def results() -> tuple[Floats, Floats, Floats]:
        return outputs.T, _dense(weights, weight_gradients), input_gradients.T

    return call, results


def _module(layer: Layer) -> tuple[Callable[[], None], Results]:
    linear = torch.nn.Linear(INPUTS, OUTPUTS, bias=False)
    linear.weight.data = torch.from_numpy(layer.weights)
    sparse = SparseLinear.from_dense(linear)
    inputs = torch.from_numpy(layer.inputs).requires_grad_()
    given = torch.from_numpy(layer.output_gradients)
    outputs = torch.empty(0)

    def call() -> None:
        nonlocal outputs
        inputs.grad = sparse.W_val.grad = None
        outputs = sparse(inputs)
        outputs.backward(given)

    def results() -> tuple[Floats, Floats, Floats]:
        assert inputs.grad is not None
        gradients = _dense(csr_matrix(layer.weights), sparse.W_val.grad.numpy())
        return outputs.detach().numpy(), gradients, inputs.grad.numpy()

    return call, results


def _dense(weights: csr_matrix[np.float32], values: Floats) -> Floats:
    """Values of the kept weights, in the order of rows, as a dense matrix."""
    dense: Floats = csr_matrix((values, weights.indices, weights.indptr), weights.shape).toarray()
    return dense
