"""The plain loop, whose results an engine must reproduce."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from lottery.core import Mask, prunable_weights
from lottery.data import steps_per_epoch
from lottery.testing.expect import expect, expect_close
from lottery.testing.running import in_precision, measure, train_done
from lottery.training import Engine, TrainingJob, TrainingResult, learning_rate
from lottery.training.loss import batch_loss

# In double precision, orders of summation differ by far less than this over a dozen steps; in
# single precision by less than the second number, unless a kernel computes something else.
_EXACT, _LOOSE = 1e-9, 1e-3

# Between a curve's loss and the same measured here, in relation to it where it is large.
_ROUNDING = 1e-4


def follows_plain_loop(engine: Engine, job: TrainingJob, what: str) -> None:
    """Fail unless the job, in either precision, trains as the plain loop does.

    In double precision every state is compared, in single precision the end, so that an engine
    that takes several steps at once is seen to stop and not to stop on the way.

    Args:
        engine: the engine.
        job: without dropout.
        what: the job, in words.
    """
    expected = plain_training(in_precision(job, torch.float64))
    double = replace(in_precision(job, torch.float64), snapshots_at=tuple(expected))
    result = train_done(engine, double)
    for at, state in expected.items():
        expect(at in result.snapshots, f"{what}: the snapshot at iteration {at} is missing")
        expect_close(result.snapshots[at], state, _EXACT, f"{what}, after iteration {at}")
    end = expected[max(expected)]
    expect_close(result.final, end, _EXACT, f"{what}, at the end")
    expect_measured(double, result, what)

    single = in_precision(job, torch.float32)
    result = train_done(engine, single)
    expect_close(result.final, end, _LOOSE, f"{what}, at the end in single precision")
    expect_measured(single, result, f"{what}, in single precision")


def expect_measured(job: TrainingJob, result: TrainingResult, what: str) -> None:
    """Fail unless the curve ends with the loss and accuracy of the state at the end."""
    for point in result.curve[-2:]:
        loss, accuracy = measure(job, result.final, job.data.split(point.data_split))
        expect(
            abs(point.loss - loss) <= _ROUNDING * max(1.0, abs(loss))
            and abs(point.accuracy - accuracy) < 1e-9,
            f"{what}: the curve ends with {point}, measured {loss} and {accuracy}",
        )


def plain_training(job: TrainingJob) -> dict[int, dict[str, Tensor]]:
    """What the job's training comes to, written as plainly as it can be; for networks of one mode.

    Epoch e visits the examples in the order ``randperm`` of the stream ``("order", e)``, batch
    after batch, the last one as small as it is, augmented as `Dataset.training_batch` does it.
    After the optimizer's step, as torch's own optimizers define it on masked gradients and masked
    weights, pruned weights are set to zero, or to what the job holds them at. A parameter that took
    no part in a step has a gradient of zero.

    Returns:
        iteration -> state, for every iteration from the start to the end.
    """
    dtype = next(value.dtype for value in job.start.values() if value.is_floating_point())
    with torch.random.fork_rng(devices=[]):
        model = job.make_model().to(dtype=dtype)
    model.load_state_dict(dict(job.start))
    parameters = dict(model.named_parameters())
    prunable = {name: parameters[name] for name in prunable_weights(model)}
    _set_pruned(prunable, job)

    targets = job.data.train.targets
    steps = steps_per_epoch(len(targets), job.config.batch_size)
    total = job.config.length.iterations(steps)
    optimizer = _plain_optimizer(job, model)
    states = {job.start_iteration: _copy(model)}
    for iteration in range(job.start_iteration, total):
        epoch, batch = divmod(iteration, steps)
        order = torch.randperm(len(targets), generator=job.streams.generator("order", epoch))
        chosen = order[batch * job.config.batch_size :][: job.config.batch_size]
        optimizer.param_groups[0]["lr"] = learning_rate(
            job.config.learning_rate, iteration, total=total, steps_per_epoch=steps
        )
        inputs, _ = job.data.training_batch(chosen, job.streams, iteration, dtype)
        optimizer.zero_grad()
        batch_loss(job.config.loss, model(inputs), targets[chosen]).backward()
        for parameter in model.parameters():
            if parameter.grad is None and parameter.requires_grad:
                parameter.grad = torch.zeros_like(parameter)
        _zero_pruned({n: p.grad for n, p in prunable.items() if p.grad is not None}, job.mask)
        _zero_pruned(prunable, job.mask)
        optimizer.step()
        _set_pruned(prunable, job)
        states[iteration + 1] = _copy(model)
    return states


def _plain_optimizer(job: TrainingJob, model: nn.Module) -> torch.optim.Optimizer:
    config = job.config.optimizer
    if config.name == "adam":
        return torch.optim.Adam(
            model.parameters(),
            betas=(config.beta1, config.beta2),
            eps=config.epsilon,
            weight_decay=config.weight_decay,
            foreach=False,
        )
    return torch.optim.SGD(
        model.parameters(),
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
        foreach=False,
    )


def _zero_pruned(tensors: Mapping[str, Tensor], mask: Mask) -> None:
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor[~mask[name]] = 0.0


def _set_pruned(weights: Mapping[str, Tensor], job: TrainingJob) -> None:
    _zero_pruned(weights, job.mask)
    with torch.no_grad():
        for name, value in (job.pruned or {}).items():
            pruned = ~job.mask[name]
            weights[name][pruned] = value.to(weights[name].dtype)[pruned]


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
