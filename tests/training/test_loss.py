"""Losses against their formulas, value and gradient."""

from __future__ import annotations

from typing import Literal

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


@pytest.mark.parametrize("share", [0.0, 0.1, 0.75])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_label_smoothing_is_that_of_its_formula(
    share: float, reduction: Literal["mean", "sum"]
) -> None:
    """Cross-entropy against (1 - share) of the target and share / classes of every class."""
    shares = OUTPUTS.exp() / OUTPUTS.exp().sum(dim=1, keepdim=True)
    wanted = (1 - share) * WANTED + share / 3
    each = -(wanted * shares.log()).sum(dim=1)
    expected = each.mean() if reduction == "mean" else each.sum()

    got = batch_loss("cross-entropy", OUTPUTS, TARGETS, reduction=reduction, label_smoothing=share)

    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("name", ["cross-entropy", "mse"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_losses_of_short_outputs_are_in_single_precision(
    name: LossName, dtype: torch.dtype
) -> None:
    short = OUTPUTS.to(dtype)

    loss = batch_loss(name, short, TARGETS)

    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, batch_loss(name, short.float(), TARGETS))
