"""What engines note of a training: when to measure, what to keep, when it is over."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lottery.testing.running import round_trip
from lottery.testing.samples import tiny_config, tiny_job
from lottery.training import CurvePoint, TrainingJob
from lottery.training.progress import Progress


def points(iteration: int, loss: float) -> list[CurvePoint]:
    return [
        CurvePoint.measured(iteration, "validation", loss, 0.5),
        CurvePoint.measured(iteration, "test", loss, 0.5),
    ]


def state(value: float) -> dict[str, Tensor]:
    return {"a/b": torch.tensor(value)}


def job(start_iteration: int = 0) -> TrainingJob:
    """Four steps an epoch, twelve in all, measured every five."""
    return tiny_job(tiny_config(), start_iteration=start_iteration, snapshots_at=(3, 12))


def gone_through(progress: Progress, losses: dict[int, float], until: int = 12) -> None:
    def here() -> dict[str, Tensor]:
        return state(progress.iteration)

    while True:
        progress.keep_snapshot(here)
        if progress.due:
            at = progress.iteration
            assert progress.note(1.0, points(at, losses[at]), here)
        if progress.iteration == until:
            return
        progress.iteration += 1


@pytest.mark.parametrize("start", [0, 3])
def test_measurements_are_due_at_both_ends_and_between(start: int) -> None:
    progress = Progress(job(start))
    due, ends = [], []
    for progress.iteration in range(start, 13):
        due += [progress.iteration] * progress.due
        ends += [progress.iteration] * progress.at_an_end
        assert progress.over == (progress.iteration == 12)

    assert due == sorted({start, 5, 10, 12})
    assert ends == [start, 12]


def test_a_position_is_an_epoch_and_an_example() -> None:
    progress, found = Progress(job()), []
    for progress.iteration in range(6):
        found.append(progress.position())

    assert found == [(0, 0), (0, 8), (0, 16), (0, 24), (1, 0), (1, 8)]


def test_the_best_state_and_snapshots_are_kept() -> None:
    progress = Progress(job())
    gone_through(progress, {0: 2.0, 5: 1.0, 10: 1.0, 12: 3.0})
    result = progress.result("some", lambda: state(99))

    assert (result.status, result.engine, result.early_stop_iteration) == ("done", "some", 5)
    assert result.early_stop == state(5)
    assert dict(result.snapshots) == {3: state(3), 12: state(12)}
    assert result.final == state(99)
    assert [point.iteration for point in result.curve] == [0, 0, 5, 5, 10, 10, 12, 12]


@pytest.mark.parametrize(
    ("training", "validation"), [(math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan)]
)
def test_a_loss_that_is_not_finite_ends_it(training: float, validation: float) -> None:
    progress = Progress(job())
    gone_through(progress, {0: 2.0, 5: 1.0}, until=5)
    progress.iteration = 7

    assert not progress.note(training, points(7, validation), lambda: state(7))

    assert progress.over
    result = progress.result("some", lambda: state(99))
    assert (result.status, result.early_stop_iteration) == ("diverged", None)
    assert "not finite at iteration 7" in result.reason
    assert (result.final, result.early_stop) == ({}, {})
    assert dict(result.snapshots) == {3: state(3)}
    assert [point.iteration for point in result.curve] == [0, 0, 5, 5]


def test_it_goes_on_from_a_checkpoint() -> None:
    losses = {0: 2.0, 5: 1.0, 10: 4.0, 12: 3.0}
    whole, first, second = (Progress(job()) for _ in range(3))
    gone_through(whole, losses)
    gone_through(first, losses, until=7)
    kept = round_trip(first.checkpoint({"model/x": torch.ones(2)}, {"more": 1}))

    second.restore(kept)
    gone_through(second, losses)

    assert kept.iteration == 7
    assert kept.values["more"] == 1
    assert torch.equal(kept.tensors["model/x"], torch.ones(2))
    expected, got = (one.result("some", lambda: state(99)) for one in (whole, second))
    assert replace(got, seconds=0.0) == replace(expected, seconds=0.0)
    assert got.seconds >= kept.values["seconds"] > 0
