"""Small artificial data, networks and jobs, on which a check takes a fraction of a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from lottery.core import Group, Mask, prunable_weights, select
from lottery.data import SPLITS, Dataset, Split, SplitName
from lottery.models import glorot_normal_, mlp
from lottery.models.mlp import Activation
from lottery.rng import Streams
from lottery.training import (
    LearningRateConfig,
    Length,
    MaskUpdatesConfig,
    OptimizerConfig,
    State,
    TrainingConfig,
    TrainingJob,
)
from lottery.training.config import LossName

CLASSES: Final = 3
INPUT_SHAPE: Final = (1, 3, 4)

OPTIMIZERS: Final[Mapping[str, OptimizerConfig]] = {
    "Adam": OptimizerConfig(),
    "Adam with weight decay": OptimizerConfig(weight_decay=0.01),
    "SGD": OptimizerConfig(name="sgd"),
    "SGD with weight decay": OptimizerConfig(name="sgd", weight_decay=0.01),
    "SGD with momentum": OptimizerConfig(name="sgd", momentum=0.9),
    "SGD with Nesterov momentum and weight decay": OptimizerConfig(
        name="sgd", momentum=0.9, nesterov=True, weight_decay=0.01
    ),
}
"""Every kind of optimizer a training config can ask for."""


def tiny_dataset(
    train: int = 27,
    validation: int = 11,
    test: int = 13,
    *,
    input_shape: Sequence[int] = INPUT_SHAPE,
    classes: int = CLASSES,
) -> Dataset:
    """Noisy copies of one pattern a class; a few labels are wrong, so that training overfits.

    Inputs are floats with a mean near 0, and are seen as they are.

    Args:
        train: examples to learn from.
        validation: examples held out.
        test: examples that only measure.
        input_shape: shape of one example.
        classes: number of classes.
    """
    generator = torch.Generator().manual_seed(0)
    patterns = torch.rand(classes, *input_shape, generator=generator)

    def split(count: int) -> Split:
        targets = torch.randperm(count, generator=generator) % classes
        noise = torch.rand(count, *input_shape, generator=generator)
        inputs = 0.4 * patterns[targets] + 0.6 * noise
        wrong = torch.rand(count, generator=generator) < 0.15
        return Split((inputs - 0.5) / 0.25, torch.where(wrong, (targets + 1) % classes, targets))

    return Dataset(
        name="tiny",
        train=split(train),
        validation=split(validation),
        test=split(test),
        classes=classes,
    )


def changed_inputs(
    data: Dataset,
    change: Callable[[Tensor], Tensor],
    splits: Sequence[SplitName] = SPLITS,
) -> Dataset:
    """A dataset with the inputs of some splits changed."""
    changed: dict[str, Any] = {}
    for name in splits:
        split = data.split(name)
        changed[name] = replace(split, inputs=change(split.inputs))
    return replace(data, **changed)


def stored_as_bytes(channels: int, *, background: float) -> Dataset:
    """`tiny_dataset` as images of 8 bits, with a mean and a deviation for each channel.

    Args:
        channels: of every image.
        background: share of pixels that have one value, as in images of digits.
    """
    generator = torch.Generator().manual_seed(0)

    def as_bytes(inputs: Tensor) -> Tensor:
        images = ((inputs * 0.25 + 0.5) * 255).round().clamp(0, 255).to(torch.uint8)
        images[torch.rand(images.shape, generator=generator) < background] = 3
        return images

    return replace(
        changed_inputs(tiny_dataset(input_shape=(channels, 6, 5)), as_bytes),
        mean=tuple(0.4 + 0.1 * channel for channel in range(channels)),
        deviation=tuple(0.3 - 0.05 * channel for channel in range(channels)),
    )


def tiny_mlp() -> nn.Sequential:
    """A network whose weight matrices all differ in shape, also when transposed."""
    return mlp(INPUT_SHAPE, (10, 7), CLASSES)


def tiny_dropout_mlp() -> nn.Sequential:
    """`tiny_mlp` with dropout."""
    return mlp(INPUT_SHAPE, (10, 7), CLASSES, dropout=0.3)


def convolutional() -> nn.Sequential:
    """Convolution, batch normalization, dropout and a linear layer."""
    channels, (_, height, width) = 4, INPUT_SHAPE
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(channels * height * width, CLASSES),
    )


def twice_convolutional() -> nn.Sequential:
    """Two convolutions, whose weights can lie in memory in two ways; without dropout."""
    convolution, normalization, relu, *_ = convolutional()
    size = 5 * INPUT_SHAPE[1] * INPUT_SHAPE[2]
    last = (nn.Conv2d(4, 5, 3, padding=1), nn.Flatten(), nn.Linear(size, CLASSES))
    return nn.Sequential(convolution, normalization, relu, *last)


class TiedModel(nn.Module):
    """Two hidden layers that are one weight matrix, known by two names."""

    def __init__(self) -> None:
        super().__init__()
        size = INPUT_SHAPE[1] * INPUT_SHAPE[2]
        self.first = nn.Linear(size, size)
        self.second = nn.Linear(size, size)
        self.second.weight = self.first.weight
        self.output = nn.Linear(size, CLASSES)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``[N, classes]`` of inputs ``[N, *INPUT_SHAPE]``."""
        hidden = torch.relu(self.first(inputs.flatten(1)))
        output: Tensor = self.output(torch.relu(self.second(hidden)))
        return output


