"""The conformance suite of engines: plain functions that raise AssertionError.

Most of it checks that an engine does what the plain loop does (`lottery.testing.plain`), over a
matrix of jobs (`lottery.testing.matrix`). The rest needs no reference: a training gives the same
again, resumes where it was interrupted, and has no effect on anything else.

The checks rely on two things beyond `lottery.training.Engine`. Epoch e visits the examples in the
order of `TrainingJob.epoch_order`, augmented with random numbers of `TrainingJob.streams_at`, so
that one engine can take another's place. And a checkpoint holds the weights, and the optimizer's
state for each of them, in the weights' own shapes, under any name.

An engine need not support every setting, hold pruned weights at values other than zero, or train or
change masks. One that does not must refuse such a config, and raise an error if it gets the job.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn

from lottery.testing import dropped_units, interruptions, matrix
from lottery.testing.expect import (
    copied,
    expect,
    expect_same_result,
    expect_same_state,
    same_bytes,
)
from lottery.testing.properties import (
    computes_in_its_precision,
    follows_plain_loop,
    leaves_global_randomness,
    refuses,
    resumes,
    same_in_a_group,
)
from lottery.testing.running import capturing, train, train_done
from lottery.testing.samples import (
    OPTIMIZERS,
    convolutional,
    held_job,
    tiny_config,
    tiny_dropout_mlp,
    tiny_job,
    tiny_mlp,
)
from lottery.training import (
    Engine,
    LearningRateConfig,
    Length,
    Notes,
    NullMonitor,
    Observer,
    State,
    TrainingJob,
    TrainingResult,
)

EngineCheck = Callable[[Engine], None]
"""A check of an engine; raises AssertionError when something is not as it should be."""

Property = Callable[[Engine, TrainingJob, str], None]
"""What must hold of an engine and a job, which has a name in words."""


def _follows(engine: Engine, job: TrainingJob, what: str) -> None:
    exact = job.config.precision == "float32"
    (follows_plain_loop if exact else computes_in_its_precision)(engine, job, what)


def _over(
    jobs: Callable[[], matrix.Jobs], *properties: Property, optional: bool = False
) -> Iterator[EngineCheck]:
    """One check for each property, over all jobs; optional ones may be refused by the engine."""

    def made(must_hold: Property) -> EngineCheck:
        def check(engine: Engine) -> None:
            for what, job in jobs():
                if not (optional and refuses(engine, job, what)):
                    must_hold(engine, job, what)

        suffix = "_resume" if must_hold is resumes else ""
        check.__name__ = check.__qualname__ = f"check_{jobs.__name__}{suffix}"
        check.__doc__ = jobs.__doc__
        return check

    return map(made, properties)


def check_groups(engine: Engine) -> None:
    """A job gives the same bytes alone as beside others, and results keep the order of jobs."""
    expect(engine.group_size >= 1, f"group_size: expected 1 or more, got {engine.group_size}")
    for make_model in (tiny_mlp, tiny_dropout_mlp):
        for what, jobs in matrix.groups(make_model):
            same_in_a_group(engine, jobs, what)
    held = held_job()
    other = {name: held.start[name] for name in held.mask}
    if not refuses(engine, held, "a group of which some are held"):
        some = [held, replace(held, pruned=None), replace(held, pruned=other)]
        same_in_a_group(engine, some, "some held")
    expect(engine.train([], []) == [], "a group of no jobs gives no results")


def check_global_randomness(engine: Engine) -> None:
    """The global random number generator has no effect, and is not moved."""
    leaves_global_randomness(engine, tiny_job)
    leaves_global_randomness(engine, lambda: tiny_job(make_model=tiny_dropout_mlp))


def check_interrupted_resume(engine: Engine) -> None:
    """Rewound, past its early stop, or diverging, a training resumes as if uninterrupted."""
    rate = LearningRateConfig(schedule="cosine", base=0.1, warmup=Length.of("1 epoch"))
    config = replace(tiny_config(OPTIMIZERS["SGD with momentum"]), learning_rate=rate)
    resumes(engine, tiny_job(config, start_iteration=3, snapshots_at=(3, 4)), "from iteration 3")
    job = tiny_job(tiny_config(base=0.2, length=24, evaluate_every=2), density=0.9)
    stop = train_done(engine, job).early_stop_iteration
    expect(stop in range(2, 22), f"the check's own job stops at {stop}; it checks nothing")
    resumes(engine, job, "overfitting")
    for every in (1, 5, 12):
        config = tiny_config(OPTIMIZERS["SGD"], base=1e30, evaluate_every=every)
        resumes(engine, tiny_job(config), f"diverging, measured every {every}")


def _expect_diverged(result: TrainingResult, what: str) -> None:
    expect(
        result.status == "diverged" and bool(result.reason),
        f"{what}: the loss was not finite, but the training is '{result.status}' "
        f"for the reason '{result.reason}'",
    )
    nothing = not (result.final or result.early_stop) and result.early_stop_iteration is None
    expect(nothing, f"{what}: a training that diverged has weights at the end or at early stop")
    wrong = [p for p in result.curve if not (math.isfinite(p.loss) and math.isfinite(p.accuracy))]
    expect(not wrong, f"{what}: the curve holds {wrong}")


def check_divergence(engine: Engine) -> None:
    """A loss that is not finite ends the training as diverged, whenever it is noticed.

    A single training example is enough, even if all evaluations are finite.
    """
    for name in ("Adam", "SGD", "SGD with momentum"):
        for every in (1, 5, 99):
            config = tiny_config(OPTIMIZERS[name], base=1e30, evaluate_every=every)
            what = f"{name} at a rate of 1e30, measured every {every}"
            _expect_diverged(train(engine, tiny_job(config)), what)
            _expect_diverged(train(engine, tiny_job(replace(config, loss="mse"))), f"{what}, mse")
    job = tiny_job(tiny_config(OPTIMIZERS["SGD"], evaluate_every=99))
    inputs = job.data.train.inputs.clone()
    inputs[5] = math.nan
    data = replace(job.data, train=replace(job.data.train, inputs=inputs))
    _expect_diverged(train(engine, replace(job, data=data)), "an example that is not a number")


def check_divergence_spares_the_group(engine: Engine) -> None:
    """A job that diverges has no effect on the others of its group."""
    data = tiny_job().data
    jobs = [tiny_job(replicate=number, data=data) for number in range(3)]
    broken = copied(jobs[1].start)
    broken["fc2.weight"][jobs[1].mask["fc2.weight"]] = math.inf
    jobs[1] = replace(jobs[1], start=broken)
    results = engine.train(jobs, [NullMonitor() for _ in jobs])
    _expect_diverged(results[1], "infinite start weights")
    for number in (0, 2):
        expected = train_done(engine, jobs[number])
        expect_same_result(results[number], expected, f"job {number}, beside one that diverged")


def check_networks_stay_ordinary(engine: Engine) -> None:
    """Networks that the engine was given are plain modules afterwards; results carry its name."""
    made: list[nn.Module] = []
    job = capturing(tiny_job(), made)
    result = train_done(engine, job)
    expect(bool(engine.name), "the engine has no name")
    expect(result.engine == engine.name, f"engine '{engine.name}' signed as '{result.engine}'")
    expect(0 <= result.seconds < math.inf, f"it took {result.seconds} seconds")
    expect(result.reason == "", f"a training that is done gave a reason: {result.reason}")
    for model in made:
        state = model.state_dict()
        expect(set(state) == set(job.start), f"the model now has {sorted(state)}")
        for name, module in model.named_modules():
            hooks = [*module._forward_hooks, *module._forward_pre_hooks, *module._backward_hooks]
            expect(not hooks, f"the engine left hooks on '{name}'")
            expect(not hasattr(module, "parametrizations"), f"the engine parametrized '{name}'")
        twin = copy.deepcopy(model).state_dict()
        lost = [name for name, value in state.items() if not torch.equal(twin[name], value)]
        expect(not lost, f"deepcopy lost {', '.join(lost)}")


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


def _learns(engine: Engine, job: TrainingJob, what: str) -> None:
    """Only the mask is trained, with its stream, and with exact counts in ``edge-popup``."""
    result = train_done(engine, job)
    if result.mask is None:
        raise AssertionError(f"{what}: the result has no mask")
    for name, value in result.mask.apply(job.start).items():
        expect(
            same_bytes(result.final[name], value),
            f"{what}: '{name}' is not the start's where kept and zero elsewhere",
        )
    if what == "edge-popup":
        got, wanted = result.mask.layers, job.mask.layers
        expect(got == wanted, f"{what}: expected (kept, total) {wanted}, got {got}")
    expect(result.mask != job.mask, f"{what}: the mask is the job's, so nothing is learned")
    other = train_done(engine, dict(matrix.learned_masks("other"))[what])
    expect(other.mask != result.mask, f"{what}: the job's stream decides nothing")


def check_notes(engine: Engine) -> None:
    """An observer sees the states that snapshots would hold, and has no effect on training."""
    moments = (2, 3, 12)
    job = tiny_job(snapshots_at=moments)
    plain = train_done(engine, job)
    expect(not plain.notes, "notes of a job without an observer")
    noted = train_done(engine, replace(job, observer=Observer(at=moments, note=_copies)))
    expect_same_result(replace(noted, notes={}), plain, "observed")
    expected = {f"{at}/{n}": v for at in moments for n, v in plain.snapshots[at].items()}
    expect_same_state(noted.notes, expected, "what was noted")
    # No snapshots ask for the state here, so that the observer alone has to stop the engine.
    alone = replace(job, snapshots_at=(), observer=Observer(at=moments, note=_copies))
    expect_same_state(train_done(engine, alone).notes, expected, "noted without snapshots")
    resumes(engine, alone, "observed")


def _copies(iteration: int, state: State, notes: Notes) -> dict[str, Tensor]:
    return {**notes, **{f"{iteration}/{name}": value.clone() for name, value in state.items()}}


ENGINE_CHECKS: Final[tuple[EngineCheck, ...]] = (
    *_over(matrix.optimizers, _follows, resumes),
    *_over(matrix.schedules, _follows),
    *_over(matrix.networks, _follows),
    *_over(matrix.shapes, _follows),
    *_over(matrix.inputs, _follows),
    *_over(matrix.dropout, resumes),
    *_over(matrix.augmentation, _follows, resumes, optional=True),
    *_over(matrix.reordered, _follows, resumes, optional=True),
    *_over(matrix.settings, _follows, optional=True),
    *_over(matrix.held_weights, _follows, resumes, optional=True),
    *_over(matrix.mask_updates, _follows, optional=True),
    *_over(matrix.learned_masks, _learns, resumes, optional=True),
    *_over(matrix.settings_with_dropout, resumes, optional=True),
    check_groups,
    check_global_randomness,
    check_interrupted_resume,
    check_divergence,
    check_divergence_spares_the_group,
    check_networks_stay_ordinary,
    check_dropout_has_its_stream,
    check_notes,
    interruptions.check_steps_at_once,
    interruptions.check_preemption,
    dropped_units.check_dropped_units,
    dropped_units.check_dropped_units_of_layers_and_steps,
)
"""What every engine must pass; the networks are fully connected."""


def check_convolutional_groups(engine: Engine) -> None:
    """Dropout in one job has no effect on another's, nor on the caller's random generator."""
    for what, jobs in matrix.groups(convolutional):
        same_in_a_group(engine, jobs, what)
    leaves_global_randomness(engine, lambda: tiny_job(make_model=convolutional))


ENGINE_CHECKS_ANY_MODEL: Final[tuple[EngineCheck, ...]] = (
    *_over(matrix.convolutions, resumes),
    *_over(matrix.other_networks, _follows, resumes),
    *_over(matrix.convolution_settings, _follows, resumes, optional=True),
    check_convolutional_groups,
)
"""What an engine that trains any network must pass as well."""
