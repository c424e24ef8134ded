"""Checks on how often an engine calls its monitor, which must change nothing but that."""

from __future__ import annotations

from collections.abc import Sequence

from lottery.errors import Preempted
from lottery.testing.expect import expect, expect_same_result
from lottery.testing.monitors import Recorder, StopAt, round_trip
from lottery.testing.running import train, train_done
from lottery.testing.samples import (
    OPTIMIZERS,
    tiny_config,
    tiny_dropout_mlp,
    tiny_job,
    tiny_mlp,
)
from lottery.training import Engine, TrainingJob

_END = 12


def check_steps_at_once_change_nothing(engine: Engine) -> None:
    """However many steps a monitor allows at once, now or when a checkpoint was taken."""
    for name, make_model in (
        ("Adam", tiny_mlp),
        ("SGD with Nesterov momentum and weight decay", tiny_dropout_mlp),
    ):
        config = tiny_config(OPTIMIZERS[name])
        job = tiny_job(config, make_model=make_model, snapshots_at=(0, 7))
        _same_whatever_the_monitor(engine, job, name)


def _same_whatever_the_monitor(engine: Engine, job: TrainingJob, what: str) -> None:
    recorders = {asked: Recorder(steps_at_once=asked) for asked in (1, 3, 1_000)}
    results = {asked: train_done(engine, job, recorder) for asked, recorder in recorders.items()}
    for asked, result in results.items():
        expect_same_result(result, results[1], f"{what}, {asked} steps at once")
    for taken, recorder in recorders.items():
        for checkpoint in recorder.kept[::4]:
            for asked in recorders.keys() - {taken}:
                later = Recorder(round_trip(checkpoint), steps_at_once=asked)
                moment = f"from iteration {checkpoint.iteration}, kept at {taken} steps at once"
                expect_same_result(
                    train_done(engine, job, later),
                    results[1],
                    f"{what}, gone on {moment}, {asked} steps at once",
                )


def check_monitor_is_called_in_time(engine: Engine) -> None:
    """No later than it asks for, from the first step on, also when gone on; and after the last."""
    for asked in (1, 2, 5, 7, 1_000):
        for start in (0, 3):
            # Nothing else is due on the way that would make an engine stop.
            job = tiny_job(tiny_config(evaluate_every=99), start_iteration=start)
            recorder = Recorder(steps_at_once=asked)
            train_done(engine, job, recorder)
            what = f"started at iteration {start}"
            _expect_in_time(recorder, start, what)

            checkpoint = recorder.kept[0]
            if checkpoint.iteration < _END:
                later = Recorder(checkpoint, steps_at_once=asked)
                train_done(engine, job, later)
                _expect_in_time(later, checkpoint.iteration, f"{what}, gone on")


def _expect_in_time(recorder: Recorder, start: int, what: str) -> None:
    asked, calls = recorder.steps_at_once, recorder.iterations
    what = f"{what}, {asked} steps at once allowed: called at {calls}"
    before = [start, *calls]
    expect(
        all(0 < call - last <= asked for last, call in zip(before, calls, strict=False)),
        f"{what}, expected from 1 to {asked} steps from one call to the next",
    )
    expect(calls[-1:] == [_END], f"{what}, expected a last call at {_END}, the end")
    given = [checkpoint.iteration for checkpoint in recorder.given]
    expect(given == calls, f"{what}, but the checkpoints say {given}")


def check_monitors_of_a_group(engine: Engine) -> None:
    """Each job's monitor is called as often as it asks itself."""
    jobs: Sequence[TrainingJob] = [tiny_job(tiny_config(evaluate_every=99)) for _ in range(3)]
    alone = train_done(engine, jobs[0])
    for order in ((1_000, 1, 4), (1, 4, 1_000)):
        recorders = [Recorder(steps_at_once=asked) for asked in order]
        for recorder, result in zip(recorders, engine.train(jobs, recorders), strict=True):
            what = f"in a group that allows {', '.join(map(str, order))} steps at once"
            _expect_in_time(recorder, 0, what)
            expect_same_result(result, alone, what)


def check_preemption_between_steps(engine: Engine) -> None:
    """A monitor that lets many steps pass is listened to at its next call, and can be gone on."""
    job = tiny_job(snapshots_at=(2, 8))
    whole = train_done(engine, job)
    for asked in (3, 1_000):
        monitor = StopAt(4, steps_at_once=asked)
        stopped = False
        try:
            train(engine, job, monitor)
        except Preempted:
            stopped = True
        expect(stopped, "the monitor raised Preempted, but the engine did not pass it on")
        last = monitor.last or 0
        expect(
            last < 4 + asked and monitor.kept is not None and monitor.kept.iteration == last,
            f"asked to stop after 4 with {asked} steps at once, but went on to {last}",
        )
        again = train_done(engine, job, Recorder(monitor.kept))
        expect_same_result(again, whole, f"preempted after {last} of {asked} steps at once")
