"""Checks that an engine holds pruned weights at other values than zero, or refuses to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn

from lottery.errors import LotteryError
from lottery.testing.engine_repeats import resumes
from lottery.testing.expect import expect, expect_pruned_zero, expect_same_result, same_bytes
from lottery.testing.monitors import Recorder
from lottery.testing.plain import follows_plain_loop
from lottery.testing.running import capturing, masked_by_shape, train, train_done
from lottery.testing.samples import OPTIMIZERS, tiny_config, tiny_job
from lottery.training import Engine, NullMonitor, OptimizerConfig, State, TrainingJob

# Weight decay pulls at what is held, and momentum would go on pulling.
_PULLING: Final = ("Adam with weight decay", "SGD with Nesterov momentum and weight decay")


def check_pruned_weights_are_held(engine: Engine) -> None:
    """Bit for bit at the start, the end, early stop and in every checkpoint; never moved."""
    if refuses(engine):
        return
    for name, optimizer in OPTIMIZERS.items():
        made: list[nn.Module] = []
        job = capturing(replace(held_job(optimizer), snapshots_at=(0, 6, 12)), made)

        def look(
            iteration: int,
            name: str = name,
            made: list[nn.Module] = made,
            job: TrainingJob = job,
        ) -> None:
            for model in made:
                _expect_gradients_zero(model, job, f"{name}, gradients at iteration {iteration}")

        recorder = Recorder(look=look)
        result = train_done(engine, job, recorder)
        states = {"the end": result.final, "early stop": result.early_stop}
        states |= {f"iteration {at}": state for at, state in result.snapshots.items()}
        for moment, state in states.items():
            _expect_held(state, job, f"{name}, at {moment}")
        for checkpoint in recorder.kept:
            what = f"{name}, checkpoint at iteration {checkpoint.iteration}"
            _expect_held_or_zero(checkpoint.tensors, job, what)


def check_held_weights_take_part(engine: Engine) -> None:
    """What is held is part of the network: training and measuring are the plain loop's with it."""
    if refuses(engine):
        return
    for name in ("SGD", *_PULLING):
        follows_plain_loop(engine, held_job(OPTIMIZERS[name]), f"{name}, pruned weights held")


def check_held_weights_resume(engine: Engine) -> None:
    """Cut off and gone on, or in a group with others, held weights change nothing."""
    if refuses(engine):
        return
    for name in _PULLING:
        resumes(engine, held_job(OPTIMIZERS[name]), f"{name}, pruned weights held")
    held = held_job()
    jobs = [
        held,
        replace(held, pruned=None),
        replace(held, pruned={n: held.start[n] for n in held.mask}),
    ]
    together = engine.train(jobs, [NullMonitor() for _ in jobs])
    for number, (job, result) in enumerate(zip(jobs, together, strict=True)):
        expect_same_result(result, train_done(engine, job), f"job {number} of a group, some held")


def held_job(optimizer: OptimizerConfig | None = None) -> TrainingJob:
    """A job like `tiny_job` whose pruned weights are numbers, a few of them zero."""
    config = replace(tiny_config(optimizer), pruned="frozen")
    job = tiny_job(config)
    generator = torch.Generator().manual_seed(5)
    held = {name: 0.3 * torch.randn(k.shape, generator=generator) for name, k in job.mask.items()}
    for value in held.values():
        value[torch.rand(value.shape, generator=generator) < 0.2] = 0.0
    return replace(job, pruned=held)


def refuses(engine: Engine) -> bool:
    """Whether the engine refuses to hold pruned weights; fail if it does not stand by it."""
    job = held_job()
    with torch.random.fork_rng(devices=[]):
        model = job.make_model()
    if engine.refusal(model, job.config) is None:
        return False
    try:
        train(engine, job)
    except LotteryError:
        return True
    raise AssertionError("the engine refuses to hold pruned weights, but trained such a job")


def _expect_held(state: State, job: TrainingJob, what: str) -> None:
    assert job.pruned is not None, "the check's own job"
    for name, kept in job.mask.items():
        held = job.pruned[name][~kept].to(state[name].dtype)
        expect(
            same_bytes(state[name][~kept], held),
            f"{what}: pruned weights of '{name}' are not what they are held at",
        )


def _expect_held_or_zero(tensors: Mapping[str, Tensor], job: TrainingJob, what: str) -> None:
    """Weights are held, and the optimizer's state, which has their shapes, is zero."""
    assert job.pruned is not None, "the check's own job"
    by_layer = {tuple(kept.shape): job.pruned[name] for name, kept in job.mask.items()}
    held = set()
    for name, kept in masked_by_shape(dict(tensors), job.mask).items():
        value = by_layer[tuple(kept.shape)]
        if same_bytes(tensors[name][~kept], value[~kept]):
            held.add(tuple(kept.shape))
        else:
            expect_pruned_zero(tensors, {name: kept}, what)
    missing = len(by_layer) - len(held)
    expect(not missing, f"{what}: {missing} layers have no weights with what is held")


def _expect_gradients_zero(model: nn.Module, job: TrainingJob, what: str) -> None:
    gradients = {n: p.grad.cpu() for n, p in model.named_parameters() if p.grad is not None}
    expect_pruned_zero(gradients, {n: job.mask[n] for n in job.mask if n in gradients}, what)
