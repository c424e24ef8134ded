"""Losses against their formulas, value and gradient."""

from __future__ import annotations

import pytest
import torch

from lottery.training.config import LossName
from lottery.training.loss import batch_loss

OUTPUTS = torch.tensor([[0.5, -1.0, 2.0], [0.0, 0.25, -3.0]], dtype=torch.float64)
TARGETS = torch.tensor([2, 0])
WANTED = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], dtype=torch.float64)


def test_the_squared_error_is_a_mean_over_examples_and_outputs() -> None:
    expected = (0.25 + 1.0 + 1.0 + 1.0 + 0.0625 + 9.0) / 6

    assert float(batch_loss("mse", OUTPUTS, TARGETS)) == pytest.approx(expected)
    assert float(batch_loss("mse", OUTPUTS, TARGETS, reduction="sum")) == pytest.approx(
        2 * expected
    )


@pytest.mark.parametrize("name", ["cross-entropy", "mse"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_those_of_the_formulas(name: LossName, dtype: torch.dtype) -> None:
    outputs = OUTPUTS.to(dtype, copy=True).requires_grad_()

    loss = batch_loss(name, outputs, TARGETS)
    loss.backward()

    assert loss.dtype == dtype
    expected = {
        "cross-entropy": (OUTPUTS.softmax(dim=1) - WANTED) / 2,
        "mse": 2 * (OUTPUTS - WANTED) / 6,
    }
    torch.testing.assert_close(outputs.grad, expected[name].to(dtype))


@pytest.mark.parametrize("name", ["cross-entropy", "mse"])
def test_the_sum_is_the_mean_times_the_examples(name: LossName) -> None:
    mean = batch_loss(name, OUTPUTS, TARGETS)

    torch.testing.assert_close(batch_loss(name, OUTPUTS, TARGETS, reduction="sum"), 2 * mean)
