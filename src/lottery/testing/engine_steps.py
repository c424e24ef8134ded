"""Checks on the steps themselves: which examples, which arithmetic, and when it breaks down."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from lottery.testing.expect import copied, expect, expect_same_result
from lottery.testing.plain import follows_plain_loop
from lottery.testing.running import in_precision, train, train_done
from lottery.testing.samples import OPTIMIZERS, tiny_config, tiny_dataset, tiny_job
from lottery.training import (
    Engine,
    LearningRateConfig,
    Length,
    NullMonitor,
    TrainingResult,
)


def check_follows_the_plain_loop(engine: Engine) -> None:
    """Every optimizer takes the steps of the plain loop, to the last digits in double precision."""
    for name, optimizer in OPTIMIZERS.items():
        follows_plain_loop(engine, tiny_job(tiny_config(optimizer)), name)


def check_kept_weights_train_whatever_their_value(engine: Engine) -> None:
    """The mask alone says what is frozen: weights kept at zero or below it are trained."""
    job = tiny_job(tiny_config(OPTIMIZERS["SGD"]))
    start = copied(job.start)
    for name in job.mask:
        start[name] = start[name].clamp(max=0.0)
        start[name].flatten()[::3] = 0.0
    follows_plain_loop(engine, replace(job, start=start), "weights of zero and below")


def check_follows_the_learning_rate(engine: Engine) -> None:
    """Warm-up, drops and cosine change the rate at the very step that they should."""
    warmup = Length(amount=1, unit="epochs")
    drops = (Length(amount=2, unit="epochs"), Length(amount=10))
    rates = {
        "warm-up": LearningRateConfig(base=0.1, warmup=warmup),
        "step": LearningRateConfig(schedule="step", base=0.1, drops=drops, factor=0.3),
        "cosine": LearningRateConfig(schedule="cosine", base=0.1, warmup=warmup),
    }
    for name, rate in rates.items():
        for optimizer in ("Adam", "SGD with momentum"):
            config = replace(tiny_config(OPTIMIZERS[optimizer]), learning_rate=rate)
            follows_plain_loop(engine, tiny_job(config), f"{optimizer} with {name}")


def check_last_batch_is_used(engine: Engine) -> None:
    """An epoch's last batch is a step like any other, however few examples it holds."""
    sgd = OPTIMIZERS["SGD"]
    for examples, size, steps in ((27, 8, 4), (25, 8, 4), (24, 8, 3), (9, 2, 5)):
        what = f"{examples} examples in batches of {size}"
        config = replace(tiny_config(sgd, batch_size=size), length=Length(amount=2, unit="epochs"))
        job = tiny_job(config, data=tiny_dataset(train=examples))
        result = train_done(engine, job)
        end = result.curve[-1].iteration
        expect(end == 2 * steps, f"{what}: two epochs are {2 * steps} steps, but it did {end}")
        follows_plain_loop(engine, job, what)


def check_batch_larger_than_the_data(engine: Engine) -> None:
    """All examples make one batch, and every step is an epoch."""
    job = tiny_job(tiny_config(OPTIMIZERS["SGD"], batch_size=1000, length=3))
    follows_plain_loop(engine, job, "a batch larger than the data")


def check_precision_follows_the_start(engine: Engine) -> None:
    """Start weights of double precision train in double precision."""
    job = in_precision(tiny_job(snapshots_at=(6,)), torch.float64)
    result = train_done(engine, job)
    states = {"final": result.final, "early stop": result.early_stop, "6": result.snapshots[6]}
    for label, state in states.items():
        wrong = {n: str(v.dtype) for n, v in state.items() if v.dtype != torch.float64}
        expect(not wrong, f"{label}: expected float64, got {wrong}")
    rounded = all(torch.equal(v, v.float().double()) for v in result.final.values())
    expect(not rounded, "every final weight fits in float32: was it trained in single precision?")


def _expect_diverged(result: TrainingResult, what: str) -> None:
    expect(
        result.status == "diverged",
        f"{what}: the loss was not finite, but the training is '{result.status}'",
    )
    expect(bool(result.reason), f"{what}: a training that diverged gives no reason")
    expect(not result.final, f"{what}: a training that diverged has no final weights")
    expect(not result.early_stop, f"{what}: a training that diverged has no early stop")
    expect(result.early_stop_iteration is None, f"{what}: it has an early-stop iteration")
    wrong = [p for p in result.curve if not (math.isfinite(p.loss) and math.isfinite(p.accuracy))]
    expect(not wrong, f"{what}: the curve holds {wrong}")


def check_divergence(engine: Engine) -> None:
    """A loss that stops being finite ends the training as diverged, whenever it is noticed."""
    for name in ("Adam", "SGD", "SGD with momentum"):
        for every in (1, 5, 99):
            config = tiny_config(OPTIMIZERS[name], base=1e30, evaluate_every=every)
            what = f"{name} at a rate of 1e30, measured every {every}"
            _expect_diverged(train(engine, tiny_job(config)), what)
            config = replace(config, loss="mse")
            _expect_diverged(train(engine, tiny_job(config)), f"{what}, mse")


def check_divergence_by_one_example(engine: Engine) -> None:
    """A training loss of NaN counts, though all examples that are measured are in order."""
    job = tiny_job(tiny_config(OPTIMIZERS["SGD"], evaluate_every=99))
    inputs = job.data.train.inputs.clone()
    inputs[5] = math.nan
    train_split = replace(job.data.train, inputs=inputs)
    result = train(engine, replace(job, data=replace(job.data, train=train_split)))
    _expect_diverged(result, "an example that is not a number")


def check_divergence_spares_the_group(engine: Engine) -> None:
    """One job that diverges leaves the others of its group as they are alone."""
    jobs = [tiny_job(replicate=number) for number in range(3)]
    data = jobs[0].data
    jobs = [replace(job, data=data) for job in jobs]
    broken = copied(jobs[1].start)
    broken["fc2.weight"][jobs[1].mask["fc2.weight"]] = math.inf
    jobs[1] = replace(jobs[1], start=broken)
    results = engine.train(jobs, [NullMonitor() for _ in jobs])
    _expect_diverged(results[1], "infinite start weights")
    for number in (0, 2):
        expected = train_done(engine, jobs[number])
        expect_same_result(results[number], expected, f"job {number}, beside one that diverged")
