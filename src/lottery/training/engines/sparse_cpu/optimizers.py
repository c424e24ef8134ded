"""Optimizer steps on the surviving weights, as torch defines them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from lottery.training.config import OptimizerConfig
from lottery.training.engines.sparse_cpu.compiled import compiled
from lottery.training.engines.sparse_cpu.kernels import Floats

ADAM, SGD = 0, 1


class Optimizer(NamedTuple):
    """An optimizer's settings as numbers; see `lottery.training.OptimizerConfig`."""

    kind: int
    momentum: float
    nesterov: bool
    weight_decay: float
    beta1: float
    beta2: float
    epsilon: float


def optimizer_numbers(config: OptimizerConfig) -> Optimizer:
    """A config's optimizer as numbers."""
    return Optimizer(
        kind=ADAM if config.name == "adam" else SGD,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
        beta1=config.beta1,
        beta2=config.beta2,
        epsilon=config.epsilon,
    )


@compiled
def update(
    optimizer: Optimizer,
    rate: float,
    steps: int,
    weights: Floats,
    gradient: Floats,
    first: Floats,
    second: Floats,
) -> None:
    """One step in place.

    Args:
        optimizer: which, and its settings.
        rate: the learning rate.
        steps: how many steps came before this one.
        weights: ``[n]``.
        gradient: ``[n]``.
        first: Adam's mean gradient or SGD's momentum, ``[n]``.
        second: Adam's mean squared gradient, ``[n]``.
    """
    if optimizer.kind == ADAM:
        _adam(optimizer, rate, steps, weights, gradient, first, second)
    else:
        _sgd(optimizer, rate, steps, weights, gradient, first)


@compiled
def _adam(
    optimizer: Optimizer,
    rate: float,
    steps: int,
    weights: Floats,
    gradient: Floats,
    first: Floats,
    second: Floats,
) -> None:
    """Adam (Kingma & Ba 2015, algorithm 1); weight decay is added to the gradient."""
    # Constants in the weights' precision; a float64 among them would halve the vectors.
    number: Any = weights.dtype.type
    beta1, beta2 = number(optimizer.beta1), number(optimizer.beta2)
    new1, new2 = number(1 - optimizer.beta1), number(1 - optimizer.beta2)
    decay, epsilon = number(optimizer.weight_decay), number(optimizer.epsilon)
    step = number(rate / (1 - optimizer.beta1 ** (steps + 1)))
    correction = number(1 / math.sqrt(1 - optimizer.beta2 ** (steps + 1)))
    for i in range(len(weights)):
        grad = gradient[i] + decay * weights[i]
        first[i] = beta1 * first[i] + new1 * grad
        second[i] = beta2 * second[i] + new2 * grad * grad
        weights[i] -= step * first[i] / (math.sqrt(second[i]) * correction + epsilon)


@compiled
def _sgd(
    optimizer: Optimizer,
    rate: float,
    steps: int,
    weights: Floats,
    gradient: Floats,
    first: Floats,
) -> None:
    """Gradient descent with momentum as torch has it: the first step's momentum is its gradient."""
    number: Any = weights.dtype.type
    decay, momentum = number(optimizer.weight_decay), number(optimizer.momentum)
    step = number(rate)
    if optimizer.momentum == 0:
        for i in range(len(weights)):
            weights[i] -= step * (gradient[i] + decay * weights[i])
        return
    before = number(0) if steps == 0 else momentum
    ahead = momentum if optimizer.nesterov else number(1)
    now = number(1) if optimizer.nesterov else number(0)
    for i in range(len(weights)):
        grad = gradient[i] + decay * weights[i]
        first[i] = before * first[i] + grad
        weights[i] -= step * (now * grad + ahead * first[i])