class SkippingModel(nn.Module):
    """One layer takes no part in every third step, beginning with the first.

    As in stochastic depth, or where no example of a batch is sent to an expert.
    """

    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(INPUT_SHAPE[1] * INPUT_SHAPE[2], 8)
        self.block = nn.Linear(8, 7)
        self.output = nn.Linear(8 + 7, CLASSES)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``[N, classes]`` of inputs ``[N, *INPUT_SHAPE]``."""
        hidden = torch.relu(self.first(inputs.flatten(1)))
        block = hidden.new_zeros(len(hidden), 7)
        if not self.training or self.steps % 3:
            block = torch.relu(self.block(hidden))
        if self.training:
            self.steps += 1
        output: Tensor = self.output(torch.cat([hidden, block], 1))
        return output


def initial_state(make_model: Callable[[], nn.Module], seed: int = 0) -> State:
    """Glorot weights for the network that ``make_model`` makes, and small random biases."""
    with torch.random.fork_rng(devices=[]):
        model = make_model()
    generator = torch.Generator().manual_seed(seed)
    glorot_normal_(model, generator)
    # A bias of zero would hide an engine that forgets to load biases.
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.1, generator=generator)
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def random_sparse_mask(make_model: Callable[[], nn.Module], density: float, seed: int = 0) -> Mask:
    """A random mask with about this density in every layer, at least one weight in each.

    The first unit of the first layer has no input, unless the mask is dense.

    Args:
        make_model: makes the network.
        density: share of each layer's weights that is kept, in (0, 1].
        seed: which weights.
    """
    with torch.random.fork_rng(devices=[]):
        weights = prunable_weights(make_model())
    generator = torch.Generator().manual_seed(seed)
    scores = {name: torch.rand(w.shape, generator=generator) for name, w in weights.items()}
    if density < 1:
        scores[next(iter(weights))][0] = -1.0
    groups = [
        Group((name,), min(w.numel() - 1, round((1 - density) * w.numel())))
        for name, w in weights.items()
    ]
    return select(scores, Mask.dense(weights), groups)


def tiny_config(
    optimizer: OptimizerConfig | None = None,
    *,
    base: float | None = None,
    length: int = 12,
    evaluate_every: int = 5,
    batch_size: int = 8,
    loss: LossName = "cross-entropy",
) -> TrainingConfig:
    """Twelve steps: three epochs of `tiny_dataset`, whose last batches hold three examples.

    Args:
        optimizer: Adam if left out.
        base: the learning rate; one that suits the optimizer if left out.
        length: iterations.
        evaluate_every: iterations between measurements.
        batch_size: examples a step.
        loss: what is minimized.
    """
    optimizer = optimizer or OptimizerConfig()
    rate = base if base is not None else (0.1 if optimizer.name == "sgd" else 0.02)
    return TrainingConfig(
        length=Length(amount=length),
        batch_size=batch_size,
        evaluate_every=Length(amount=evaluate_every),
        loss=loss,
        optimizer=optimizer,
        learning_rate=LearningRateConfig(base=rate),
    )


def tiny_job(
    config: TrainingConfig | None = None,
    *,
    make_model: Callable[[], nn.Module] = tiny_mlp,
    density: float = 0.5,
    replicate: int = 0,
    data: Dataset | None = None,
    start_iteration: int = 0,
    snapshots_at: tuple[int, ...] = (),
) -> TrainingJob:
    """A job that trains in a few milliseconds.

    Args:
        config: `tiny_config` if left out.
        make_model: makes the network.
        density: of the mask; see `random_sparse_mask`.
        replicate: gives the job its own start weights, mask and streams.
        data: `tiny_dataset` if left out.
        start_iteration: where training starts.
        snapshots_at: which states are kept.
    """
    return TrainingJob(
        make_model=make_model,
        mask=random_sparse_mask(make_model, density, seed=replicate),
        start=initial_state(make_model, seed=replicate),
        start_iteration=start_iteration,
        data=tiny_dataset() if data is None else data,
        config=tiny_config() if config is None else config,
        streams=Streams(0, replicate),
        snapshots_at=snapshots_at,
    )


def mlp_job(
    hidden: Sequence[int],
    config: TrainingConfig | None = None,
    *,
    activation: Activation = "relu",
    dropout: float = 0.0,
    density: float = 0.5,
    data: Dataset | None = None,
    snapshots_at: tuple[int, ...] = (),
) -> TrainingJob:
    """A job like `tiny_job`, for a fully connected network that fits its data.

    Args:
        hidden: width of each hidden layer.
        config: as for `tiny_job`.
        activation: of every hidden layer.
        dropout: share of the units that a step leaves out.
        density: as for `tiny_job`.
        data: as for `tiny_job`.
        snapshots_at: which states are kept.
    """
    examples = tiny_dataset() if data is None else data

    def make_model() -> nn.Module:
        shape, classes = examples.input_shape, examples.classes
        return mlp(shape, hidden, classes, activation=activation, dropout=dropout)

    return tiny_job(
        config, make_model=make_model, density=density, data=examples, snapshots_at=snapshots_at
    )


def held_job(optimizer: OptimizerConfig | None = None) -> TrainingJob:
    """A job like `tiny_job` whose pruned weights are numbers, a few of them zero."""
    job = tiny_job(tiny_config(optimizer), snapshots_at=(0, 6, 12))
    generator = torch.Generator().manual_seed(5)
    held = {name: 0.3 * torch.randn(k.shape, generator=generator) for name, k in job.mask.items()}
    for value in held.values():
        value[torch.rand(value.shape, generator=generator) < 0.2] = 0.0
    return replace(job, pruned=held)


UPDATES: Final[Mapping[str, MaskUpdatesConfig]] = {
    "set": MaskUpdatesConfig(method="set", every=Length(amount=2)),
    "rigl": MaskUpdatesConfig(method="rigl", every=Length(amount=3), until=1.0, fraction=0.5),
    "gradual": MaskUpdatesConfig(method="gradual", every=Length(amount=2), begin=0.1),
    "linear gradual": MaskUpdatesConfig(
        method="gradual", shape="linear", every=Length(amount=1, unit="epochs"), until=0.9
    ),
}
"""Every way for a mask to change, several times in the twelve steps of `tiny_config`."""


def updates_job(name: str, config: TrainingConfig | None = None) -> TrainingJob:
    """A job like `tiny_job` with an entry of `UPDATES`.

    Gradual pruning takes two thirds of the first two layers, which compete, and half of the last.
    """
    config, updates = config or tiny_config(OPTIMIZERS["SGD with momentum"]), UPDATES[name]
    if updates.method != "gradual":
        return replace(tiny_job(config), updates=updates)
    job = replace(tiny_job(config, density=1.0), updates=updates)
    *inner, last = job.mask
    size = sum(job.mask[layer].numel() for layer in inner)
    to_remove = (Group(tuple(inner), 2 * size // 3), Group((last,), job.mask[last].numel() // 2))
    return replace(job, to_remove=to_remove)
