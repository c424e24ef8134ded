"""What the engine suite says of engines that change masks in another way than the config says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from rewired import Lossy, Rewired
from torch import Tensor

from lottery.core import Mask
from lottery.holding import Hold
from lottery.rng import Streams
from lottery.testing import ENGINE_CHECKS
from lottery.training import (
    Monitor,
    TrainingJob,
    TrainingResult,
    early_stop_iteration,
)
from lottery.training.engines.torch_engine import TorchEngine
from lottery.training.engines.torch_engine.dynamic_mask import DynamicMask
from lottery.training.engines.torch_engine.in_progress import TrainingInProgress
from lottery.training.engines.torch_engine.training import Training

CHECKS = {check.__name__: check for check in ENGINE_CHECKS}
PLAIN, RESUME = "check_mask_updates", "check_settings_with_dropout_resume"


def updating(**changes: Any) -> Callable[[TrainingJob], TrainingJob]:
    def job_of(job: TrainingJob) -> TrainingJob:
        updates = replace(job.updates, **changes)
        return replace(job, updates=updates)

    return job_of


def still(job: TrainingJob) -> TrainingJob:
    return updating(method="none")(job)


def less_gone(job: TrainingJob) -> TrainingJob:
    to_remove = tuple(replace(group, remove=group.remove - 1) for group in job.to_remove)
    return replace(job, to_remove=to_remove)


def other_growth(job: TrainingJob) -> TrainingJob:
    return replace(job, streams=Streams(7, 7)) if job.updates.method == "set" else job


def unmasked(job: TrainingJob, result: TrainingResult) -> TrainingResult:
    return replace(result, final={name: value + 1 for name, value in result.final.items()})


def stops_anywhere(job: TrainingJob, result: TrainingResult) -> TrainingResult:
    return replace(result, early_stop_iteration=early_stop_iteration(result.curve))


class RefusesAndTrains(Rewired):
    updates_masks = False


def first_mask(name: str, value: Tensor) -> Tensor:
    return torch.ones_like(value) if name.startswith("mask/") else value


def forgetful(monitor: Monitor) -> Monitor:
    return Lossy(monitor, first_mask)


CAUGHT_BY: list[tuple[str, Rewired]] = [
    (PLAIN, Rewired(job=still)),
    (PLAIN, RefusesAndTrains()),
    (PLAIN, Rewired(job=less_gone)),
    (PLAIN, Rewired(job=updating(begin=0.3))),
    (RESUME, Rewired(result=unmasked)),
    (PLAIN, Rewired(job=other_growth)),
    (PLAIN, Rewired(job=updating(until=0.5))),
    (RESUME, Rewired(monitor=forgetful)),
    (PLAIN, Rewired(result=stops_anywhere)),
]


@pytest.mark.parametrize(
    ("check", "broken"), CAUGHT_BY, ids=[f"{check}-{n}" for n, (check, _) in enumerate(CAUGHT_BY)]
)
def test_a_broken_engine_is_caught(check: str, broken: Rewired) -> None:
    with pytest.raises(AssertionError) as caught:
        CHECKS[check](broken)

    assert len(str(caught.value)) > 20, "a failure should say what is wrong"


@pytest.mark.parametrize("what", ["state", "averages"])
def test_a_past_that_outlives_its_weight_is_caught(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Optimizer state of what was dropped, and its share of an average."""
    change = DynamicMask.change

    def keeping_averages(self: DynamicMask, mask: Mask) -> None:
        self._averages = {}
        change(self, mask)

    if what == "state":
        monkeypatch.setattr(Hold, "_clear_state", lambda *_: None)
    else:
        monkeypatch.setattr(DynamicMask, "change", keeping_averages)
    with pytest.raises(AssertionError, match="not zero"):
        CHECKS[RESUME](TorchEngine())


def test_a_step_in_the_place_of_an_update_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    update_mask = Training._update_mask

    def both(self: Training) -> None:
        gradients = [None if p.grad is None else p.grad.clone() for p in self.parameters]
        update_mask(self)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        TrainingInProgress._update(self)

    monkeypatch.setattr(Training, "_update_mask", both)
    with pytest.raises(AssertionError, match="rigl, from 5"):
        CHECKS[PLAIN](TorchEngine())


def test_every_check_of_this_kind_can_fail() -> None:
    assert {check for check, _ in CAUGHT_BY} == {PLAIN, RESUME}
