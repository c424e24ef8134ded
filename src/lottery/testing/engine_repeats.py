"""Checks that the same job gives the same bytes: again, in a group, and after an interruption."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import nn

from lottery.errors import Preempted
from lottery.testing.expect import copied, expect, expect_same_result, expect_same_state, same_bytes
from lottery.testing.monitors import Recorder, StopAt, round_trip
from lottery.testing.running import train, train_done
from lottery.testing.samples import OPTIMIZERS, tiny_config, tiny_job, tiny_mlp
from lottery.training import (
    Engine,
    LearningRateConfig,
    Length,
    NullMonitor,
    OptimizerConfig,
    TrainingJob,
)

ModelMaker = Callable[[], nn.Module]


def check_same_twice(engine: Engine) -> None:
    """The same job gives the same bytes again."""
    for name, optimizer in OPTIMIZERS.items():
        job = tiny_job(tiny_config(optimizer), snapshots_at=(0, 7))
        expect_same_result(train_done(engine, job), train_done(engine, job), f"{name}, again")


def check_streams_decide_the_order(engine: Engine) -> None:
    """Another replicate's streams, with all else equal, give another training."""
    job = tiny_job()
    other = replace(job, streams=tiny_job(replicate=1).streams)
    one, two = train_done(engine, job).final, train_done(engine, other).final
    expect(
        any(not same_bytes(one[name], two[name]) for name in one),
        "two replicates saw their examples in the same order: are the job's streams used?",
    )


def _group(optimizer: OptimizerConfig, make_model: ModelMaker) -> list[TrainingJob]:
    """Jobs that share network, data and config, and differ in all that may differ."""
    data = tiny_job().data
    jobs = [
        tiny_job(
            tiny_config(optimizer),
            make_model=make_model,
            density=density,
            replicate=replicate,
            data=data,
            snapshots_at=snapshots,
        )
        for replicate, (density, snapshots) in enumerate([(1.0, (0, 6)), (0.4, ()), (0.05, (12,))])
    ]
    return [*jobs, replace(jobs[1], start_iteration=3)]


def alone_or_in_a_group(engine: Engine, make_model: ModelMaker = tiny_mlp) -> None:
    """Fail unless every job of a group gives the bytes it gives alone, in any order of jobs."""
    for name in ("Adam", "SGD with Nesterov momentum and weight decay"):
        jobs = _group(OPTIMIZERS[name], make_model)
        alone = [train_done(engine, job) for job in jobs]
        together = engine.train(jobs, [NullMonitor() for _ in jobs])
        backwards = engine.train(jobs[::-1], [NullMonitor() for _ in jobs])[::-1]
        for number, expected in enumerate(alone):
            what = f"{name}, job {number} of the group"
            expect_same_result(together[number], expected, what)
            expect_same_result(backwards[number], expected, f"{what}, jobs in reverse")


def check_alone_or_in_a_group(engine: Engine) -> None:
    """A job gives the same bytes alone as beside others, and results keep the order of jobs."""
    alone_or_in_a_group(engine)
    expect(engine.train([], []) == [], "a group of no jobs gives no results")


