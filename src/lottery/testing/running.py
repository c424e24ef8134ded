"""Running a job on an engine, and the plain loop whose results an engine must reproduce."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lottery.core import Mask, prunable_weights
from lottery.data import Split, steps_per_epoch
from lottery.testing.expect import expect
from lottery.training import (
    Engine,
    Monitor,
    NullMonitor,
    State,
    TrainingJob,
    TrainingResult,
    learning_rate,
)


def train(engine: Engine, job: TrainingJob, monitor: Monitor | None = None) -> TrainingResult:
    """Train one job alone."""
    results = engine.train([job], [monitor or NullMonitor()])
    expect(len(results) == 1, f"one job was given, {len(results)} results came back")
    return results[0]


def train_done(engine: Engine, job: TrainingJob, monitor: Monitor | None = None) -> TrainingResult:
    """Train one job alone, and fail unless it comes to its end."""
    result = train(engine, job, monitor)
    expect(result.status == "done", f"the training {result.status}: {result.reason}")
    return result


def in_precision(job: TrainingJob, dtype: torch.dtype) -> TrainingJob:
    """The job with its floating-point start weights as ``dtype``."""
    start = {n: v.to(dtype) if v.is_floating_point() else v for n, v in job.start.items()}
    return replace(job, start=start)


def capturing(job: TrainingJob, made: list[nn.Module]) -> TrainingJob:
    """The job, with every network that the engine makes for it added to ``made``."""

    def make_model() -> nn.Module:
        made.append(job.make_model())
        return made[-1]

    return replace(job, make_model=make_model)


def loaded_model(job: TrainingJob, state: State) -> nn.Module:
    """A fresh network with a trained state, in that state's precision and in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        model = job.make_model()
    model.to(dtype=next(v.dtype for v in state.values() if v.is_floating_point()))
    model.load_state_dict(dict(state))
    return model.eval()


def measure(job: TrainingJob, state: State, split: Split) -> tuple[float, float]:
    """Loss and accuracy of a state on a split, by one forward pass over all of it."""
    model = loaded_model(job, state)
    dtype = next(model.parameters()).dtype
    with torch.no_grad():
        logits = model(split.inputs.to(dtype))
    loss = F.cross_entropy(logits.double(), split.targets)
    return float(loss), float((logits.argmax(dim=1) == split.targets).double().mean())


def masked_by_shape(tensors: dict[str, Tensor], mask: Mask) -> dict[str, Tensor]:
    """Tensor name -> kept, for the floating-point tensors that have the shape of a mask's layer.

    The layers of `lottery.testing.samples.tiny_mlp` differ in shape, so that a tensor's shape
    tells its layer, whatever the engine calls it.
    """
    by_shape = {tuple(kept.shape): kept for kept in mask.values()}
    return {
        name: by_shape[tuple(tensor.shape)]
        for name, tensor in tensors.items()
        if tensor.is_floating_point() and tuple(tensor.shape) in by_shape
    }


def plain_training(job: TrainingJob) -> dict[int, dict[str, Tensor]]:
    """What the job's training comes to, written as plainly as it can be; for networks of one mode.

    Epoch e visits the examples in the order ``randperm`` of the stream ``("order", e)``, batch
    after batch, the last one as small as it is. After the optimizer's step, as torch's own
    optimizers define it on masked gradients, pruned weights are set to zero.

    Returns:
        iteration -> state, for every iteration from the start to the end.
    """
    dtype = next(iter(job.start.values())).dtype
    with torch.random.fork_rng(devices=[]):
        model = job.make_model().to(dtype=dtype)
    model.load_state_dict(dict(job.start))
    parameters = dict(model.named_parameters())
    prunable = {name: parameters[name] for name in prunable_weights(model)}
    _zero_pruned(prunable, job.mask)

    inputs, targets = job.data.train.inputs.to(dtype), job.data.train.targets
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
        optimizer.zero_grad()
        F.cross_entropy(model(inputs[chosen]), targets[chosen]).backward()
        _zero_pruned({n: p.grad for n, p in prunable.items() if p.grad is not None}, job.mask)
        optimizer.step()
        _zero_pruned(prunable, job.mask)
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


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
