"""Checks that an engine enforces the mask and trains from the weights it was given."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from lottery.testing.expect import (
    copied,
    expect,
    expect_pruned_zero,
    expect_same_result,
    expect_same_state,
)
from lottery.testing.monitors import Recorder
from lottery.testing.running import capturing, loaded_model, masked_by_shape, train_done
from lottery.testing.samples import OPTIMIZERS, tiny_config, tiny_job
from lottery.training import Engine, TrainingJob


def check_pruned_weights_are_zero(engine: Engine) -> None:
    """At the start, at the end, at early stop and in every checkpoint, whatever the optimizer."""
    for name, optimizer in OPTIMIZERS.items():
        keeps_the_mask(engine, tiny_job(tiny_config(optimizer)), name)


def keeps_the_mask(engine: Engine, job: TrainingJob, what: str) -> None:
    """Fail unless pruned weights are zero in all that a job's training gives and keeps.

    Args:
        engine: the engine.
        job: of twelve steps, and a network whose layers differ in shape.
        what: the job, in words.
    """
    recorder = Recorder()
    result = train_done(engine, replace(job, snapshots_at=(0, 6, 12)), recorder)
    states = {"the end": result.final, "early stop": result.early_stop}
    states |= {f"iteration {at}": state for at, state in result.snapshots.items()}
    for moment, state in states.items():
        expect_pruned_zero(state, job.mask, f"{what}, at {moment}")
    _expect_checkpoints_masked(recorder, job, what)


def _expect_checkpoints_masked(recorder: Recorder, job: TrainingJob, what: str) -> None:
    expect(bool(recorder.kept), f"{what}: the monitor was never called")
    for checkpoint in recorder.kept:
        found = masked_by_shape(dict(checkpoint.tensors), job.mask)
        moment = f"{what}, checkpoint at iteration {checkpoint.iteration}"
        expect(
            len(found) >= len(job.mask),
            f"{moment}: expected each layer's weights in their own shape, got {sorted(found)}",
        )
        # That covers the optimizer's state, which has the shape of the weights.
        expect_pruned_zero(checkpoint.tensors, found, moment)


def check_gradients_of_pruned_weights_are_zero(engine: Engine) -> None:
    """Where the engine trains the network it was given, gradients are masked there too."""
    for name, optimizer in OPTIMIZERS.items():
        masks_gradients(engine, tiny_job(tiny_config(optimizer)), name)


def masks_gradients(engine: Engine, job: TrainingJob, what: str) -> None:
    """Fail unless gradients of pruned weights are zero after every step of a job."""
    made: list[nn.Module] = []

    def look(iteration: int) -> None:
        for model in made:
            gradients: dict[str, Tensor] = {
                n: p.grad.cpu() for n, p in model.named_parameters() if p.grad is not None
            }
            kept = {n: job.mask[n] for n in job.mask if n in gradients}
            expect_pruned_zero(gradients, kept, f"{what}, gradients at iteration {iteration}")

    train_done(engine, capturing(job, made), Recorder(look=look))


def check_very_sparse_masks(engine: Engine) -> None:
    """Five weights in a hundred, and a unit without any input, train like any other mask."""
    for density in (0.05, 1.0):
        job = tiny_job(density=density)
        result = train_done(engine, job)
        expect_pruned_zero(result.final, job.mask, f"density {density}")
        start = job.mask.apply(job.start)
        moved = any(not torch.equal(result.final[name], start[name]) for name in start)
        expect(moved, f"density {density}: training moved nothing")


def check_start_weights_are_bit_equal(engine: Engine) -> None:
    """What is kept starts from the very bits it was given; with no step to do it ends there."""
    job = tiny_job(snapshots_at=(0,))
    masked = job.mask.apply(job.start)
    result = train_done(engine, job)
    expect(0 in result.snapshots, "the snapshot at iteration 0 is missing")
    expect_same_state(result.snapshots[0], masked, "the snapshot at the start")

    nothing_to_do = tiny_job(start_iteration=12)
    result = train_done(engine, nothing_to_do)
    expect_same_state(result.final, masked, "the end of a training of no steps")
    expect_same_state(result.early_stop, masked, "early stop in a training of no steps")


def check_start_may_be_masked_or_not(engine: Engine) -> None:
    """The start weights' values where the mask prunes mean nothing."""
    job = tiny_job()
    garbage = copied(job.start)
    for name, kept in job.mask.items():
        garbage[name][~kept] = 1e6
    unmasked = train_done(engine, replace(job, start=garbage))
    masked = train_done(engine, replace(job, start=job.mask.apply(job.start)))
    expect_same_result(unmasked, masked, "unmasked start weights")


def check_inputs_are_not_changed(engine: Engine) -> None:
    """Neither the mask, nor the start weights, nor the data; results share no memory with them."""
    for name in ("Adam", "SGD with momentum"):
        job = tiny_job(tiny_config(OPTIMIZERS[name]), snapshots_at=(0, 12))
        start, mask, data = copied(job.start), dict(job.mask), job.data.fingerprint()
        result = train_done(engine, job)
        expect_same_state(job.start, start, f"{name}: the job's start weights after training")
        expect_same_state(job.mask, mask, f"{name}: the job's mask after training")
        expect(job.data.fingerprint() == data, f"{name}: training changed the job's data")
        given = {value.data_ptr() for value in job.start.values()}
        for state in (result.final, result.early_stop, *result.snapshots.values()):
            shared = [n for n, value in state.items() if value.data_ptr() in given]
            expect(not shared, f"{name}: {', '.join(shared)} share memory with the start weights")


def check_results_share_no_memory(engine: Engine) -> None:
    """Changing one returned state changes no other."""
    result = train_done(engine, tiny_job(snapshots_at=(0, 12)))
    states = {"final": result.final, "early stop": result.early_stop}
    states |= {f"snapshot {at}": state for at, state in result.snapshots.items()}
    owners: dict[int, str] = {}
    for label, state in states.items():
        for name, value in state.items():
            other = owners.setdefault(value.data_ptr(), label)
            expect(other == label, f"'{name}' of {label} shares memory with {other}")


def check_states_fit_an_ordinary_model(engine: Engine) -> None:
    """Every state is a plain ``state_dict`` of CPU tensors; networks given stay plain modules."""
    made: list[nn.Module] = []
    job = capturing(tiny_job(snapshots_at=(6,)), made)
    result = train_done(engine, job)
    for label, state in (("final", result.final), ("snapshot", result.snapshots[6])):
        expect(set(state) == set(job.start), f"{label}: got {sorted(state)}")
        wrong = [
            n for n, v in state.items() if v.device.type != "cpu" or v.dtype != job.start[n].dtype
        ]
        expect(not wrong, f"{label}: {', '.join(wrong)} are not on the CPU or of another type")
        loaded_model(job, state)
    for model in made:
        _expect_ordinary(model, set(job.start))


def _expect_ordinary(model: nn.Module, names: set[str]) -> None:
    expect(set(model.state_dict()) == names, f"the model now has {sorted(model.state_dict())}")
    for name, module in model.named_modules():
        hooks = [*module._forward_hooks, *module._forward_pre_hooks, *module._backward_hooks]
        expect(not hooks, f"the engine left hooks on '{name}'")
        expect(not hasattr(module, "parametrizations"), f"the engine parametrized '{name}'")
    twin = copy.deepcopy(model)
    for name, value in model.state_dict().items():
        expect(torch.equal(twin.state_dict()[name], value), f"deepcopy lost '{name}'")
