"""The jobs on which an engine is checked: models x optimizers x schedules x masks x features."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn

from lottery.core import Mask
from lottery.data import AugmentationConfig, Dataset
from lottery.testing.expect import copied
from lottery.testing.samples import (
    OPTIMIZERS,
    UPDATES,
    SkippingModel,
    TiedModel,
    changed_inputs,
    convolutional,
    held_job,
    mlp_job,
    stored_as_bytes,
    tiny_config,
    tiny_dataset,
    tiny_dropout_mlp,
    tiny_job,
    twice_convolutional,
    updates_job,
)
from lottery.training import (
    LearningRateConfig,
    Length,
    MaskLearning,
    MaskMethod,
    OptimizerConfig,
    TrainingJob,
)

Jobs = Iterator[tuple[str, TrainingJob]]
"""Jobs, each with its name in words."""

_NESTEROV: Final = "SGD with Nesterov momentum and weight decay"
_BOTH: Final = {name: tiny_config(OPTIMIZERS[name]) for name in ("Adam", _NESTEROV)}
_ADAM, _SGD = _BOTH.values()
_BACKGROUND: Final = -0.4242
_LAYERS: Final = ("fc1.weight", "fc2.weight", "output.weight")


def optimizers() -> Jobs:
    """Every optimizer; kept weights of any value; start weights of any value where pruned."""
    for name, optimizer in OPTIMIZERS.items():
        yield name, tiny_job(tiny_config(optimizer), replicate=2, snapshots_at=(0, 6, 12))
    job = tiny_job(tiny_config(OPTIMIZERS["SGD"]))
    low, garbage = copied(job.start), copied(job.start)
    for name, kept in job.mask.items():
        low[name] = low[name].clamp(max=0.0)
        low[name].flatten()[::3] = 0.0
        garbage[name][~kept] = 1e6
    yield "kept weights of zero and below", replace(job, start=low)
    yield "pruned start weights of a million", replace(job, start=garbage)


def schedules() -> Jobs:
    """Learning rates, lengths, measurements and batches; from the beginning and started late."""
    epoch = Length(amount=1, unit="epochs")
    rates = {
        "constant": LearningRateConfig(base=0.1),
        "warm-up": LearningRateConfig(base=0.1, warmup=epoch),
        "step": LearningRateConfig(
            schedule="step", base=0.1, drops=(Length.of("2 epochs"), Length(amount=10)), factor=0.3
        ),
        "cosine": LearningRateConfig(schedule="cosine", base=0.1, warmup=epoch),
    }
    for name, rate in rates.items():
        for optimizer, start in (("Adam", 0), ("SGD with momentum", 3)):
            config = replace(tiny_config(OPTIMIZERS[optimizer]), learning_rate=rate)
            yield f"{name}, {optimizer}, from {start}", tiny_job(config, start_iteration=start)
    config = tiny_config(OPTIMIZERS["SGD"])
    changes: dict[str, dict[str, Any]] = {
        "measured every epoch": {"evaluate_every": epoch},
        "measured every iteration": {"evaluate_every": Length(amount=1)},
        "measured at the ends": {"evaluate_every": Length(amount=99)},
        "the end measured anyway": {"length": Length(amount=10)},
        "a batch larger than the data": {"batch_size": 1000},
    }
    for name, changed in changes.items():
        yield name, tiny_job(replace(config, **changed))
    yield "no step to do", tiny_job(config, start_iteration=12)
    for examples, size in ((27, 8), (25, 8), (24, 8), (9, 2)):
        config = replace(tiny_config(batch_size=size), length=Length(amount=2, unit="epochs"))
        name = f"two epochs of {examples} examples in batches of {size}"
        yield name, tiny_job(config, data=tiny_dataset(train=examples))
    # Best at the end, on the way and at the start, by either loss.
    for loss in ("cross-entropy", "mse"):
        for what, base in (("still falling", 0.02), ("overfitting", 0.3), ("only worse", 1.0)):
            config = tiny_config(base=base, length=16, evaluate_every=2, loss=loss)
            yield f"{what}, {loss}", tiny_job(config, density=0.9)


def networks() -> Jobs:
    """Every kind of fully connected network, of any width, with both losses."""
    for name, optimizer in OPTIMIZERS.items():
        job = mlp_job((10, 7), tiny_config(optimizer, loss="mse"), activation="tanh")
        yield f"tanh and squared error, {name}", job
    for name, config in _BOTH.items():
        job = mlp_job((10, 7), config, activation="tanh")
        yield f"tanh, {name}", job
        steep = {weight: 8 * value for weight, value in job.start.items()}
        yield f"tanh of large sums, {name}", replace(job, start=steep)
        squared = replace(config, loss="mse")
        yield f"squared error, {name}", mlp_job((10, 7), squared)
        for density in (1.0, 0.4):
            what = f"no hidden layer, density {density}, {name}"
            yield what, mlp_job((), config, density=density)
            yield f"{what}, squared error", mlp_job((), squared, density=density)
    for inputs, hidden, classes in (
        (12, (1, 1), 3),
        (12, (15, 15), 3),
        (16, (16, 16), 16),
        (17, (17, 17), 10),
        (12, (130, 130), 17),
        (1, (5,), 2),
        (65, (33, 1, 20), 3),
        (130, (4, 5, 6), 2),
    ):
        data = tiny_dataset(input_shape=(inputs,), classes=classes)
        config = replace(_SGD, length=Length(amount=6))
        yield f"widths {inputs}, {hidden}, {classes}", mlp_job(hidden, config, data=data)


def shapes() -> Jobs:
    """Batches and splits of any size, units cut off, and layers of any density."""
    for size, last in ((1, 1), (60, 1), (64, 3), (65, 64), (100, 50), (1000, 7)):
        config = tiny_config(OPTIMIZERS["SGD with momentum"], batch_size=size, length=4)
        data = tiny_dataset(train=2 * size + last % size)
        yield f"batches of {size}, the last of {last}", mlp_job((20, 17), config, data=data)
    for validation, test in ((1, 6), (1_025, 5_003)):
        data = tiny_dataset(train=9, validation=validation, test=test)
        yield f"{validation} and {test} examples measured", tiny_job(data=data)
        yield "the same, squared error", tiny_job(tiny_config(loss="mse"), data=data)
    job = tiny_job(tiny_config(length=7), density=0.7)
    # A ReLU unit without input has a sum of exactly zero then, where its derivative is zero too.
    without_biases = {n: value * (not n.endswith("bias")) for n, value in job.start.items()}
    for what, mask in _cut_masks(job.mask):
        yield what, replace(job, mask=mask)
        yield f"{what}, no biases", replace(job, mask=mask, start=without_biases)
    for name in ("Adam", "SGD with momentum"):
        config = tiny_config(OPTIMIZERS[name])
        jobs = {d: mlp_job((40, 30), config, density=d) for d in (1.0, 0.9, 0.3, 0.05)}
        for density, job in jobs.items():
            yield f"density {density}, {name}", job
        for densities in ((0.05, 1.0, 0.3), (1.0, 0.05, 0.9)):
            kept = {n: jobs[d].mask[n] for n, d in zip(_LAYERS, densities, strict=True)}
            yield f"densities {densities}, {name}", replace(jobs[0.3], mask=Mask(kept))


def _cut_masks(mask: Mask) -> Iterator[tuple[str, Mask]]:
    def cut(*units: tuple[str, slice, slice]) -> Mask:
        kept = {name: value.clone() for name, value in mask.items()}
        for layer, rows, columns in units:
            kept[f"{layer}.weight"][rows, columns] = False
        return Mask(kept)

    every = slice(None)
    yield "inputs that feed nothing", cut(("fc1", every, slice(2, 5)))
    yield "a unit without input", cut(("fc1", slice(4, 5), every))
    yield "a unit that feeds nothing", cut(("fc2", every, slice(5, 6)))
    yield "a unit neither fed nor used", cut(("fc1", slice(9, 10), every), ("fc2", every, slice(9)))
    yield "the last units without input", cut(("fc2", slice(5, 7), every))
    yield "an output without input", cut(("output", slice(1, 2), every))
    yield "a last unit that feeds nothing", cut(("output", every, slice(6, 7)))
    last = {name: torch.zeros_like(value) for name, value in mask.items()}
    for value in last.values():
        value[-1, -1] = True
    yield "one weight a layer", Mask(last)


def inputs() -> Jobs:
    """Inputs that mostly have one value, as in images, or are constant in other ways, or bytes."""
    for what, data in _inputs():
        for name in ("Adam", "SGD with momentum"):
            config = tiny_config(OPTIMIZERS[name], length=7)
            yield f"{what}, {name}", mlp_job((10, 7), config, data=data)


def _inputs() -> Iterator[tuple[str, Dataset]]:
    data = tiny_dataset(input_shape=(1, 6, 8))
    generator = torch.Generator().manual_seed(0)

    def sprinkled(share: float, value: float) -> Callable[[Tensor], Tensor]:
        def change(inputs: Tensor) -> Tensor:
            return torch.where(torch.rand(inputs.shape, generator=generator) < share, value, inputs)

        return change

    def constant_features(inputs: Tensor) -> Tensor:
        inputs = inputs.clone()
        inputs[..., 0, :] = torch.linspace(-1, 1, 8)
        inputs[..., 1, :] = _BACKGROUND
        inputs[..., 2, :] = 0.0
        return inputs

    def blank_examples(inputs: Tensor) -> Tensor:
        return torch.cat([torch.full_like(inputs[:-5], _BACKGROUND), inputs[-5:]])

    in_training = changed_inputs(data, sprinkled(0.8, _BACKGROUND), ("train",))
    yield "no background", data
    yield "a background", changed_inputs(data, sprinkled(0.8, _BACKGROUND))
    yield "a background of zero", changed_inputs(data, sprinkled(0.8, 0.0))
    yield "half of them background", changed_inputs(data, sprinkled(0.5, _BACKGROUND))
    one = changed_inputs(data, sprinkled(0.6, 1.5))
    yield "two backgrounds", changed_inputs(one, sprinkled(0.6, 0.5))
    yield "a background in training alone", in_training
    yield "another in the test", changed_inputs(in_training, sprinkled(0.9, 2.5), ("test",))
    constant = changed_inputs(data, constant_features)
    yield "constant features", constant
    both = changed_inputs(changed_inputs(data, sprinkled(0.8, _BACKGROUND)), constant_features)
    yield "constant features and a background", both
    yield "blank examples", changed_inputs(data, blank_examples)
    yield "nothing but background", changed_inputs(data, sprinkled(1.1, _BACKGROUND))
    for channels in (1, 3):
        for background in (0.7, 0.0):
            what = f"bytes, {channels} channels, {background:.0%} of them background"
            yield what, stored_as_bytes(channels, background=background)


def augmentation() -> Jobs:
    """Training batches that are augmented from their iteration's stream."""
    config = AugmentationConfig(flip=True, crop_padding=2)
    data = replace(stored_as_bytes(2, background=0.0), augmentation=config)
    for start in (0, 5):
        job = mlp_job((10, 7), data=data, snapshots_at=(5, 12))
        yield f"augmented, from {start}", replace(job, start_iteration=start)


