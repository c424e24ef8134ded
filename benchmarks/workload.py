"""What is measured: LeNet-300-100 on MNIST, batches of 60, Adam at 1.2e-3, float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from lottery.core import Mask, prunable_weights
from lottery.data import DataConfig, Dataset, load_dataset
from lottery.data.dataset import Split
from lottery.models import build_model, glorot_normal_
from lottery.rng import Streams
from lottery.store import MAIN, JobKey, Store
from lottery.training import LearningRateConfig, Length, State, TrainingConfig, TrainingJob

BATCH, LEARNING_RATE = 60, 1.2e-3
Inputs = Literal["mnist", "normal"]

# So few that evaluating at both ends of a training costs next to nothing.
_MEASURED_ON = 1_000


@dataclass(frozen=True)
class Start:
    """A mask and the weights that training starts from."""

    mask: Mask
    weights: State


def load(data_dir: Path | None, inputs: Inputs = "mnist") -> Dataset:
    """MNIST with 1,000 examples for validation and for test; 55,000 remain to learn from.

    Args:
        data_dir: where MNIST lies, see `lottery.data.load_dataset`.
        inputs: ``normal`` puts standard normal numbers in the place of the training pixels.
    """
    mnist = load_dataset(DataConfig(name="mnist", validation=5_000), data_dir=data_dir)
    train = mnist.train
    if inputs == "normal":
        generator = torch.Generator().manual_seed(0)
        numbers = torch.randn(train.inputs.shape, generator=generator)
        # As they are stored: what is left when they are normalized are the numbers.
        train = replace(train, inputs=numbers * mnist.deviation[0] + mnist.mean[0])

    def few(split: Split) -> Split:
        return Split(split.inputs[:_MEASURED_ON].clone(), split.targets[:_MEASURED_ON].clone())

    return replace(mnist, train=train, validation=few(mnist.validation), test=few(mnist.test))


def network() -> nn.Module:
    """LeNet-300-100 with weights of no importance."""
    return build_model("lenet-300-100", (1, 28, 28), 10)


def dense_start(replicate: int = 0) -> Start:
    """Every weight kept, at a Glorot initialization of the replicate's own."""
    model = network()
    glorot_normal_(model, Streams(0, replicate).generator("init"))
    return Start(Mask.dense(prunable_weights(model)), model.state_dict())


def ticket_start(run: Path, density: float) -> Start:
    """The ticket of a run whose density is nearest to ``density``: replicate 0's main line."""
    store = Store(run)
    keys = [JobKey(0, MAIN, level) for level in range(100)]
    finished = [key for key in keys if store.is_finished(key)]
    if not finished:
        raise FileNotFoundError(f"expected a run of lottery in {run}, found no finished training")
    key = min(finished, key=lambda key: abs(store.result(key).density - density))
    ticket = store.ticket(key)
    return Start(ticket.mask, ticket.weights)


def training_jobs(starts: list[Start], data: Dataset) -> Callable[[int], list[TrainingJob]]:
    """What makes one job of a given length for each start, measured only at its two ends."""

    def make(iterations: int) -> list[TrainingJob]:
        config = TrainingConfig(
            length=Length(amount=iterations),
            batch_size=BATCH,
            evaluate_every=Length(amount=iterations),
            learning_rate=LearningRateConfig(base=LEARNING_RATE),
        )
        return [
            TrainingJob(
                make_model=network,
                mask=start.mask,
                start=start.weights,
                data=data,
                config=config,
                streams=Streams(0, replicate),
            )
            for replicate, start in enumerate(starts)
        ]

    return make


def flat(inputs: Tensor) -> Tensor:
    """Images ``[N, 1, 28, 28]`` as vectors ``[N, 784]``."""
    return inputs.flatten(start_dim=1)
