"""Checks on how often an engine calls its monitor, which changes nothing, and on being stopped."""

from __future__ import annotations

import torch

from lottery.errors import Preempted
from lottery.testing.expect import expect, expect_same_result
from lottery.testing.monitors import Recorder, round_trip
from lottery.testing.running import train, train_done
from lottery.testing.samples import OPTIMIZERS, tiny_config, tiny_dropout_mlp, tiny_job, tiny_mlp
from lottery.training import Engine

_END = 12


def check_steps_at_once_change_nothing(engine: Engine) -> None:
    """However many steps a monitor allows at once, now or when a checkpoint was taken."""
    for name, make_model in (
        ("Adam", tiny_mlp),
        ("SGD with Nesterov momentum and weight decay", tiny_dropout_mlp),
    ):
        job = tiny_job(tiny_config(OPTIMIZERS[name]), make_model=make_model, snapshots_at=(0, 7))
        recorders = {asked: Recorder(steps_at_once=asked) for asked in (1, 3, 1_000)}
        results = {asked: train_done(engine, job, r) for asked, r in recorders.items()}
        for taken, recorder in recorders.items():
            expect_same_result(results[taken], results[1], f"{name}, {taken} steps at once")
            for kept in recorder.kept[::4]:
                for asked in recorders.keys() - {taken}:
                    later = Recorder(round_trip(kept), steps_at_once=asked)
                    expect_same_result(
                        train_done(engine, job, later),
                        results[1],
                        f"{name}, gone on from iteration {kept.iteration}, kept at {taken} steps "
                        f"at once, {asked} steps at once",
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


def check_monitors_of_a_group(engine: Engine) -> None:
    """Each job's monitor is called as often as it asks itself."""
    jobs = [tiny_job(tiny_config(evaluate_every=99)) for _ in range(3)]
    alone = train_done(engine, jobs[0])
    for order in ((1_000, 1, 4), (1, 4, 1_000)):
        recorders = [Recorder(steps_at_once=asked) for asked in order]
        for recorder, result in zip(recorders, engine.train(jobs, recorders), strict=True):
            what = f"in a group that allows {', '.join(map(str, order))} steps at once"
            _expect_in_time(recorder, 0, what)
            expect_same_result(result, alone, what)


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


def check_preemption(engine: Engine) -> None:
    """What a monitor raises ends the training at its call, and what it kept is enough to go on."""
    job = tiny_job(snapshots_at=(2, 8))
    whole = train_done(engine, job)
    for at, steps_at_once in ((1, 1), (5, 1), (12, 1), (4, 3), (4, 1_000)):
        monitor, stopped = Recorder(steps_at_once=steps_at_once, stop_at=at), False
        with torch.random.fork_rng(devices=[]):
            before = torch.get_rng_state()
            try:
                train(engine, job, monitor)
            except Preempted:
                stopped = True
            moved = not torch.equal(before, torch.get_rng_state())
        expect(stopped, "the monitor raised Preempted, but the engine did not pass it on")
        expect(not moved, "a training cut off left the global random number generator moved")
        last = monitor.iterations[-1]
        expect(
            last < at + steps_at_once and monitor.kept[-1].iteration == last,
            f"asked to stop after {at} with {steps_at_once} steps at once, but went on to {last}",
        )
        again = train_done(engine, job, Recorder(monitor.kept[-1]))
        expect_same_result(again, whole, f"preempted after iteration {last} and gone on")