def reordered() -> Jobs:
    """Other data orders, from the start of an epoch or in the middle of one."""
    for start, since in ((0, 0), (0, 5), (5, 2), (5, 8)):
        job = tiny_job(start_iteration=start, snapshots_at=(5, 12))
        yield f"reordered from {since}, started at {start}", replace(job, reordered_from=since)
    augmented = next(job for name, job in augmentation() if name == "augmented, from 0")
    yield "augmented, reordered", replace(augmented, reordered_from=5)


def settings() -> Jobs:
    """Less usual settings of a config."""
    for name, config in {
        "AdamW": tiny_config(OptimizerConfig(name="adamw", weight_decay=0.5)),
        "weight decay of weights alone": tiny_config(
            OptimizerConfig(name="sgd", momentum=0.9, weight_decay=0.1, decay="weights")
        ),
        "label smoothing": replace(_SGD, label_smoothing=0.2),
        "clipped gradients": replace(_SGD, clip_gradients=0.05),
        "averaged weights": replace(_ADAM, averaging=0.7),
        "bfloat16": replace(_ADAM, precision="bfloat16"),
        "float16": replace(_SGD, precision="float16"),
        "all of them": replace(
            _ADAM,
            optimizer=OptimizerConfig(name="adamw", weight_decay=0.5, decay="weights"),
            label_smoothing=0.2,
            clip_gradients=0.05,
            averaging=0.7,
            precision="float16",
        ),
    }.items():
        yield name, tiny_job(config, snapshots_at=(0, 6, 12))


