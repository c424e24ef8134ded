"""Checks of which units dropout drops, which show in the weights that a step does not change.

A dropped unit gives nothing to the layer above it, so the weights from it get no gradient; and it
passes no gradient on, so neither do the weights to it. That holds whatever an engine draws from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from lottery.core import Mask
from lottery.models.mlp import Activation
from lottery.testing.expect import copied, expect, expect_close
from lottery.testing.running import in_precision, loaded_model, train_done
from lottery.testing.samples import OPTIMIZERS, mlp_job, tiny_config, tiny_dataset
from lottery.training import Engine, State, TrainingJob
from lottery.training.loss import batch_loss

_EXAMPLES, _UNITS = 48, 250
_STEPS: Final = 6

# How many standard deviations chance may be off; about one comparison in a million is off by more.
_SIGMAS = 5.0


def check_dropped_units(engine: Engine) -> None:
    """Each unit of each example is dropped with the given probability, and the rest scaled up.

    Units and examples are independent. The step is the plain loop's with the same units dropped, in
    both precisions.
    """
    for share in (0.2, 0.9, 0.5):
        for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
            job = in_precision(_one_step(share), dtype)
            end = train_done(engine, job).final
            # The weight from an example's input to a kept unit has moved.
            kept = end["fc1.weight"].T != 0
            what = f"dropout of {share} in {dtype}"
            dropped = float((~kept).double().mean())
            _expect_share(dropped, share, kept.numel(), f"{what}, share dropped")
            expected = _plain_step(job, job.start, torch.arange(_EXAMPLES), [kept], share)
            expect_close(end, expected, tolerance, f"a step with {what}")
    for lag in range(1, _EXAMPLES // 2):
        _expect_half_agree(kept[lag:], kept[:-lag], f"examples {lag} apart")
    for lag in (*range(1, 33), 64, 128):
        _expect_half_agree(kept[:, lag:], kept[:, :-lag], f"units {lag} apart")


def check_dropped_units_of_layers_and_steps(engine: Engine) -> None:
    """Each layer and each step drops units of its own, and the steps are the plain loop's."""
    # A ReLU unit at rest cannot be told from a dropped one, so of these only the steps count.
    _two_layers(engine, "relu")
    steps = _two_layers(engine, "tanh")
    for number, (first, second) in enumerate(steps):
        _expect_half_agree(first, second, f"two layers, step {number}")
    for layer in (0, 1):
        for lag in range(1, _STEPS):
            one = torch.cat([step[layer] for step in steps[lag:]])
            other = torch.cat([step[layer] for step in steps[:-lag]])
            _expect_half_agree(one, other, f"hidden layer {layer + 1}, steps {lag} apart")


def _one_step(share: float) -> TrainingJob:
    """One SGD step from weights of zero on examples that each have an input of their own."""
    data = tiny_dataset(train=_EXAMPLES, input_shape=(1, 6, 8))
    inputs = torch.eye(_EXAMPLES).reshape(_EXAMPLES, 1, 6, 8)
    data = replace(data, train=replace(data.train, inputs=inputs))
    config = tiny_config(OPTIMIZERS["SGD"], length=1, batch_size=_EXAMPLES)
    job = mlp_job((_UNITS,), config, activation="tanh", dropout=share, density=1.0, data=data)
    start = copied(job.start)
    start["fc1.weight"].zero_()
    return replace(job, start=start)


def _two_layers(engine: Engine, activation: Activation) -> list[list[Tensor]]:
    """Which units of both layers each of a few steps keeps, having checked those steps.

    The output layer is dense, so that every unit of the second layer is seen there.
    """
    config = tiny_config(OPTIMIZERS["SGD"], base=0.01, length=_STEPS, batch_size=1)
    job = mlp_job(
        (_UNITS, _UNITS),
        config,
        activation=activation,
        dropout=0.5,
        density=0.3,
        snapshots_at=tuple(range(_STEPS + 1)),
    )
    dense = torch.ones_like(job.mask["output.weight"])
    mask = Mask({**job.mask, "output.weight": dense})
    job = in_precision(replace(job, mask=mask), torch.float64)
    states = train_done(engine, job).snapshots
    order = torch.randperm(len(job.data.train), generator=job.streams.generator("order", 0))
    steps = []
    for number in range(_STEPS):
        before, after = states[number], states[number + 1]
        moved = [after[name] != before[name] for name in ("fc2.weight", "output.weight")]
        kept = [weights.any(dim=0, keepdim=True) for weights in moved]
        expected = _plain_step(job, before, order[number : number + 1], kept, 0.5)
        expect_close(after, expected, 1e-9, f"{activation}, step {number} with dropout")
        steps.append(kept)
    return steps


def _plain_step(
    job: TrainingJob, state: State, examples: Tensor, kept: Sequence[Tensor], share: float
) -> dict[str, Tensor]:
    """The state after an SGD step in which exactly the units that are not kept are dropped."""
    weights = {name: value.clone().requires_grad_() for name, value in state.items()}
    dtype = state["output.weight"].dtype
    names = dict(loaded_model(job, state).named_children())
    inputs, targets = job.data.batch("train", examples, dtype)
    hidden = inputs.flatten(1)
    for number, units in enumerate(kept, start=1):
        sums = hidden @ weights[f"fc{number}.weight"].T + weights[f"fc{number}.bias"]
        active = sums.tanh() if f"tanh{number}" in names else sums.relu()
        hidden = active * units / (1 - share)
    outputs = hidden @ weights["output.weight"].T + weights["output.bias"]
    loss = batch_loss(job.config.loss, outputs, targets)
    gradients = torch.autograd.grad(loss, list(weights.values()))
    rate = job.config.learning_rate.base
    return {
        name: value - rate * gradient * job.mask.get(name, True)
        for (name, value), gradient in zip(state.items(), gradients, strict=True)
    }


def _expect_half_agree(one: Tensor, other: Tensor, what: str) -> None:
    agreeing = float((one == other).double().mean())
    _expect_share(agreeing, 0.5, one.numel(), f"{what}, share dropped alike")


def _expect_share(got: float, expected: float, count: int, what: str) -> None:
    allowed = _SIGMAS * math.sqrt(expected * (1 - expected) / count)
    expect(
        abs(got - expected) <= allowed,
        f"{what}: got {got:.4f} of {count:,}; by chance it is {expected} ± {allowed:.4f}",
    )
