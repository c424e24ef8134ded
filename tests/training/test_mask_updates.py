"""The config of masks that change in training, when they do, and what the next mask is."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lottery.core import Group, Mask
from lottery.errors import MaskError
from lottery.testing.samples import tiny_config, tiny_job
from lottery.training import (
    CurvePoint,
    Length,
    MaskUpdatesConfig,
    TrainingJob,
    early_stop_iteration,
)
from lottery.training.engines.torch_engine.dynamic_mask import updated_mask
from lottery.training.progress import Progress

SET = MaskUpdatesConfig(method="set", every=Length(amount=3))
GRADUAL = MaskUpdatesConfig(method="gradual", every=Length(amount=3))


@pytest.mark.parametrize("method", ["none", "set", "rigl", "gradual"])
def test_defaults_are_right(method: str) -> None:
    assert MaskUpdatesConfig(method=method).problems() == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("config", "start"),
    [
        (replace(SET, every=Length(amount=0)), "every.amount: must be 1 or more, got 0"),
        (replace(SET, until=1.1), "until: expected 0 <= begin < until <= 1"),
        (replace(SET, begin=0.8), "until: expected 0 <= begin < until <= 1"),
        (replace(SET, begin=-0.1), "until: expected 0 <= begin < until <= 1"),
        (replace(SET, fraction=0.0), "fraction: must be above 0 and at most 1"),
    ],
)
def test_problems_are_named(config: MaskUpdatesConfig, start: str) -> None:
    (problem,) = config.problems()
    assert problem.startswith(start)


def due(config: MaskUpdatesConfig, *, start: int = 0, total: int = 20) -> list[int]:
    return [
        i
        for i in range(start, total + 1)
        if config.due(i, start=start, total=total, steps_per_epoch=4)
    ]


def test_when_updates_are_due() -> None:
    assert due(SET) == [3, 6, 9, 12]
    assert due(replace(SET, method="rigl")) == [3, 6, 9, 12]
    assert due(replace(SET, every=Length(amount=1, unit="epochs"))) == [4, 8, 12]
    assert due(replace(SET, begin=0.1, until=1.0)) == [5, 8, 11, 14, 17]
    assert due(SET, start=6) == [9, 12]
    assert due(GRADUAL) == [0, 3, 6, 9, 12, 15]
    assert due(replace(GRADUAL, until=0.8)) == [0, 3, 6, 9, 12, 15, 16]
    assert due(GRADUAL, start=17) == [17]
    assert due(MaskUpdatesConfig()) == []


def gradual_job(shape: str = "cubic") -> TrainingJob:
    updates = replace(GRADUAL, shape=shape, until=0.9)  # type: ignore[arg-type]
    job = replace(tiny_job(tiny_config(length=20), density=1.0), updates=updates)
    return replace(job, to_remove=(Group(("fc1.weight", "fc2.weight"), 140),))


def after(job: TrainingJob, mask: Mask, iteration: int) -> Mask:
    progress = Progress(job)
    progress.iteration = iteration
    return updated_mask(progress, mask, {n: job.start[n] for n in mask})


@pytest.mark.parametrize("shape", ["cubic", "linear"])
def test_gradual_counts_are_those_of_the_formula(shape: str) -> None:
    """190 weights in two layers that compete fall to 50, over 18 iterations in steps of 3."""
    job = gradual_job(shape)
    mask = job.mask
    for at in range(21):
        mask = after(job, mask, at)
        left = 1 - min(18, at // 3 * 3) / 18
        left = left**3 if shape == "cubic" else left
        assert mask["fc1.weight"].sum() + mask["fc2.weight"].sum() == round(50 + 140 * left)
        assert mask["output.weight"].all()
    sizes = torch.cat([job.start[n].abs().flatten() for n in ("fc1.weight", "fc2.weight")])
    kept = torch.cat([mask[n].flatten() for n in ("fc1.weight", "fc2.weight")])
    assert sizes[kept].min() > sizes[~kept].max()


def test_gradual_catches_up_where_training_starts_late() -> None:
    job = gradual_job()
    assert after(job, job.mask, 20).kept == 50 + 21


def test_random_growth_has_a_stream_of_its_own_for_each_iteration() -> None:
    job = replace(tiny_job(), updates=SET)
    assert after(job, job.mask, 3) == after(job, job.mask, 3)
    assert after(job, job.mask, 3) != after(job, job.mask, 6)
    assert after(job, job.mask, 3).layers == job.mask.layers


def test_gradual_pruning_of_unknown_layers_is_refused() -> None:
    job = replace(gradual_job(), to_remove=(Group(("fc9.weight",), 1),))
    with pytest.raises((MaskError, KeyError)):
        after(job, job.mask, 20)


def test_early_stop_among_late_points() -> None:
    curve = [
        CurvePoint.measured(at, "validation", loss, 0.5) for at, loss in ((0, 0.1), (5, 3), (9, 2))
    ]
    assert early_stop_iteration(curve) == 0
    assert early_stop_iteration(curve, since=5) == 9
    with pytest.raises(ValueError, match="expected at least one validation point"):
        early_stop_iteration(curve, since=10)
