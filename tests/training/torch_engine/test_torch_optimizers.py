"""Clipping and weight decay of the torch engine against torch's own and the formulas."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lottery.testing.expect import same_bytes
from lottery.testing.running import in_precision, train_done
from lottery.testing.samples import OPTIMIZERS, convolutional, tiny_config, tiny_job
from lottery.training import Length, OptimizerConfig, TrainingJob
from lottery.training.engines.torch_engine import TorchEngine
from lottery.training.engines.torch_engine.optimizers import clip_gradients, make_optimizer

SGD = OPTIMIZERS["SGD"]


def with_gradients(seed: int, scale: float) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    parameters = []
    for shape in ((3, 4), (3,), (2, 1, 2, 2), ()):
        parameters.append(nn.Parameter(torch.zeros(shape, dtype=torch.float64)))
        values = torch.randn(shape, generator=generator, dtype=torch.float64)
        parameters[-1].grad = scale * values
    return [*parameters, nn.Parameter(torch.zeros(2))]


@given(st.integers(0, 1_000), st.floats(0, 100), st.floats(1e-3, 100))
@settings(max_examples=40, deadline=None)
def test_clipping_is_that_of_torch(seed: int, scale: float, most: float) -> None:
    ours, theirs = with_gradients(seed, scale), with_gradients(seed, scale)

    clip_gradients(ours, most)
    torch.nn.utils.clip_grad_norm_(theirs, most)

    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-12, atol=0)


@pytest.mark.parametrize("value", [torch.inf, torch.nan])
def test_a_norm_that_is_not_finite_leaves_zeros_zero(value: float) -> None:
    parameter = nn.Parameter(torch.zeros(3))
    parameter.grad = torch.tensor([0.0, 2.0, value])

    clip_gradients([parameter], 1.0)

    torch.testing.assert_close(
        parameter.grad, torch.tensor([0.0, 2.0, value]), rtol=0, atol=0, equal_nan=True
    )


def one_step(most: float) -> TrainingJob:
    config = replace(tiny_config(SGD, base=0.5, length=1), clip_gradients=most)
    job = in_precision(tiny_job(config, density=0.3), torch.float64)
    return replace(job, config=replace(config, length=Length(amount=1)))


@pytest.mark.parametrize("most", [0.05, 1e6])
def test_the_norm_is_over_what_survives(most: float) -> None:
    """One step of gradient descent: its length is the rate times the clipped norm."""
    job = one_step(most)
    model = job.make_model().double()
    model.load_state_dict(job.mask.apply(job.start))
    chosen = torch.randperm(27, generator=job.streams.generator("order", 0))[:8]
    inputs = job.data.train.inputs[chosen].double()
    nn.functional.cross_entropy(model(inputs), job.data.train.targets[chosen]).backward()
    found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    gradients = {
        name: torch.where(job.mask[name], gradient, 0.0) if name in job.mask else gradient
        for name, gradient in found.items()
    }
    norm, whole = (
        float(torch.cat([gradient.flatten() for gradient in some.values()]).norm())
        for some in (gradients, found)
    )
    assert whole > 1.05 * norm > 1.05 * 0.05, "the test's own gradient does not tell"

    final = train_done(TorchEngine(), job).final

    factor = min(1.0, most / (norm + 1e-6))
    start = job.mask.apply(job.start)
    for name, gradient in gradients.items():
        expected = start[name] - 0.5 * factor * gradient
        torch.testing.assert_close(final[name], expected, rtol=0, atol=1e-12)


def test_decay_of_weights_alone_spares_biases_and_normalization() -> None:
    """With a gradient of zero, gradient descent is weight decay and nothing else."""
    model = convolutional()
    config = OptimizerConfig(name="sgd", weight_decay=0.1, decay="weights")
    optimizer = make_optimizer(config, model, torch.device("cpu"))
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for group in optimizer.param_groups:
        group["lr"] = 1.0
    optimizer.step()

    decayed = {
        name for name, value in model.named_parameters() if not same_bytes(value, before[name])
    }
    assert decayed == {"0.weight", "5.weight"}
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(before)
    for name in decayed:
        torch.testing.assert_close(model.get_parameter(name).detach(), 0.9 * before[name])
