"""Engines that make something else of the data fail the check that is for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from lottery.data import AugmentationConfig, Dataset, Split
from lottery.rng import Streams
from lottery.testing import ENGINE_CHECKS
from lottery.training import Monitor, TrainingJob, TrainingResult
from lottery.training.engines.torch_engine import TorchEngine

CHECKS = {check.__name__: check for check in ENGINE_CHECKS}


def as_floats(data: Dataset) -> Dataset:
    """The same examples, stored as a network sees them."""
    train, validation, test = (
        Split(data.normalized(split.inputs), split.targets)
        for split in (data.train, data.validation, data.test)
    )
    return replace(
        data, train=train, validation=validation, test=test, mean=(0.0,), deviation=(1.0,)
    )


class Changes(TorchEngine):
    """Trains another job than it is given."""

    def changed(self, job: TrainingJob) -> TrainingJob:
        raise NotImplementedError

    def train(
        self, jobs: Sequence[TrainingJob], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        return super().train([self.changed(job) for job in jobs], monitors)


class IgnoresTheScale(Changes):
    def changed(self, job: TrainingJob) -> TrainingJob:
        return replace(job, data=replace(job.data, mean=(0.0,), deviation=(1.0,)))


class TakesTheFirstChannelsScale(Changes):
    def changed(self, job: TrainingJob) -> TrainingJob:
        mean, deviation = job.data.mean[:1], job.data.deviation[:1]
        return replace(job, data=replace(job.data, mean=mean, deviation=deviation))


class RoundsInDoublePrecision(Changes):
    def changed(self, job: TrainingJob) -> TrainingJob:
        data = as_floats(job.data)
        split = data.train
        exact = job.data.train.inputs.double()
        if job.data.train.inputs.dtype != torch.uint8:
            return job
        shape = (-1, *[1] * (exact.dim() - 2))
        mean = torch.tensor(job.data.mean, dtype=torch.float64).view(shape)
        deviation = torch.tensor(job.data.deviation, dtype=torch.float64).view(shape)
        inputs = (exact / 255 - mean) / deviation
        return replace(job, data=replace(data, train=replace(split, inputs=inputs)))


class DoesNotAugment(Changes):
    def changed(self, job: TrainingJob) -> TrainingJob:
        return replace(job, data=replace(job.data, augmentation=AugmentationConfig()))


class AugmentsAlikeInEveryReplicate(Changes):
    def changed(self, job: TrainingJob) -> TrainingJob:
        class Shifted(Streams):
            def generator(self, *purpose: str | int) -> torch.Generator:
                if purpose[0] == "augmentation":
                    purpose = ("augmentation", 0)
                return super().generator(*purpose)

        return replace(job, streams=Shifted(job.streams.seed, job.streams.replicate))


class SaysThatItDoesNot(TorchEngine):
    augments = False


@pytest.mark.parametrize(
    ("engine", "check"),
    [
        (IgnoresTheScale(), "check_inputs"),
        (TakesTheFirstChannelsScale(), "check_inputs"),
        (RoundsInDoublePrecision(), "check_inputs"),
        (DoesNotAugment(), "check_augmentation"),
        (AugmentsAlikeInEveryReplicate(), "check_augmentation"),
        (SaysThatItDoesNot(), "check_augmentation"),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_broken_engine_is_caught(engine: TorchEngine, check: str) -> None:
    with pytest.raises(AssertionError):
        CHECKS[check](engine)


@pytest.mark.parametrize("check", ["check_inputs", "check_augmentation"])
def test_a_sound_engine_passes(check: str) -> None:
    CHECKS[check](TorchEngine())
