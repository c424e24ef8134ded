"""The plain loop of a training whose mask changes, whose results an engine must reproduce."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lottery.data import steps_per_epoch
from lottery.training import TrainingJob
from lottery.training.loss import batch_loss

Lists = dict[str, list[float]]


@dataclass(frozen=True)
class PlainUpdates:
    """What a training with a changing mask comes to.

    Args:
        states: iteration -> the parameters.
        kept: iteration -> for each layer, the flat indices of what is kept, in order.
    """

    states: dict[int, dict[str, Tensor]]
    kept: dict[int, dict[str, list[int]]]


def plain_updates(job: TrainingJob) -> PlainUpdates:
    """A training by SGD with momentum at a constant rate, one update of the mask after the other.

    Momentum is kept here, number by number, rather than by an optimizer of torch: a buffer that
    begins with the first gradient. What leaves the mask has neither value nor momentum from then
    on. Only a step's gradient comes from torch.
    """
    dtype = next(iter(job.start.values())).dtype
    with torch.random.fork_rng(devices=[]):
        model = job.make_model().to(dtype=dtype)
    model.load_state_dict(dict(job.start))
    parameters = dict(model.named_parameters())
    kept = {n: [i for i, k in enumerate(job.mask[n].flatten().tolist()) if k] for n in job.mask}
    momentum = {name: torch.zeros_like(value) for name, value in parameters.items()}
    targets, config = job.data.train.targets, job.config
    steps = steps_per_epoch(len(targets), config.batch_size)
    total = config.length.iterations(steps)
    found = PlainUpdates({}, {})

    def note(at: int) -> None:
        _clear(kept, parameters, momentum)
        if config.mask_updates.method != "rigl":
            values = {n: parameters[n].detach().flatten().tolist() for n in kept}
            kept.update(_moved(job, at, total, kept, values, {}))
        _clear(kept, parameters, momentum)
        found.states[at] = {n: p.detach().clone() for n, p in parameters.items()}
        found.kept[at] = dict(kept)

    note(job.start_iteration)
    for iteration in range(job.start_iteration, total):
        epoch, batch = divmod(iteration, steps)
        order = torch.randperm(len(targets), generator=job.streams.generator("order", epoch))
        chosen = order[batch * config.batch_size :][: config.batch_size]
        inputs, _ = job.data.training_batch(chosen, job.streams, iteration, dtype)
        loss = batch_loss(config.loss, model(inputs), targets[chosen])
        by_all = torch.autograd.grad(loss, list(parameters.values()))
        slopes = dict(zip(parameters, by_all, strict=True))
        if config.mask_updates.method == "rigl" and _is_due(job, iteration, total):
            values = {n: parameters[n].detach().flatten().tolist() for n in kept}
            sizes = {n: slopes[n].flatten().tolist() for n in kept}
            kept.update(_moved(job, iteration, total, kept, values, sizes))
        else:
            with torch.no_grad():
                for name, value in parameters.items():
                    momentum[name] = config.optimizer.momentum * momentum[name] + slopes[name]
                    value.sub_(config.learning_rate.base * momentum[name])
        note(iteration + 1)
    return found


def _clear(
    kept: dict[str, list[int]],
    parameters: Mapping[str, Tensor],
    momentum: Mapping[str, Tensor],
) -> None:
    with torch.no_grad():
        for name, indices in kept.items():
            for tensor in (parameters[name], momentum[name]):
                flat = tensor.clone().flatten()
                tensor.zero_()
                tensor.view(-1)[indices] = flat[indices]


def _is_due(job: TrainingJob, iteration: int, total: int) -> bool:
    """Every so many iterations, after the first and before the last share of the training."""
    updates = job.config.mask_updates
    steps = steps_per_epoch(len(job.data.train.targets), job.config.batch_size)
    every = updates.every.amount * (steps if updates.every.unit == "epochs" else 1)
    first, end = round(updates.begin * total), round(updates.until * total)
    on_the_grid = iteration > first and (iteration - first) % every == 0
    return on_the_grid and job.start_iteration < iteration < end


def _moved(
    job: TrainingJob,
    at: int,
    total: int,
    kept: dict[str, list[int]],
    values: Lists,
    slopes: Lists,
) -> dict[str, list[int]]:
    """What is kept after iteration ``at``, or from the update there on."""
    updates = job.config.mask_updates
    if updates.method == "gradual":
        return _pruned(job, at, total, kept, values)
    if not _is_due(job, at, total):
        return kept
    share = updates.fraction
    if updates.method == "rigl":
        share *= (1 + math.cos(math.pi * at / round(updates.until * total))) / 2
    generator = job.streams.generator("mask-updates", at)
    found = {}
    for name in sorted(kept):
        number = round(share * len(kept[name]))
        ranked = _largest_first(kept[name], values[name])
        stays = set(ranked[: len(ranked) - number])
        free = [i for i in range(len(values[name])) if i not in stays]
        if updates.method == "set":
            places = torch.randperm(len(free), generator=generator).tolist()
            grown = [free[place] for place in places[:number]]
        else:
            grown = _largest_first(free, slopes[name])[:number]
        found[name] = sorted(stays | set(grown))
    return found


def _largest_first(indices: list[int], numbers: list[float]) -> list[int]:
    """By magnitude, and of equals the earlier."""
    return sorted(indices, key=lambda i: (-abs(numbers[i]), i))


def _pruned(
    job: TrainingJob, at: int, total: int, kept: dict[str, list[int]], values: Lists
) -> dict[str, list[int]]:
    """What the schedule leaves at an iteration, whether or not anything is due."""
    found = dict(kept)
    for group in job.going:
        wanted = scheduled_count(job, at, total, group.layers, group.remove)
        ranked = sorted(
            ((name, i) for name in sorted(group.layers) for i in found[name]),
            key=lambda entry: (-abs(values[entry[0]][entry[1]]), entry),
        )
        for name in group.layers:
            found[name] = sorted(i for layer, i in ranked[:wanted] if layer == name)
    return found


def scheduled_count(
    job: TrainingJob, at: int, total: int, layers: tuple[str, ...], remove: int
) -> int:
    """How many weights of some layers gradual pruning leaves after ``at`` iterations.

    Args:
        job: the training.
        at: iterations.
        total: iterations of the whole training.
        layers: that compete.
        remove: how many of what the job's mask keeps there go in all.
    """
    updates = job.config.mask_updates
    steps = steps_per_epoch(len(job.data.train.targets), job.config.batch_size)
    every = updates.every.iterations(steps)
    first, end = round(updates.begin * total), round(updates.until * total)
    size = sum(int(job.mask[name].sum()) for name in layers)
    final = (size - remove) / size
    if at >= end:
        return size - remove
    left = 1 - max(0, at - first) // every * every / (end - first)
    return round(size * (final + (1 - final) * (left**3 if updates.shape == "cubic" else left)))
