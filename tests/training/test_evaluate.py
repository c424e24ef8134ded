"""Evaluation against numpy in double precision, and the retroactive early stop."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lottery.data import Dataset, Split
from lottery.training import CurvePoint, early_stop_iteration, evaluate
from lottery.training.config import LossName
from lottery.training.evaluate import evaluation_batch


def measured(
    model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor, loss: LossName = "cross-entropy"
) -> tuple[float, float]:
    """Loss and accuracy on a test split; the others say something else."""
    other = Split(inputs[:1] - 1.0, targets[:1])
    data = Dataset(
        name="made up", train=other, validation=other, test=Split(inputs, targets), classes=9
    )
    return evaluate(model, data, "test", loss)


def naive(logits: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    """Mean cross-entropy and accuracy, one example at a time."""
    losses, right = [], 0
    for row, target in zip(logits.astype(np.float64), targets, strict=True):
        top = row.max()
        losses.append(top + math.log(np.exp(row - top).sum()) - row[target])
        right += int(row.argmax() == target)
    return math.fsum(losses) / len(losses), right / len(losses)


@pytest.mark.parametrize("size", [1, 2, 99, 100, 101, 2_501])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_agrees_with_numpy_at_any_size(size: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(size)
    inputs = torch.randn(size, 4, generator=generator)
    targets = torch.randint(0, 4, (size,), generator=generator)

    loss, accuracy = measured(nn.Identity(), inputs * scale, targets)

    expected = naive((inputs * scale).numpy(), targets.numpy())
    assert loss == pytest.approx(expected[0], rel=1e-6)
    assert accuracy == expected[1]


class Widest(nn.Module):
    """Notes the largest batch it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.most = max(self.most, len(inputs))
        return inputs.flatten(1)[:, :9]


@pytest.mark.parametrize(
    ("shape", "most"), [((1, 28, 28), 100), ((3, 32, 32), 100), ((3, 224, 224), 51)]
)
def test_large_images_come_in_smaller_batches(shape: tuple[int, ...], most: int) -> None:
    model = Widest()
    targets = torch.zeros(120, dtype=torch.int64)
    inputs = torch.randn(120, 1, 1, 1).expand(120, *shape)
    _, accuracy = measured(model, inputs, targets)
    assert model.most == most
    assert accuracy == 1  # all outputs are equal, and the first of equals is class 0


@pytest.mark.parametrize(("side", "most"), [(32, 2_500), (64, 625), (224, 51), (4_096, 1)])
def test_a_gpu_is_given_more_at_once(side: int, most: int) -> None:
    assert evaluation_batch((3, side, side), torch.device("cuda")) == most


@pytest.mark.parametrize("size", [1, 99, 101])
def test_the_squared_error_agrees_with_numpy(size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    outputs = torch.randn(size, 4, generator=generator)
    targets = torch.randint(0, 4, (size,), generator=generator)

    loss, accuracy = measured(nn.Identity(), outputs, targets, "mse")

    wanted = np.eye(4)[targets.numpy()]
    assert loss == pytest.approx(((outputs.double().numpy() - wanted) ** 2).mean(), rel=1e-6)
    assert accuracy == naive(outputs.numpy(), targets.numpy())[1]


def test_the_mean_is_over_examples_and_not_over_batches() -> None:
    """2,500 examples without loss and one with much: a mean of batch means would be half of it."""
    logits = torch.zeros(2_501, 2)
    logits[:, 0] = 1_000.0
    targets = torch.zeros(2_501, dtype=torch.int64)
    targets[-1] = 1

    loss, accuracy = measured(nn.Identity(), logits, targets)

    assert loss == pytest.approx(1_000 / 2_501)
    assert accuracy == 2_500 / 2_501


@pytest.mark.parametrize("training", [True, False])
def test_measures_in_evaluation_mode_and_puts_the_mode_back(training: bool) -> None:
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5)).train(training)
    inputs, targets = torch.full((5, 3), 2.0), torch.zeros(5, dtype=torch.int64)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    first, second = (measured(model, inputs, targets) for _ in range(2))

    assert first == second
    assert first[0] == pytest.approx(math.log(3))
    assert model.training is training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_needs_no_gradient_and_leaves_none() -> None:
    model = nn.Linear(3, 2)

    measured(model, torch.ones(2, 3), torch.tensor([0, 1]))

    assert model.weight.grad is None


def test_losses_that_are_not_finite_are_told() -> None:
    logits = torch.tensor([[0.0, 1.0], [math.nan, 0.0]])

    loss, _ = measured(nn.Identity(), logits, torch.tensor([0, 1]))

    assert math.isnan(loss)


points = st.lists(st.tuples(st.sampled_from([0.5, 1.0, 2.0]), st.floats(0, 3)), min_size=1)


@given(points)
@settings(max_examples=60, deadline=None)
def test_early_stop_is_the_first_minimum_of_validation(losses: list[tuple[float, float]]) -> None:
    curve = []
    for number, (validation, test) in enumerate(losses):
        curve.append(CurvePoint.measured(number * 100, "validation", validation, 0.0))
        curve.append(CurvePoint.measured(number * 100, "test", test, 1.0))
    lowest = [validation for validation, _ in losses]

    assert early_stop_iteration(curve) == 100 * lowest.index(min(lowest))


def test_early_stop_looks_at_loss_and_not_at_accuracy_or_the_test_split() -> None:
    curve = [
        CurvePoint.measured(0, "validation", 2.0, 0.9),
        CurvePoint.measured(0, "test", 0.1, 0.9),
        CurvePoint.measured(5, "validation", 1.0, 0.1),
        CurvePoint.measured(5, "test", 3.0, 0.1),
    ]

    assert early_stop_iteration(curve) == 5


def test_early_stop_of_nothing() -> None:
    with pytest.raises(ValueError, match="at least one validation point"):
        early_stop_iteration([CurvePoint.measured(0, "test", 1.0, 0.5)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_inputs_come_normalized_and_in_the_type_of_the_weights(dtype: torch.dtype) -> None:
    seen = []

    class Looks(nn.Linear):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            seen.append(inputs)
            return super().forward(inputs)

    split = Split(torch.tensor([[0, 255]], dtype=torch.uint8), torch.tensor([1]))
    data = Dataset(
        name="bytes",
        train=split,
        validation=split,
        test=split,
        classes=2,
        mean=(0.5,),
        deviation=(0.25,),
    )

    evaluate(Looks(2, 2).to(dtype), data, "validation")

    torch.testing.assert_close(seen[0], torch.tensor([[-2.0, 2.0]], dtype=dtype))
