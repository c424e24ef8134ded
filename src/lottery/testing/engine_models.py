"""Checks for engines that train any model: convolutions, normalization, tied weights."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from lottery.testing.engine_masks import keeps_the_mask
from lottery.testing.engine_repeats import (
    alone_or_in_a_group,
    continues,
    leaves_global_randomness,
    resumes,
)
from lottery.testing.expect import expect, expect_pruned_zero, expect_same_state, same_bytes
from lottery.testing.plain import expect_measured, follows_plain_loop
from lottery.testing.running import loaded_model, train_done
from lottery.testing.samples import CLASSES, INPUT_SHAPE, OPTIMIZERS, tiny_config, tiny_job
from lottery.training import Engine


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
    """`convolutional` with a second convolution, whose weights can lie in memory in two ways."""
    first = list(convolutional())[:4]
    size = 5 * INPUT_SHAPE[1] * INPUT_SHAPE[2]
    return nn.Sequential(
        *first, nn.Conv2d(4, 5, 3, padding=1), nn.Flatten(), nn.Linear(size, CLASSES)
    )


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
    """One layer takes no part in every third step, the first of them among these."""

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


def check_skipped_layers(engine: Engine) -> None:
    """A layer that takes no part in a step has a gradient of zero there: momentum and decay go on.

    As in stochastic depth, or where no example of a batch comes to an expert.
    """
    for name, optimizer in OPTIMIZERS.items():
        job = tiny_job(tiny_config(optimizer), make_model=SkippingModel)
        what = f"{name}, with a layer that is skipped now and then"
        follows_plain_loop(engine, job, what)
        keeps_the_mask(engine, job, what)
        resumes(engine, job, what)


def check_any_model_resumes(engine: Engine) -> None:
    """Dropout's randomness and normalization's buffers go on where they were cut off."""
    for name in ("Adam", "SGD with Nesterov momentum and weight decay"):
        job = tiny_job(tiny_config(OPTIMIZERS[name]), make_model=convolutional, snapshots_at=(0, 6))
        resumes(engine, job, f"{name}, with dropout and batch normalization")
    resumes(engine, tiny_job(make_model=TiedModel), "tied weights")


def check_any_model_in_a_group(engine: Engine) -> None:
    """Dropout in one job takes nothing from the randomness of another, nor from the caller's."""
    alone_or_in_a_group(engine, convolutional)
    leaves_global_randomness(engine, convolutional)


def check_batch_norm_when_measuring(engine: Engine) -> None:
    """Measurements are of the whole network, normalized by its running statistics."""
    job = tiny_job(make_model=convolutional)
    result = train_done(engine, job)
    expect_measured(job, result, "with dropout and batch normalization")
    often = replace(job, config=tiny_config(evaluate_every=1))
    expect_same_state(train_done(engine, often).final, result.final, "the end, measured often")


def check_batch_norm_buffers(engine: Engine) -> None:
    """Buffers are part of the state: they start as given, move, and are kept with the weights."""
    job = tiny_job(make_model=convolutional)
    start = {name: value.clone() for name, value in job.start.items()}
    start["1.running_mean"] += 0.5
    start["1.num_batches_tracked"] += 7
    job = replace(job, start=start, snapshots_at=(0, 5))
    result = train_done(engine, job)
    expect_same_state(result.snapshots[0], job.mask.apply(start), "the start")
    for at, state in ((5, result.snapshots[5]), (12, result.final)):
        counted = state["1.num_batches_tracked"]
        expect(counted.dtype == torch.int64, f"num_batches_tracked became {counted.dtype}")
        expect(int(counted) == 7 + at, f"after {at} batches, {int(counted) - 7} were tracked")
    moved = not same_bytes(result.final["1.running_mean"], start["1.running_mean"])
    expect(moved, "running_mean did not move")

    plain = replace(
        tiny_job(tiny_config(OPTIMIZERS["SGD"]), make_model=_without_dropout), start_iteration=0
    )
    continues(engine, [("with batch normalization", plain)], at=7)


def _without_dropout() -> nn.Sequential:
    model = convolutional()
    model[3] = nn.Identity()
    return model


def check_any_model_with_settings(engine: Engine) -> None:
    """Settings for convolutions and batch normalization: resumed, masked and truly measured.

    One that the engine refuses is left out.
    """
    sgd = tiny_config(OPTIMIZERS["SGD with Nesterov momentum and weight decay"])
    settings = {
        "channels last": replace(sgd, channels_last=True),
        "averaged weights": replace(sgd, averaging=0.7),
        "recalibrated statistics": replace(sgd, recalibrate_batch_norm=20),
        "both": replace(sgd, averaging=0.7, recalibrate_batch_norm=20, channels_last=True),
        "bfloat16": replace(sgd, precision="bfloat16", recalibrate_batch_norm=20),
    }
    for name, config in settings.items():
        with torch.random.fork_rng(devices=[]):
            refused = engine.refusal(twice_convolutional(), config)
        if refused is not None:
            continue
        job = tiny_job(config, make_model=twice_convolutional, snapshots_at=(0, 6, 12))
        resumes(engine, job, name)
        keeps_the_mask(engine, job, name)
        result = train_done(engine, job)
        if config.precision == "float32":
            expect_measured(job, result, name)
        for state in (*result.snapshots.values(), result.final):
            scattered = [n for n, value in state.items() if not value.is_contiguous()]
            expect(not scattered, f"{name}: {', '.join(scattered)} do not lie in memory in order")


def check_tied_weights(engine: Engine) -> None:
    """A weight with two names is one weight: masked once, and the same under both."""
    job = tiny_job(make_model=TiedModel, snapshots_at=(0, 6))
    expect("second.weight" not in job.mask, "the check's own mask counts a tied weight twice")
    result = train_done(engine, job)
    states = (result.snapshots[0], result.snapshots[6], result.early_stop, result.final)
    for state in states:
        expect_pruned_zero(state, job.mask, "tied weights")
        expect(
            same_bytes(state["first.weight"], state["second.weight"]),
            "the two names of a tied weight hold different values",
        )
        loaded_model(job, state)
