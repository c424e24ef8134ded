"""Checks that dropout in a fully connected network draws from its stream and nowhere else."""

from __future__ import annotations

from dataclasses import replace

from lottery.testing.engine_repeats import (
    alone_or_in_a_group,
    leaves_global_randomness,
    resumes,
)
from lottery.testing.expect import expect, expect_pruned_zero, expect_same_state
from lottery.testing.monitors import Recorder
from lottery.testing.plain import expect_measured
from lottery.testing.running import masked_by_shape, train_done
from lottery.testing.samples import (
    OPTIMIZERS,
    mlp_job,
    tiny_config,
    tiny_dropout_mlp,
    tiny_job,
)
from lottery.training import Engine

_TWO = ("Adam", "SGD with Nesterov momentum and weight decay")


def check_dropout_has_its_stream(engine: Engine) -> None:
    """Dropout is active, and another replicate drops other units.

    With all examples in one batch their order changes only rounding, so what differs is dropout.
    """
    config = tiny_config(OPTIMIZERS["SGD"], batch_size=1000, length=3)
    job = tiny_job(config, make_model=tiny_dropout_mlp)
    other = replace(job, streams=tiny_job(replicate=1).streams)
    name = "output.weight"
    one, two = train_done(engine, job).final[name], train_done(engine, other).final[name]
    expect(
        float((one - two).abs().max()) > 1e-4,
        "two replicates dropped the same units, or none: is the stream 'dropout' used?",
    )


def check_dropout_is_off_when_measuring(engine: Engine) -> None:
    """Measurements are of the whole network, and take nothing from dropout's randomness."""
    job = tiny_job(make_model=tiny_dropout_mlp)
    result = train_done(engine, job)
    expect_measured(job, result, "with dropout")
    often = replace(job, config=tiny_config(evaluate_every=1))
    expect_same_state(train_done(engine, often).final, result.final, "the end, measured often")


def check_dropout_resumes(engine: Engine) -> None:
    """Cut off after any step and gone on, a training drops the units it would have dropped."""
    for name in _TWO:
        for start in (0, 3):
            job = tiny_job(
                tiny_config(OPTIMIZERS[name]),
                make_model=tiny_dropout_mlp,
                start_iteration=start,
                snapshots_at=(0, 6),
            )
            resumes(engine, job, f"{name}, with dropout, started at iteration {start}")
    job = mlp_job((9,), tiny_config(loss="mse"), activation="tanh", dropout=0.5)
    resumes(engine, job, "tanh and squared error, with dropout")


def check_dropout_in_a_group(engine: Engine) -> None:
    """Dropout in one job takes nothing from the randomness of another, nor from the caller's."""
    alone_or_in_a_group(engine, tiny_dropout_mlp)
    leaves_global_randomness(engine, tiny_dropout_mlp)


def check_dropout_keeps_the_mask(engine: Engine) -> None:
    """Pruned weights and their optimizer state stay exactly zero, dropped units or not."""
    for name, optimizer in OPTIMIZERS.items():
        job = tiny_job(tiny_config(optimizer), make_model=tiny_dropout_mlp)
        recorder = Recorder()
        expect_pruned_zero(train_done(engine, job, recorder).final, job.mask, f"{name}, the end")
        for checkpoint in recorder.kept:
            found = masked_by_shape(dict(checkpoint.tensors), job.mask)
            moment = f"{name}, checkpoint at iteration {checkpoint.iteration}"
            expect_pruned_zero(checkpoint.tensors, found, moment)
