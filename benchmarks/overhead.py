"""What the engine torch costs beyond its step: the same steps by it and by a bare loop.

A convolutional network on random images of CIFAR's shape, SGD with momentum and weight decay, half
of the weights pruned. Both sides draw an order of the examples each epoch, take batches from a
tensor in memory by it, multiply the masks onto gradients and weights in one call each, and take a
fused step at a rate that is set anew. Neither is measured on the way.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.figure import Figure
from benchmarks.timing import step_seconds
from lottery.core import Group, Mask, prunable_weights, select
from lottery.data import Dataset, Split
from lottery.models import build_model, glorot_normal_
from lottery.rng import Streams
from lottery.training import (
    LearningRateConfig,
    Length,
    NullMonitor,
    OptimizerConfig,
    TrainingConfig,
    TrainingJob,
    make_engine,
)

SHAPE, CLASSES, BATCH, EXAMPLES = (3, 32, 32), 10, 128, 1_024
RATE, MOMENTUM, DECAY, DENSITY = 0.1, 0.9, 1e-4, 0.5

# So few that evaluating them at both ends of a training costs next to nothing.
_MEASURED_ON: Final = 32


def engine(*, model: str, quick: bool) -> Figure:
    """Seconds of one step of the engine torch.

    Args:
        model: the network's name.
        quick: hardly any steps.
    """
    job, torch_engine = _job(model), make_engine("torch", torch.device("cpu"))

    def train(iterations: int) -> None:
        torch_engine.train([job(iterations)], [NullMonitor()])

    return _measure(train, quick)


def bare(*, model: str, quick: bool) -> Figure:
    """Seconds of one step of a loop that does the same and nothing else."""
    make = _job(model)
    return _measure(lambda iterations: _bare_loop(make(iterations), iterations), quick)


def _measure(train: Callable[[int], object], quick: bool) -> Figure:
    unit = 1 if quick else -(-EXAMPLES // BATCH)
    repeats, at_least = (1, 0.0) if quick else (5, 5.0)
    samples = step_seconds(train, unit=unit, repeats=repeats, at_least=at_least)
    return Figure(value=statistics.median(samples), unit="s", samples=samples)


def _bare_loop(job: TrainingJob, iterations: int) -> None:
    model = job.make_model().train()
    model.load_state_dict(dict(job.start))
    parameters = dict(model.named_parameters())
    weights: list[Tensor] = [parameters[name] for name in job.mask]
    kept = tuple(mask.float() for mask in job.mask.values())
    torch._foreach_mul_([weight.detach() for weight in weights], kept)
    optimizer = torch.optim.SGD(
        model.parameters(), momentum=MOMENTUM, weight_decay=DECAY, fused=True
    )
    train, loss_sum = job.data.train, torch.zeros(())
    done = 0
    while done < iterations:
        for batch in torch.randperm(len(train)).split(BATCH)[: iterations - done]:
            loss = F.cross_entropy(model(train.inputs[batch]), train.targets[batch])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            with torch.no_grad():
                loss_sum += loss
                optimizer.param_groups[0]["lr"] = RATE
                torch._foreach_mul_([w.grad for w in weights if w.grad is not None], kept)
                optimizer.step()
                torch._foreach_mul_(weights, kept)
            done += 1


def _job(name: str) -> Callable[[int], TrainingJob]:
    """What makes a job of a given length, measured only at its two ends."""

    def make_model() -> nn.Module:
        return build_model(name, SHAPE, CLASSES)

    model = make_model()
    generator = torch.Generator().manual_seed(0)
    glorot_normal_(model, generator)
    weights = prunable_weights(model)
    scores = {n: torch.rand(w.shape, generator=generator) for n, w in weights.items()}
    total = sum(weight.numel() for weight in weights.values())
    groups = [Group(tuple(weights), round((1 - DENSITY) * total))]
    mask = select(scores, Mask.dense(weights), groups)
    data = _random_images(generator)

    def job(iterations: int) -> TrainingJob:
        return TrainingJob(
            make_model=make_model,
            mask=mask,
            start=model.state_dict(),
            data=data,
            config=TrainingConfig(
                length=Length(amount=iterations),
                batch_size=BATCH,
                evaluate_every=Length(amount=iterations),
                optimizer=OptimizerConfig(name="sgd", momentum=MOMENTUM, weight_decay=DECAY),
                learning_rate=LearningRateConfig(base=RATE),
            ),
            streams=Streams(0, 0),
        )

    return job


def _random_images(generator: torch.Generator) -> Dataset:
    def split(count: int) -> Split:
        inputs = torch.randn(count, *SHAPE, generator=generator)
        return Split(inputs, torch.randint(CLASSES, (count,), generator=generator))

    return Dataset(
        name="random",
        train=split(EXAMPLES),
        validation=split(_MEASURED_ON),
        test=split(_MEASURED_ON),
        classes=CLASSES,
    )
