"""Optimizer steps against torch's own optimizers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lottery.testing.samples import OPTIMIZERS
from lottery.training import OptimizerConfig
from lottery.training.engines.sparse_cpu.optimizers import optimizer_numbers, update

Array = NDArray[Any]

STEPS = 30
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}

# By step and weight; now and then there is no gradient, and one weight never has any.
GRADIENTS = np.random.default_rng(0).normal(size=(STEPS, 67))
GRADIENTS[3::7] = 0.0
GRADIENTS[:, 5] = 0.0
RATES = 0.02 * (1 + np.cos(np.arange(STEPS)))


@st.composite
def adams(draw: st.DrawFn) -> OptimizerConfig:
    return OptimizerConfig(
        name="adam",
        beta1=draw(st.sampled_from([0.0, 0.5, 0.9, 0.99])),
        beta2=draw(st.sampled_from([0.0, 0.9, 0.999])),
        epsilon=draw(st.sampled_from([1e-8, 1e-3, 1.0])),
        weight_decay=draw(st.sampled_from([0.0, 1e-4, 0.3])),
    )


@st.composite
def descents(draw: st.DrawFn) -> OptimizerConfig:
    momentum = draw(st.sampled_from([0.0, 0.5, 0.9]))
    return OptimizerConfig(
        name="sgd",
        momentum=momentum,
        nesterov=draw(st.booleans()) if momentum else False,
        weight_decay=draw(st.sampled_from([0.0, 1e-4, 0.3])),
    )


def torch_optimizer(config: OptimizerConfig, weights: torch.Tensor) -> torch.optim.Optimizer:
    if config.name == "adam":
        return torch.optim.Adam(
            [weights],
            betas=(config.beta1, config.beta2),
            eps=config.epsilon,
            weight_decay=config.weight_decay,
            foreach=False,
        )
    return torch.optim.SGD(
        [weights],
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
        foreach=False,
    )


def check(config: OptimizerConfig, dtype: torch.dtype) -> None:
    expected = torch.linspace(-1, 1, GRADIENTS.shape[1], dtype=dtype, requires_grad=True)
    optimizer = torch_optimizer(config, expected)
    weights: Array = expected.detach().numpy().copy()
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for step, rate in enumerate(RATES):
        gradient = torch.from_numpy(GRADIENTS[step]).to(dtype)
        optimizer.param_groups[0]["lr"] = rate
        expected.grad = gradient.clone()
        optimizer.step()

        given = gradient.numpy().copy()
        update(optimizer_numbers(config), rate, step, weights, given, first, second)

        tolerance = TOLERANCE[dtype]
        np.testing.assert_allclose(
            weights, expected.detach().numpy(), rtol=tolerance, atol=tolerance, err_msg=f"{step}"
        )
        np.testing.assert_array_equal(given, gradient.numpy())


@given(adams() | descents())
@settings(max_examples=60, deadline=None)
def test_steps_in_double_precision_are_torchs(config: OptimizerConfig) -> None:
    assert not config.problems()
    check(config, torch.float64)


@pytest.mark.parametrize("config", OPTIMIZERS.values(), ids=list(OPTIMIZERS))
def test_steps_in_single_precision_are_torchs(config: OptimizerConfig) -> None:
    check(config, torch.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("config", OPTIMIZERS.values(), ids=list(OPTIMIZERS))
def test_what_is_zero_and_has_no_gradient_stays_zero(
    config: OptimizerConfig, dtype: type[np.floating[Any]]
) -> None:
    """A pruned weight in a form that keeps all: no trace of it may ever appear."""
    weights, gradient, first, second = np.zeros((4, 33), dtype)

    for step in range(STEPS):
        update(optimizer_numbers(config), 0.1, step, weights, gradient, first, second)

    for array in (weights, first, second):
        assert array.tobytes() == bytes(array.nbytes)


def test_nothing_to_train_is_no_trouble() -> None:
    for config in OPTIMIZERS.values():
        update(optimizer_numbers(config), 0.1, 0, *np.zeros((4, 0), np.float32))
