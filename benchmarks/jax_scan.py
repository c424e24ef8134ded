"""The same training step in JAX: an epoch is one compiled ``scan``.

Runs in an environment of its own, see requirements-jax.txt: nothing of lottery is imported, and
the examples come in an .npz file.
"""

from __future__ import annotations

import itertools
import statistics
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax  # type: ignore[import-not-found]
import jax.numpy as jnp  # type: ignore[import-not-found]
import numpy as np

from benchmarks.figure import Figure
from benchmarks.timing import seconds

BATCH, LEARNING_RATE = 60, 1.2e-3
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
WIDTHS = (784, 300, 100, 10)


def step(*, examples: Path, quick: bool) -> Figure:
    """Steps a second of one dense network on all cores.

    Args:
        examples: an .npz with ``train_inputs``, ``train_targets``, ``test_inputs`` and
            ``test_targets``.
        quick: hardly any steps.
    """
    with np.load(examples, allow_pickle=False) as arrays:
        data = {name: jnp.asarray(arrays[name]) for name in arrays.files}
    steps, epochs = (20, 1) if quick else (len(data["train_targets"]) // BATCH, 5)
    rng = np.random.default_rng(0)
    state = _initial(jax.random.key(0))
    masks = [jnp.ones_like(weight) for weight, _ in state["parameters"]]

    def epoch() -> None:
        nonlocal state
        order = rng.permutation(len(data["train_targets"]))[: steps * BATCH]
        batches = jnp.asarray(order.reshape(steps, BATCH).astype(np.int32))
        state = jax.block_until_ready(
            _scan(state, masks, batches, data["train_inputs"], data["train_targets"])
        )

    epoch()  # compiles
    times = [seconds(epoch) for _ in range(epochs)]
    rates = tuple(steps / time for time in times)
    right = _logits(state["parameters"], data["test_inputs"]).argmax(1) == data["test_targets"]
    details = {
        "iterations": steps * (1 + epochs),
        "test_accuracy": float(right.mean()),
        "versions": {"jax": version("jax"), "jaxlib": version("jaxlib")},
    }
    return Figure(value=statistics.median(rates), unit="steps/s", samples=rates, details=details)


def _initial(key: Any) -> dict[str, Any]:
    """Gaussian Glorot weights, zero biases, and the state of Adam."""
    shapes = list(itertools.pairwise(WIDTHS))
    parameters = [
        (jax.random.normal(k, shape) * (2 / sum(shape)) ** 0.5, jnp.zeros(shape[1]))
        for k, shape in zip(jax.random.split(key, len(shapes)), shapes, strict=True)
    ]
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    return {
        "parameters": parameters,
        "means": zeros,
        "squares": zeros,
        "steps": jnp.float32(0),
    }


def _logits(parameters: Any, inputs: Any) -> Any:
    *hidden, (weight, bias) = parameters
    for w, b in hidden:
        inputs = jax.nn.relu(inputs @ w + b)
    return inputs @ weight + bias


def _loss(parameters: Any, inputs: Any, targets: Any) -> Any:
    log_likelihoods = jax.nn.log_softmax(_logits(parameters, inputs))
    return -jnp.take_along_axis(log_likelihoods, targets[:, None], axis=1).mean()


@jax.jit  # type: ignore[untyped-decorator]
def _scan(state: Any, masks: Any, batches: Any, inputs: Any, targets: Any) -> Any:
    """As many steps as there are batches of example indices, int32 ``[steps, BATCH]``."""

    def one(state: Any, batch: Any) -> tuple[Any, None]:
        gradients = jax.grad(_loss)(state["parameters"], inputs[batch], targets[batch])
        return _adam(state, masks, gradients), None

    return jax.lax.scan(one, state, batches)[0]


def _adam(state: Any, masks: Any, gradients: Any) -> Any:
    """One step of Adam, and the masks on the weights."""
    steps = state["steps"] + 1
    means = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, state["means"], gradients)
    squares = jax.tree.map(
        lambda v, g: BETA2 * v + (1 - BETA2) * g * g, state["squares"], gradients
    )
    rate, root = LEARNING_RATE / (1 - BETA1**steps), jnp.sqrt(1 - BETA2**steps)
    moved = jax.tree.map(
        lambda p, m, v: p - rate * m / (jnp.sqrt(v) / root + EPSILON),
        state["parameters"],
        means,
        squares,
    )
    masked = [(w * mask, b) for (w, b), mask in zip(moved, masks, strict=True)]
    return {"parameters": masked, "means": means, "squares": squares, "steps": steps}
