"""The one sparse layer that the row ``sparse-layer`` measures: 784 -> 300, in numpy.

Both sides get the same numbers and must give the same results as dense algebra.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

INPUTS, OUTPUTS = 784, 300

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A sparse layer, one batch, and the gradient of the loss with respect to its outputs.

    Args:
        mask: what is kept, bool ``[OUTPUTS, INPUTS]``.
        weights: zero where not kept, ``[OUTPUTS, INPUTS]``.
        inputs: ``[batch, INPUTS]``.
        output_gradients: ``[batch, OUTPUTS]``.
    """

    mask: NDArray[np.bool_]
    weights: Floats
    inputs: Floats
    output_gradients: Floats

    def check(self, outputs: Floats, weight_gradients: Floats, input_gradients: Floats) -> None:
        """Compare with dense algebra; ``weight_gradients`` are ``[OUTPUTS, INPUTS]``.

        Raises:
            AssertionError: they differ by more than rounding.
        """
        for got, expected in (
            (outputs, self.inputs @ self.weights.T),
            (weight_gradients, self.output_gradients.T @ self.inputs * self.mask),
            (input_gradients, self.output_gradients @ self.weights),
        ):
            np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)


def make_layer(density: float, batch: int) -> Layer:
    """A layer that keeps a share ``density`` of its weights, at random places."""
    rng = np.random.default_rng(0)
    size = OUTPUTS * INPUTS
    kept = np.zeros(size, dtype=np.bool_)
    kept[rng.choice(size, round(density * size), replace=False)] = True
    mask = kept.reshape(OUTPUTS, INPUTS)

    def normal(*shape: int) -> Floats:
        return rng.standard_normal(shape, dtype=np.float32)

    return Layer(
        mask=mask,
        weights=normal(OUTPUTS, INPUTS) * mask,
        inputs=normal(batch, INPUTS),
        output_gradients=normal(batch, OUTPUTS),
    )