def leaves_global_randomness(engine: Engine, make_model: ModelMaker = tiny_mlp) -> None:
    """Fail if the global generator changes a result, or a training the global generator."""
    job = tiny_job(make_model=make_model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = train_done(engine, job)
        torch.manual_seed(2)
        before = torch.get_rng_state()
        second = train_done(engine, job)
        expect(
            torch.equal(before, torch.get_rng_state()),
            "training moved the caller's global random number generator",
        )
    expect_same_result(second, first, "with the global generator seeded differently")


def check_global_randomness(engine: Engine) -> None:
    """The global random number generator is neither listened to nor moved."""
    leaves_global_randomness(engine)


def resumes(engine: Engine, job: TrainingJob, what: str) -> None:
    """Fail unless going on from every checkpoint of a job gives the bytes of going through.

    Each checkpoint comes back as from a file: tensors copied, values through JSON. Using it must
    not change it, since a training may be cut off again and go on from the same one.
    """
    recorder = Recorder()
    whole = train(engine, job, recorder)
    for checkpoint in recorder.kept:
        moment = f"{what}, gone on from iteration {checkpoint.iteration}"
        used = round_trip(checkpoint)
        later = Recorder(used)
        expect_same_result(train(engine, job, later), whole, moment)
        expect_same_state(used.tensors, checkpoint.tensors, f"{moment}: the checkpoint, once used")
        expected = [at for at in recorder.iterations if at > checkpoint.iteration]
        expect(
            later.iterations == expected,
            f"{moment}: expected the steps {expected}, got {later.iterations}",
        )


def check_resume(engine: Engine) -> None:
    """Cut off after any step and gone on, a training gives the same bytes, with any optimizer."""
    for name, optimizer in OPTIMIZERS.items():
        resumes(engine, tiny_job(tiny_config(optimizer), snapshots_at=(0, 6, 12)), name)


def check_resume_past_early_stop(engine: Engine) -> None:
    """The same for a training whose best state lies behind it: that state is kept as well."""
    job = tiny_job(tiny_config(base=0.2, length=24, evaluate_every=2), density=0.9)
    stop = train_done(engine, job).early_stop_iteration
    expect(stop in range(2, 22), f"the check's own job stops at {stop}; it checks nothing")
    resumes(engine, job, "overfitting")


def check_resume_after_a_late_start(engine: Engine) -> None:
    """The same for a training that starts from a rewound iteration."""
    config = replace(
        tiny_config(OPTIMIZERS["SGD with momentum"]),
        learning_rate=LearningRateConfig(
            schedule="cosine", base=0.1, warmup=Length(amount=1, unit="epochs")
        ),
    )
    resumes(engine, tiny_job(config, start_iteration=3, snapshots_at=(3, 4)), "from iteration 3")


def check_resume_of_a_divergence(engine: Engine) -> None:
    """A training that diverges does so at the same place after an interruption at any step."""
    for every in (1, 5, 12):
        config = tiny_config(OPTIMIZERS["SGD"], base=1e30, evaluate_every=every)
        resumes(engine, tiny_job(config), f"diverging, measured every {every}")


def check_resume_in_a_group(engine: Engine) -> None:
    """Jobs of a group may go on from different iterations, or from the beginning."""
    jobs = _group(OPTIMIZERS["Adam"], tiny_mlp)
    recorders = [Recorder() for _ in jobs]
    whole = engine.train(jobs, recorders)
    resumed = [Recorder()]
    for number, at in ((1, 5), (2, 10), (3, 12)):
        kept = {checkpoint.iteration: checkpoint for checkpoint in recorders[number].kept}
        expect(at in kept, f"job {number} of a group gave no checkpoint after step {at}")
        resumed.append(Recorder(kept[at]))
    for number, result in enumerate(engine.train(jobs, resumed)):
        expect_same_result(result, whole[number], f"job {number} of a group gone on")
        first = next(iter(resumed[number].iterations), 13)
        expected = (1, 6, 11, 13)[number]
        expect(first == expected, f"job {number} went on with step {first}, expected {expected}")


def check_preemption(engine: Engine) -> None:
    """What a monitor raises ends the training at once, and what it kept is enough to go on."""
    job = tiny_job(snapshots_at=(2, 8))
    whole = train_done(engine, job)
    for at in (1, 5, 12):
        monitor = StopAt(at)
        with torch.random.fork_rng(devices=[]):
            before = torch.get_rng_state()
            _expect_preempted(engine, job, monitor)
            expect(
                torch.equal(before, torch.get_rng_state()),
                "a training cut off left the global random number generator moved",
            )
        expect(monitor.last == at, f"asked to stop after {at}, but went on to {monitor.last}")
        again = train_done(engine, job, Recorder(monitor.kept))
        expect_same_result(again, whole, f"preempted after iteration {at} and gone on")


def _expect_preempted(engine: Engine, job: TrainingJob, monitor: StopAt) -> None:
    try:
        train(engine, job, monitor)
    except Preempted:
        return
    raise AssertionError("the monitor raised Preempted, but the engine did not pass it on")


def continues(engine: Engine, jobs: Sequence[tuple[str, TrainingJob]], at: int) -> None:
    """Fail unless starting at iteration ``at`` from its snapshot is the rest of the training.

    Args:
        engine: the engine.
        jobs: named jobs whose optimizer has no state, so that a fresh one changes nothing.
        at: the iteration to rewind to.
    """
    for name, job in jobs:
        whole = train_done(engine, replace(job, snapshots_at=(at,)))
        expect(at in whole.snapshots, f"{name}: the snapshot at iteration {at} is missing")
        start = copied(whole.snapshots[at])
        rest = train_done(engine, replace(job, start=start, start_iteration=at))
        what = f"{name}, started at iteration {at} from its snapshot"
        expect_same_state(rest.final, whole.final, f"{what}: the end")
        later = {(p.iteration, p.split): p for p in rest.curve}
        for point in whole.curve:
            if point.iteration >= at:
                got = later.get((point.iteration, point.split))
                expect(got == point, f"{what}: measured {got}, uninterrupted {point}")


def check_late_start_continues(engine: Engine) -> None:
    """Learning rate and data order go on where they were: plain SGD from a snapshot is the rest."""
    warmup = Length(amount=5)
    epoch = Length(amount=1, unit="epochs")
    rates = {
        "constant": LearningRateConfig(base=0.1),
        "cosine with warm-up": LearningRateConfig(schedule="cosine", base=0.1, warmup=warmup),
        "step": LearningRateConfig(schedule="step", base=0.1, drops=(epoch, Length(amount=9))),
    }
    jobs = [
        (name, tiny_job(replace(tiny_config(OPTIMIZERS["SGD"]), learning_rate=rate)))
        for name, rate in rates.items()
    ]
    for at in (1, 4, 7, 12):
        continues(engine, jobs, at)