def held_weights() -> Jobs:
    """Pruned weights held at values, in spite of weight decay and momentum."""
    for name in ("SGD", "Adam with weight decay", _NESTEROV):
        yield f"{name}, pruned weights held", held_job(OPTIMIZERS[name])


_MOMENTUM: Final = tiny_config(OPTIMIZERS["SGD with momentum"])


def mask_updates() -> Jobs:
    """Masks that change in training, also started late, with momentum and weight decay."""
    configs = {
        "momentum": _MOMENTUM,
        "Adam with weight decay": tiny_config(OPTIMIZERS["Adam with weight decay"]),
        "Nesterov momentum, averaged": replace(_SGD, averaging=0.7),
        "float16": replace(_MOMENTUM, precision="float16"),
    }
    for name in UPDATES:
        yield f"{name}, from 5", replace(updates_job(name), start_iteration=5)
        for how, config in configs.items():
            yield f"{name}, {how}", updates_job(name, config)
    # A rate this high makes the loss rise, so that it is least where weights still go.
    config = tiny_config(OPTIMIZERS["SGD"], base=3.0, evaluate_every=1)
    yield "gradual, a loss that rises", updates_job("gradual", config)


def learned_masks(stream: str = "learned") -> Jobs:
    """Masks that are learned, with every weight frozen."""
    methods: tuple[MaskMethod, ...] = ("edge-popup", "supermask")
    for method in methods:
        config = tiny_config(OPTIMIZERS["SGD with momentum"], base=1.0)
        job = tiny_job(config, snapshots_at=(0, 6))
        yield method, replace(job, mask_learning=MaskLearning(method=method, stream=(stream, 1)))


