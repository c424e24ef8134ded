"""Checks of how often an engine calls its monitor, which has no effect, and of being stopped."""

from __future__ import annotations

from itertools import product

import torch

from lottery.errors import Preempted
from lottery.testing.expect import expect, expect_same_result
from lottery.testing.running import Recorder, round_trip, train, train_done
from lottery.testing.samples import OPTIMIZERS, tiny_config, tiny_dropout_mlp, tiny_job, tiny_mlp
from lottery.training import Engine

_END = 12


def check_steps_at_once(engine: Engine) -> None:
    """Each monitor of a group is called as often as it asks, which has no effect on results.

    This holds for any number of steps at once, now and when a checkpoint was taken, from the first
    step on and after the last.
    """
    for name, make_model, start in (
        ("Adam", tiny_mlp, 0),
        ("SGD with Nesterov momentum and weight decay", tiny_dropout_mlp, 3),
    ):
        # Nothing else is due on the way that would make an engine stop.
        config = tiny_config(OPTIMIZERS[name], evaluate_every=99)
        job = tiny_job(config, make_model=make_model, start_iteration=start)
        alone = train_done(engine, job, Recorder())
        for order in ((1_000, 1, 5), (2, 7, 1_000)):
            recorders = [Recorder(steps_at_once=asked) for asked in order]
            results = engine.train([job] * len(order), recorders)
            for recorder, result in zip(recorders, results, strict=True):
                what = f"{name} in a group that allows {order} steps at once"
                _expect_in_time(recorder, start, what)
                expect_same_result(result, alone, f"{what}, {recorder.steps_at_once} of them")
                for kept, asked in product(recorder.kept[::4], order):
                    what = f"{name}, gone on from {kept.iteration} with {asked} steps at once"
                    later = Recorder(round_trip(kept), steps_at_once=asked)
                    expect_same_result(train_done(engine, job, later), alone, what)
                    if kept.iteration < _END:
                        _expect_in_time(later, kept.iteration, what)


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
    """A monitor that raises ends the training at that call; its checkpoint is enough to resume."""
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
