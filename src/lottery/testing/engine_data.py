"""Checks on what an engine makes of stored examples: bytes, and augmentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from lottery.data import AugmentationConfig, Dataset, Split
from lottery.errors import UsageError
from lottery.testing.engine_repeats import resumes
from lottery.testing.expect import expect, expect_same_result
from lottery.testing.plain import follows_plain_loop
from lottery.testing.running import in_precision, train_done
from lottery.testing.samples import OPTIMIZERS, mlp_job, tiny_config, tiny_dataset
from lottery.training import Engine, NullMonitor

_PAPER = 0.7
"""Share of pixels that have the value of the paper, where there is paper."""


def stored_as_bytes(channels: int, *, paper: bool, seed: int = 0) -> Dataset:
    """`tiny_dataset` as images of 8 bits, with a mean and a deviation for each channel.

    Args:
        channels: of every image.
        paper: whether most pixels have one value, as in images of digits.
        seed: see `tiny_dataset`.
    """
    data = tiny_dataset(input_shape=(channels, 6, 5), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    splits = []
    for split in (data.train, data.validation, data.test):
        images = ((split.inputs * 0.25 + 0.5) * 255).round().clamp(0, 255).to(torch.uint8)
        if paper:
            images[torch.rand(images.shape, generator=generator) < _PAPER] = 3
        splits.append(Split(images, split.targets))
    train, validation, test = splits
    return replace(
        data,
        train=train,
        validation=validation,
        test=test,
        mean=tuple(0.4 + 0.1 * channel for channel in range(channels)),
        deviation=tuple(0.3 - 0.05 * channel for channel in range(channels)),
    )


def as_floats(data: Dataset) -> Dataset:
    """The same examples, stored as a network sees them."""
    train, validation, test = (
        Split(data.normalized(split.inputs), split.targets)
        for split in (data.train, data.validation, data.test)
    )
    return replace(
        data, train=train, validation=validation, test=test, mean=(0.0,), deviation=(1.0,)
    )


def check_images_of_bytes(engine: Engine) -> None:
    """Images stored as bytes train to the same bits as the numbers that they stand for."""
    for what, data in _images():
        for optimizer in ("Adam", "SGD with momentum"):
            job = mlp_job((10, 7), tiny_config(OPTIMIZERS[optimizer], length=7), data=data)
            for dtype in (torch.float32, torch.float64):
                stored = in_precision(job, dtype)
                got = train_done(engine, stored)
                expected = train_done(engine, replace(stored, data=as_floats(data)))
                expect_same_result(got, expected, f"{what}, {optimizer}, {dtype}")
            follows_plain_loop(engine, job, f"{what}, {optimizer}")


def _images() -> Iterator[tuple[str, Dataset]]:
    for channels in (1, 3):
        for paper in (True, False):
            kind = "mostly paper" if paper else "without paper"
            yield f"bytes, {channels} channels, {kind}", stored_as_bytes(channels, paper=paper)


def check_augmentation(engine: Engine) -> None:
    """Training batches are augmented from their iteration's stream, and nothing else is.

    An engine that does not augment must refuse such data.
    """
    config = AugmentationConfig(flip=True, crop_padding=2)
    data = replace(stored_as_bytes(2, paper=False), augmentation=config)
    job = mlp_job((10, 7), data=data, snapshots_at=(0, 6))
    if not engine.augments:
        try:
            engine.train([job], [NullMonitor()])
        except UsageError:
            return
        expect(False, "the engine says that it does not augment, and trains on augmented data")
    for start in (0, 5):
        started = replace(job, start_iteration=start, snapshots_at=(5, 12))
        follows_plain_loop(engine, started, f"augmented, started at iteration {start}")
        resumes(engine, started, f"augmented, started at iteration {start}")
