"""Checks on what an engine measures and keeps on the way."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

from lottery.testing.expect import expect, expect_same_result, expect_same_state
from lottery.testing.monitors import Recorder
from lottery.testing.running import measure, train_done
from lottery.testing.samples import OPTIMIZERS, tiny_config, tiny_dataset, tiny_job
from lottery.training import Engine, Length, TrainingJob, TrainingResult

# A loss summed in another order differs by rounding; in single precision by less than this.
_ROUNDING = 1e-4

_SPLITS: tuple[Literal["validation", "test"], ...] = ("validation", "test")


def check_curve_is_complete(engine: Engine) -> None:
    """Start, every N iterations and the end; validation before test; in order."""
    cases = {
        "from the beginning": (tiny_job(), [0, 5, 10, 12]),
        "from iteration 3": (tiny_job(start_iteration=3), [3, 5, 10, 12]),
        "the end due anyway": (tiny_job(tiny_config(length=10)), [0, 5, 10]),
        "N above the length": (tiny_job(tiny_config(evaluate_every=99)), [0, 12]),
        "every iteration": (tiny_job(tiny_config(length=3, evaluate_every=1)), [0, 1, 2, 3]),
        "N in epochs": (_every_epoch(), [0, 4, 8, 12]),
        "no step to do": (tiny_job(start_iteration=12), [12]),
    }
    for name, (job, iterations) in cases.items():
        result = train_done(engine, job)
        got = [(point.iteration, point.split) for point in result.curve]
        expected = [(at, split) for at in iterations for split in _SPLITS]
        expect(got == expected, f"{name}: expected the points {expected}, got {got}")


def _every_epoch() -> TrainingJob:
    job = tiny_job()
    return replace(job, config=replace(job.config, evaluate_every=Length(amount=1, unit="epochs")))


def check_curve_measures_the_network(engine: Engine) -> None:
    """Every point is the loss and accuracy of the network at that iteration."""
    every = tuple(range(13))
    job = tiny_job(tiny_config(evaluate_every=1), snapshots_at=every)
    result = train_done(engine, job)
    expect(tuple(result.snapshots) == every, f"expected all snapshots, got {set(result.snapshots)}")
    for point in result.curve:
        state = result.snapshots[point.iteration]
        loss, accuracy = measure(job, state, job.data.split(point.data_split))
        expect(
            math.isclose(point.loss, loss, rel_tol=_ROUNDING, abs_tol=_ROUNDING),
            f"{point.split} loss at iteration {point.iteration}: {point.loss}, measured {loss}",
        )
        expect(
            math.isclose(point.accuracy, accuracy, abs_tol=1e-9),
            f"{point.split} accuracy at iteration {point.iteration}: {point.accuracy}, "
            f"measured {accuracy}",
        )
    expect_same_state(result.final, result.snapshots[12], "the end, against its snapshot")


def check_early_stop(engine: Engine) -> None:
    """Early stop is the first minimum of validation loss, and its state has that loss."""
    stops = set()
    for name, rate in (("still falling", 0.02), ("overfitting", 0.2), ("only worse", 1.0)):
        config = tiny_config(OPTIMIZERS["Adam"], base=rate, length=40, evaluate_every=2)
        job = tiny_job(config, density=0.9)
        result = train_done(engine, job)
        validation = [point for point in result.curve if point.split == "validation"]
        best = min(validation, key=lambda point: point.loss)
        expect(
            result.early_stop_iteration == best.iteration,
            f"{name}: early stop at {result.early_stop_iteration}, minimum at {best.iteration}",
        )
        loss, _ = measure(job, result.early_stop, job.data.validation)
        expect(
            math.isclose(loss, best.loss, rel_tol=_ROUNDING, abs_tol=_ROUNDING),
            f"{name}: the state at early stop has validation loss {loss}, the curve {best.loss}",
        )
        expect(
            result.curve[-1].iteration == 40,
            f"{name}: training did not run to its end, iteration 40",
        )
        stops.add(best.iteration)
    expect(len(stops) > 1, "the check's own jobs all stop at the same iteration; it checks nothing")


def check_snapshots(engine: Engine) -> None:
    """Exactly those asked for and reached, whether or not they fall on a measurement."""
    result = train_done(engine, tiny_job(snapshots_at=(0, 1, 5, 7, 12, 99)))
    expect(
        sorted(result.snapshots) == [0, 1, 5, 7, 12],
        f"asked for 0, 1, 5, 7, 12 and, past the end, 99; got {sorted(result.snapshots)}",
    )
    late = train_done(engine, tiny_job(start_iteration=4, snapshots_at=(3, 5)))
    expect(
        list(late.snapshots) == [5],
        f"started at iteration 4 and asked for 3 and 5; got {sorted(late.snapshots)}",
    )


def check_measuring_changes_nothing(engine: Engine) -> None:
    """How often validation and test are measured, and what is kept, moves no weight."""
    often = train_done(engine, tiny_job(tiny_config(evaluate_every=1), snapshots_at=(3, 4)))
    seldom = train_done(engine, tiny_job(tiny_config(evaluate_every=99)))
    expect_same_state(often.final, seldom.final, "the end, measured often against seldom")


def check_monitor_sees_every_step(engine: Engine) -> None:
    """Once after every step, in order, with a checkpoint of that iteration that stays as it is."""
    for start in (0, 3):
        recorder = Recorder()
        job = tiny_job(start_iteration=start)
        watched = train_done(engine, job, recorder)
        expected = list(range(start + 1, 13))
        expect(
            recorder.iterations == expected,
            f"expected a call after each of {expected}, got {recorder.iterations}",
        )
        for iteration, given, kept in zip(
            recorder.iterations, recorder.given, recorder.kept, strict=True
        ):
            expect(
                given.iteration == iteration,
                f"the checkpoint after step {iteration} says iteration {given.iteration}",
            )
            expect_same_state(given.tensors, kept.tensors, f"checkpoint {iteration}, at the end")
            expect(dict(given.values) == dict(kept.values), f"checkpoint {iteration}: values moved")
        expect_same_result(watched, train_done(engine, job), "a training that was watched")


def check_result_is_labelled(engine: Engine) -> None:
    """The engine's own name, time that is a number of seconds, and no reason for a success."""
    result: TrainingResult = train_done(engine, tiny_job())
    expect(bool(engine.name), "the engine has no name")
    expect(result.engine == engine.name, f"engine '{engine.name}' signed as '{result.engine}'")
    expect(
        math.isfinite(result.seconds) and result.seconds >= 0, f"it took {result.seconds} seconds"
    )
    expect(result.reason == "", f"a training that is done gave a reason: {result.reason}")


def check_splits_of_any_size(engine: Engine) -> None:
    """One example to measure on is enough, and splits may differ in size."""
    job = tiny_job(data=tiny_dataset(train=9, validation=1, test=6))
    result = train_done(engine, job)
    loss, accuracy = measure(job, result.final, job.data.validation)
    point = result.curve[-2]
    expect(
        math.isclose(point.loss, loss, rel_tol=_ROUNDING, abs_tol=_ROUNDING)
        and point.accuracy == accuracy,
        f"one validation example: {point}, measured {loss} and {accuracy}",
    )