def dropout() -> Jobs:
    """Dropout in fully connected networks, from the beginning and started late."""
    for name, config in _BOTH.items():
        job = tiny_job(config, make_model=tiny_dropout_mlp, snapshots_at=(0, 6))
        for start in (0, 3):
            yield f"{name}, with dropout, from {start}", replace(job, start_iteration=start)
    job = mlp_job((9,), tiny_config(loss="mse"), activation="tanh", dropout=0.5)
    yield "tanh and squared error, with dropout", job


def settings_with_dropout() -> Jobs:
    """Dropout together with settings that not every engine supports."""
    updates = dict(mask_updates())
    for name in (
        "set, Adam with weight decay",
        "rigl, float16",
        "gradual, Nesterov momentum, averaged",
        "linear gradual, from 5",
    ):
        yield f"{name}, with dropout", replace(updates[name], make_model=tiny_dropout_mlp)
    for name, job in settings():
        yield f"{name}, with dropout", replace(job, make_model=tiny_dropout_mlp)


def convolutions() -> Jobs:
    """Batch normalization, and dropout, in convolutional networks."""
    for name, config in _BOTH.items():
        job = tiny_job(config, make_model=convolutional, snapshots_at=(0, 6))
        yield f"{name}, with dropout and batch normalization", job


def other_networks() -> Jobs:
    """Convolutions, buffers of any value, tied weights, and layers that take no part in a step."""
    for name, config in _BOTH.items():
        yield f"{name}, with a skipped layer", tiny_job(config, make_model=SkippingModel)
    job = tiny_job(_SGD, make_model=twice_convolutional)
    moved = copied(job.start)
    moved["1.running_mean"] += 0.5
    moved["1.num_batches_tracked"] += 7
    for start in (0, 7):
        yield f"batch normalization, from {start}", replace(job, start=moved, start_iteration=start)
    yield "tied weights", tiny_job(make_model=TiedModel)


def convolution_settings() -> Jobs:
    """Settings for convolutions and batch normalization."""
    for name, config in {
        "recalibrated statistics": replace(_SGD, recalibrate_batch_norm=20),
        "averaged, recalibrated, channels last": replace(
            _SGD, averaging=0.7, recalibrate_batch_norm=20, channels_last=True
        ),
        "bfloat16": replace(_SGD, precision="bfloat16", recalibrate_batch_norm=20),
    }.items():
        job = tiny_job(config, make_model=twice_convolutional, snapshots_at=(0, 6, 12))
        yield f"{name}, convolutions", job


def groups(make_model: Callable[[], nn.Module]) -> Iterator[tuple[str, list[TrainingJob]]]:
    """Jobs that share network, data and config, and differ in all that may differ."""
    data = tiny_dataset()
    for name, config in _BOTH.items():
        made = partial(tiny_job, config, make_model=make_model, data=data)
        second = made(density=0.4, replicate=1)
        yield (
            f"{name}, {make_model.__name__}",
            [
                made(density=1.0, snapshots_at=(0, 6)),
                second,
                made(density=0.05, replicate=2, snapshots_at=(12,)),
                replace(second, start_iteration=3),
            ],
        )
