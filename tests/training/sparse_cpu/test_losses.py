"""Losses and their grad_outputs against torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lottery.training.config import LossName
from lottery.training.engines.sparse_cpu.losses import (
    CROSS_ENTROPY,
    MSE,
    grad_outputs,
    loss_and_correct,
)
from lottery.training.loss import batch_loss

Array = NDArray[Any]

LANES = 64
NUMBERS: dict[LossName, int] = {"cross-entropy": CROSS_ENTROPY, "mse": MSE}
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6}

LOSSES: list[LossName] = ["cross-entropy", "mse"]
every_loss = pytest.mark.parametrize("loss", LOSSES)
every_precision = pytest.mark.parametrize("dtype", list(TOLERANCE), ids=["double", "single"])
quick = settings(max_examples=60, deadline=None)


def logits(
    classes: int, lanes: int, scale: float, dtype: torch.dtype, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor, Array, NDArray[np.int64]]:
    """Examples and their classes as torch has them, and side by side with other things beyond."""
    generator = np.random.default_rng(seed)
    outputs = torch.from_numpy(generator.normal(size=(lanes, classes)) * scale).to(dtype)
    targets = torch.from_numpy(generator.integers(0, classes, lanes))
    beside = np.full((classes, LANES), np.nan, outputs.numpy().dtype)
    beside[:, :lanes] = outputs.numpy().T
    classes_beside = np.full(LANES, 10**6)
    classes_beside[:lanes] = targets.numpy()
    return outputs.requires_grad_(), targets, beside, classes_beside


def check_gradients(
    loss: LossName, classes: int, lanes: int, scale: float, more: int, dtype: torch.dtype
) -> None:
    """Of a block of a batch that has so many examples more."""
    outputs, targets, beside, classes_beside = logits(classes, lanes, scale, dtype)
    before, out = beside.copy(), np.full_like(beside, 7.0)
    loss_sum = batch_loss(loss, outputs, targets, reduction="sum")
    (loss_sum / (lanes + more)).backward()
    assert outputs.grad is not None

    got = grad_outputs(NUMBERS[loss], beside, classes_beside, lanes, lanes + more, out)

    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(got, loss_sum.item(), rtol=tolerance, atol=tolerance)
    expected_gradients = outputs.grad.numpy().T
    largest = float(np.abs(expected_gradients).max())
    np.testing.assert_allclose(
        out[:, :lanes], expected_gradients, rtol=tolerance, atol=tolerance * largest
    )
    assert (out[:, lanes:] == 0).all()
    np.testing.assert_array_equal(beside, before)


@every_loss
@given(
    classes=st.integers(1, 12),
    lanes=st.integers(1, LANES),
    scale=st.sampled_from([0.0, 0.1, 1.0, 30.0, 1e4]),
    more=st.sampled_from([0, 1, 64, 936]),
)
@quick
def test_slopes_in_double_precision(
    loss: LossName, classes: int, lanes: int, scale: float, more: int
) -> None:
    check_gradients(loss, classes, lanes, scale, more, torch.float64)


@every_loss
@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_slopes_in_single_precision(loss: LossName, classes: int, scale: float) -> None:
    check_gradients(loss, classes, 60, scale, 4, torch.float32)


@every_precision
@every_loss
@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_what_is_measured(loss: LossName, classes: int, scale: float, dtype: torch.dtype) -> None:
    outputs, targets, beside, classes_beside = logits(classes, 61, scale, dtype)
    expected = batch_loss(loss, outputs.double(), targets, reduction="sum").item()

    total, right = loss_and_correct(NUMBERS[loss], beside, classes_beside, 61)

    np.testing.assert_allclose(total, expected, rtol=TOLERANCE[dtype])
    assert right == int((outputs.argmax(1) == targets).sum())


@every_precision
@pytest.mark.parametrize("logit", [-1e4, 0.0, 1e4])
def test_extreme_logits_neither_overflow_nor_vanish(logit: float, dtype: torch.dtype) -> None:
    """One class far from the others: what torch makes of it, and never an infinity."""
    beside = np.zeros((10, LANES), np.float64 if dtype == torch.float64 else np.float32)
    beside[3] = logit
    targets = np.arange(LANES) % 10
    outputs = torch.from_numpy(beside.T.copy()).requires_grad_()
    loss_sum = batch_loss("cross-entropy", outputs, torch.from_numpy(targets), reduction="sum")
    (loss_sum / LANES).backward()
    assert outputs.grad is not None
    out = np.empty_like(beside)

    got = grad_outputs(CROSS_ENTROPY, beside, targets, LANES, LANES, out)

    np.testing.assert_allclose(got, loss_sum.item(), rtol=TOLERANCE[dtype])
    np.testing.assert_allclose(out, outputs.grad.numpy().T, rtol=0, atol=TOLERANCE[dtype])
    assert loss_and_correct(CROSS_ENTROPY, beside, targets, LANES)[0] == pytest.approx(
        got, rel=1e-6
    )


@given(st.lists(st.sampled_from([-1.0, 0.0, 2.0]), min_size=4, max_size=4), st.integers(0, 3))
@quick
def test_of_equal_outputs_the_first_is_the_prediction(row: list[float], target: int) -> None:
    outputs = np.repeat(np.array(row)[:, None], LANES, axis=1)
    predicted = int(torch.tensor([row]).argmax(dim=1))
    assert predicted == row.index(max(row))

    _, right = loss_and_correct(CROSS_ENTROPY, outputs, np.full(LANES, target), LANES)

    assert right == LANES * (predicted == target)


@every_precision
@every_loss
@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_is_seen(
    loss: LossName, broken: float, dtype: torch.dtype
) -> None:
    for row in range(3):
        _, _, beside, targets = logits(3, LANES, 1.0, dtype)
        beside[row, 17] = broken
        targets[17] = 1
        assert not np.isfinite(loss_and_correct(NUMBERS[loss], beside, targets, LANES)[0])
        assert not np.isfinite(
            grad_outputs(NUMBERS[loss], beside, targets, LANES, LANES, np.empty_like(beside))
        )
