"""The plain loop, whose results an engine must reproduce: slow, and obviously correct."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from lottery.core import Mask
from lottery.data import steps_per_epoch
from lottery.testing.expect import copied
from lottery.testing.running import measure
from lottery.training import (
    CurvePoint,
    TrainingConfig,
    TrainingJob,
    TrainingResult,
    early_stop_iteration,
    learning_rate,
)
from lottery.training.loss import batch_loss
from lottery.training.normalization import recalibrate_batch_norm


def plain_training(job: TrainingJob) -> TrainingResult:
    """The result of a job's training, written as plainly as possible.

    Epoch e visits the examples in the order of `TrainingJob.epoch_order`, batch after batch, the
    last one as small as it is, augmented as `Dataset.training_batch` does it. A parameter that took
    no part in a step has a gradient of zero. After the optimizer's step, as torch's own optimizers
    define it on masked gradients and masked weights, pruned weights are set to zero, or to what the
    job holds them at.

    Returns:
        The result; its snapshots are the states of all iterations. It is computed in the precision
        of the start weights, not that of the config; mask learning and observers are ignored.
    """
    plain = _Plain(job)
    snapshots, curve, bests = {}, [], {}
    for iteration in range(job.start_iteration, plain.total + 1):
        if iteration > job.start_iteration:
            plain.step(iteration - 1)
        if job.updates.method in ("set", "gradual"):
            plain.update_mask(iteration)
        snapshots[iteration] = copied(plain.model.state_dict())
        at_an_end = iteration in (job.start_iteration, plain.total)
        if at_an_end or iteration % job.config.evaluate_every.iterations(plain.steps) == 0:
            bests[iteration] = plain.measured_state(at_an_end)
            for split in ("validation", "test"):
                loss, accuracy = measure(job, bests[iteration], job.data.split(split))
                curve.append(CurvePoint.measured(iteration, split, loss, accuracy))
    best = early_stop_iteration(curve, since=job.updates.final_density_from(plain.total))
    return TrainingResult(
        status="done",
        curve=tuple(curve),
        final=bests[plain.total],
        early_stop=bests[best],
        early_stop_iteration=best,
        snapshots=snapshots,
        seconds=0.0,
        engine="plain",
        mask=Mask(plain.kept) if job.updates.active else None,
    )


class _Plain:
    """A training in progress."""

    def __init__(self, job: TrainingJob) -> None:
        self.job, self.config = job, job.config
        self.steps = steps_per_epoch(len(job.data.train), job.config.batch_size)
        self.total = job.config.length.iterations(self.steps)
        self.dtype = next(v.dtype for v in job.start.values() if v.is_floating_point())
        with torch.random.fork_rng(devices=[]):
            self.model = job.make_model().to(dtype=self.dtype)
        self.model.load_state_dict(dict(job.start))
        self.kept = dict(job.mask)
        self.weights = {name: self.model.get_parameter(name) for name in self.kept}
        self.optimizer = _plain_optimizer(self.config, self.model)
        self.average = copy.deepcopy(self.model)
        self.set_pruned()

    def step(self, iteration: int) -> None:
        """One step of the optimizer, or an update of the mask in its place."""
        config, data, streams = self.config, self.job.data, self.job.streams_at(iteration)
        epoch, batch = divmod(iteration, self.steps)
        order = self.job.epoch_order(epoch)
        chosen = order[batch * config.batch_size :][: config.batch_size]
        inputs, targets = data.training_batch(chosen, streams, iteration, self.dtype)
        self.optimizer.zero_grad()
        batch_loss(
            config.loss, self.model(inputs), targets, label_smoothing=config.label_smoothing
        ).backward()
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        if self.job.updates.method == "rigl" and self.is_due(iteration):
            self.update_mask(iteration)
        else:
            self._descend(iteration, parameters)
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.model.parameters(), strict=True):
                mean.copy_(config.averaging * mean + (1 - config.averaging) * value)

    def _descend(self, iteration: int, parameters: list[nn.Parameter]) -> None:
        config = self.config
        with torch.no_grad():
            for name, weight in self.weights.items():
                assert weight.grad is not None, "filled above"
                weight.grad[~self.kept[name]] = 0.0
                weight[~self.kept[name]] = 0.0
        if config.clip_gradients:
            torch.nn.utils.clip_grad_norm_(parameters, config.clip_gradients)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(
                config.learning_rate, iteration, total=self.total, steps_per_epoch=self.steps
            )
        self.optimizer.step()
        self.set_pruned()

    def set_pruned(self) -> None:
        """Set pruned weights to the values they are held at, and their optimizer state to 0."""
        held = self.job.pruned or {}
        with torch.no_grad():
            for name, kept in self.kept.items():
                weight = self.weights[name]
                value = held.get(name, torch.zeros_like(weight)).to(weight.dtype)
                for tensor in (weight, self.average.get_parameter(name)):
                    tensor[~kept] = value[~kept]
                for state in self.optimizer.state.get(weight, {}).values():
                    if isinstance(state, Tensor) and state.shape == weight.shape:
                        state[~kept] = 0.0

    def measured_state(self, at_an_end: bool) -> dict[str, Tensor]:
        """The state that is measured: an average, recalibrated, or the network's own."""
        model = copy.deepcopy(self.average)
        for own, other in zip(model.buffers(), self.model.buffers(), strict=True):
            own.copy_(other)
        if self.config.recalibrate_batch_norm and at_an_end:
            recalibrate_batch_norm(model, self._examples(self.config.recalibrate_batch_norm))
        return copied(model.state_dict())

    def _examples(self, number: int) -> Iterator[Tensor]:
        examples = len(self.job.data.train)
        size = min(self.config.batch_size, number, examples)
        order = torch.randperm(examples, generator=self.job.streams.generator("recalibration"))
        for batch in order[: min(number, examples) // size * size].split(size):
            yield self.job.data.batch("train", batch, self.dtype)[0]

    def is_due(self, iteration: int) -> bool:
        """Every so many iterations, after the first and before the last share of the training."""
        updates = self.job.updates
        passed = iteration - round(updates.begin * self.total)
        on_the_grid = passed > 0 and passed % updates.every.iterations(self.steps) == 0
        last = round(updates.until * self.total)
        return on_the_grid and self.job.start_iteration < iteration < last

    def update_mask(self, iteration: int) -> None:
        """Prune to the schedule, or drop and grow in every layer, where it is time to."""
        if self.job.updates.method == "gradual":
            for group in self.job.to_remove:
                self._prune(
                    group.layers, scheduled_count(self.job, iteration, group.remove, group.layers)
                )
        elif self.is_due(iteration):
            self._drop_and_grow(iteration)
        self.set_pruned()

    def _prune(self, layers: tuple[str, ...], count: int) -> None:
        """Keep the ``count`` largest of some layers; of equals the first."""
        names = sorted(layers)
        ranked = _largest_first(torch.cat([self._sizes(name).flatten() for name in names]))
        stays = torch.zeros(len(ranked), dtype=torch.bool)
        stays[ranked[:count]] = True
        sizes = [self.kept[name].numel() for name in names]
        for name, part in zip(names, stays.split(sizes), strict=True):
            self.kept[name] = part.view(self.kept[name].shape)

    def _drop_and_grow(self, iteration: int) -> None:
        updates = self.job.updates
        share = updates.fraction
        if updates.method == "rigl":
            share *= (1 + math.cos(math.pi * iteration / round(updates.until * self.total))) / 2
        generator = self.job.streams.generator("mask-updates", iteration)
        for name in sorted(self.kept):
            kept, weight = self.kept[name], self.weights[name]
            number = round(share * int(kept.sum()))
            ranked = _largest_first(self._sizes(name).flatten())
            stays = torch.zeros(kept.numel(), dtype=torch.bool)
            stays[ranked[: int(kept.sum()) - number]] = True
            free = (~stays).nonzero().squeeze(1)
            if updates.method == "set":
                grown = torch.randperm(len(free), generator=generator)
            else:
                assert weight.grad is not None, "an update in the place of a step"
                grown = _largest_first(weight.grad.flatten()[free].abs())
            stays[free[grown[:number]]] = True
            self.kept[name] = stays.view(kept.shape)

    def _sizes(self, name: str) -> Tensor:
        """Magnitudes; below all others where a weight is pruned."""
        return torch.where(self.kept[name], self.weights[name].detach().abs(), -1.0)


def _largest_first(numbers: Tensor) -> Tensor:
    return numbers.sort(descending=True, stable=True).indices


def scheduled_count(job: TrainingJob, iteration: int, remove: int, layers: tuple[str, ...]) -> int:
    """How many weights of some layers, of which ``remove`` go in all, gradual pruning leaves."""
    updates = job.updates
    steps = steps_per_epoch(len(job.data.train), job.config.batch_size)
    total = job.config.length.iterations(steps)
    first, end = round(updates.begin * total), round(updates.until * total)
    size = sum(int(job.mask[name].sum()) for name in layers)
    if iteration >= end:
        return size - remove
    every = updates.every.iterations(steps)
    left = 1 - max(0, iteration - first) // every * every / (end - first)
    final = (size - remove) / size
    return round(size * (final + (1 - final) * (left**3 if updates.shape == "cubic" else left)))


def _plain_optimizer(config: TrainingConfig, model: nn.Module) -> torch.optim.Optimizer:
    asked = config.optimizer
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    other_decay = asked.weight_decay if asked.decay == "all" else 0.0
    groups: list[dict[str, Any]] = [
        {"params": matrices},
        {"params": others, "weight_decay": other_decay},
    ]
    same: dict[str, Any] = {"weight_decay": asked.weight_decay, "foreach": False}
    if asked.name == "sgd":
        momentum, nesterov = asked.momentum, asked.nesterov
        return torch.optim.SGD(groups, momentum=momentum, nesterov=nesterov, **same)
    kind = torch.optim.AdamW if asked.name == "adamw" else torch.optim.Adam
    return kind(groups, betas=(asked.beta1, asked.beta2), eps=asked.epsilon, **same)
