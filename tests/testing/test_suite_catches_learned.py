"""Engines that learn masks badly, or note something else, fail the check that is for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from lottery.core import Mask
from lottery.testing import ENGINE_CHECKS
from lottery.training import (
    Checkpoint,
    MaskLearning,
    Monitor,
    Observer,
    TrainingJob,
    TrainingResult,
)
from lottery.training.engines.torch_engine import TorchEngine

CHECKS = {check.__name__: check for check in ENGINE_CHECKS}


class Broken(TorchEngine):
    """The torch engine with one thing broken on the way in or out."""

    def train(
        self, jobs: Sequence[TrainingJob], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        return [self.one(job, monitor) for job, monitor in zip(jobs, monitors, strict=True)]

    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        return TorchEngine().train([job], [monitor])[0]


class TrainsWeights(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        return super().one(replace(job, mask_learning=None), monitor)


class TrainsWeightsAndClaimsTheMask(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        return replace(super().one(replace(job, mask_learning=None), monitor), mask=job.mask)


class KeepsOneTooMany(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        more = dict(job.mask.items())
        first = more["fc1.weight"].flatten()
        first[int((~first).nonzero()[0])] = True
        more["fc1.weight"] = first.view(more["fc1.weight"].shape)
        return super().one(replace(job, mask=Mask(more)), monitor)


class HasOneStream(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        if job.mask_learning is not None:
            mask_learning = MaskLearning(method=job.mask_learning.method, stream=("all",))
            job = replace(job, mask_learning=mask_learning)
        return super().one(job, monitor)


class ForgetsScores(Broken):
    """Goes on from the first scores."""

    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        kept = monitor.restore()
        if kept is not None and job.mask_learning is not None:
            scores = {n: t * 0 + 1 for n, t in kept.tensors.items() if n.startswith("scores/")}
            forgotten = replace(kept, tensors={**kept.tensors, **scores})
            monitor = From(monitor, forgotten)
        return super().one(job, monitor)


class SaysThatItDoesNot(TorchEngine):
    learns_masks = False


class NotesNothing(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        return super().one(replace(job, observer=None), monitor)


class LooksTooRarely(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        if job.observer is not None:
            job = replace(job, observer=Observer(at=job.observer.at[1:], note=job.observer.note))
        return super().one(job, monitor)


class ForgetsNotes(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        kept = monitor.restore()
        if kept is not None:
            rest = {n: t for n, t in kept.tensors.items() if not n.startswith("notes/")}
            monitor = From(monitor, replace(kept, tensors=rest))
        return super().one(job, monitor)


class From:
    """Another monitor, gone on from another checkpoint."""

    def __init__(self, monitor: Monitor, kept: Checkpoint) -> None:
        self._kept, self.step, self.steps_at_once = kept, monitor.step, monitor.steps_at_once

    def restore(self) -> Checkpoint | None:
        return self._kept


@pytest.mark.parametrize(
    ("engine", "check"),
    [
        (TrainsWeights(), "check_learned_masks"),
        (TrainsWeightsAndClaimsTheMask(), "check_learned_masks"),
        (KeepsOneTooMany(), "check_learned_masks"),
        (SaysThatItDoesNot(), "check_learned_masks"),
        (HasOneStream(), "check_learned_masks"),
        (ForgetsScores(), "check_learned_masks_resume"),
        (NotesNothing(), "check_notes"),
        (LooksTooRarely(), "check_notes"),
        (ForgetsNotes(), "check_notes"),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_broken_engine_is_caught(engine: TorchEngine, check: str) -> None:
    with pytest.raises(AssertionError):
        CHECKS[check](engine)


@pytest.mark.parametrize(
    "check",
    ["check_learned_masks", "check_learned_masks_resume", "check_notes"],
)
def test_a_sound_engine_passes(check: str) -> None:
    CHECKS[check](TorchEngine())
