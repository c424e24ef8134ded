"""Properties that an engine's training of any job must have; each fails with a sentence."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import nn

from lottery.errors import LotteryError
from lottery.testing.expect import (
    copied,
    expect,
    expect_apart,
    expect_close,
    expect_ordinary,
    expect_pruned,
    expect_same_result,
    expect_same_state,
    same_bytes,
)
from lottery.testing.plain import plain_training
from lottery.testing.running import (
    Recorder,
    capturing,
    in_precision,
    masked_by_shape,
    measure,
    round_trip,
    train,
    train_done,
)
from lottery.training import Checkpoint, Engine, NullMonitor, State, TrainingJob, TrainingResult

# In double precision, orders of summation differ by far less than this over a dozen steps; in
# single precision by less than the second number, unless a kernel computes something else.
_EXACT, _LOOSE = 1e-9, 1e-3

# Between a curve's loss and the same measured here, in relation to it where it is large.
_ROUNDING = 1e-4


def refuses(engine: Engine, job: TrainingJob, what: str) -> bool:
    """Whether the engine refuses a job; fails if it says so and trains it all the same."""
    with torch.random.fork_rng(devices=[]):
        refusal = engine.refusal(job.make_model(), job.config)
    needs = {
        "learns_masks": job.mask_learning is not None,
        "augments": job.data.augmentation.active,
        "holds_values": job.pruned is not None,
        "updates_masks": job.updates.active,
    }
    if refusal is None and all(getattr(engine, n) for n, needed in needs.items() if needed):
        return False
    try:
        train(engine, job)
    except LotteryError:
        return True
    raise AssertionError(f"{what}: the engine refuses it, but trains all the same")


def follows_plain_loop(engine: Engine, job: TrainingJob, what: str) -> None:
    """Fail unless the job, in either precision, trains as the plain loop does.

    In double precision the whole result is compared, with snapshots of every iteration; in single
    precision only the end, so that an engine may also take several steps at once.

    Args:
        engine: the engine.
        job: without dropout.
        what: the job, in words.
    """
    double = in_precision(job, torch.float64)
    plain = plain_training(double)
    # One that training does not come to, and one that lies behind it.
    asked = (job.start_iteration - 1, *plain.snapshots, max(plain.snapshots) + 1)
    _expect_result(train_done(engine, replace(double, snapshots_at=asked)), plain, double, what)

    single, what = in_precision(job, torch.float32), f"{what}, in single precision"
    result = train_done(engine, single)
    expect_close(result.final, plain.final, _LOOSE, f"{what}, at the end")
    expect_pruned(result.final, result.mask or job.mask, job.pruned, f"{what}, at the end")
    expect_measured(single, result, what)


def _expect_result(got: TrainingResult, plain: TrainingResult, job: TrainingJob, what: str) -> None:
    points = [[(point.iteration, point.split) for point in r.curve] for r in (got, plain)]
    expect(points[0] == points[1], f"{what}: expected the points {points[1]}, got {points[0]}")
    for point, other in zip(got.curve, plain.curve, strict=True):
        _expect_point(point.loss, point.accuracy, other.loss, other.accuracy, f"{what}: {point}")
    ours, theirs = got.early_stop_iteration, plain.early_stop_iteration
    expect(ours == theirs, f"{what}: early stop at iteration {ours}, expected {theirs}")
    kept, wanted = sorted(got.snapshots), list(plain.snapshots)
    expect(kept == wanted, f"{what}: expected snapshots at {wanted}, got {kept}")
    expect((got.mask is None) == (plain.mask is None), f"{what}: the result has no mask")
    if got.mask is not None and plain.mask is not None:
        expect_same_state(got.mask, plain.mask, f"{what}: mask at the end")
    start = job.start_iteration
    expect_same_state(got.snapshots[start], plain.snapshots[start], f"{what}, at the start")
    states = {f"after iteration {at}": (s, plain.snapshots[at]) for at, s in got.snapshots.items()}
    states["at early stop"] = (got.early_stop, plain.early_stop)
    states["at the end"] = (got.final, plain.final)
    expect_apart({"given": job.start, **{moment: state for moment, (state, _) in states.items()}})
    for moment, (state, expected) in states.items():
        expect_ordinary(state, job.start, f"{what}, {moment}")
        expect_close(state, expected, _EXACT, f"{what}, {moment}")
        if not job.updates.active:
            expect_pruned(state, job.mask, job.pruned, f"{what}, {moment}")
    last = got.mask or job.mask
    expect_pruned(got.final, last, job.pruned, f"{what}, at the end")
    if job.updates.method == "gradual":
        expect_pruned(got.early_stop, last, job.pruned, f"{what}, at early stop")


def expect_measured(job: TrainingJob, result: TrainingResult, what: str) -> None:
    """Fail unless the curve ends with the loss and accuracy of the state at the end."""
    for point in result.curve[-2:]:
        loss, accuracy = measure(job, result.final, job.data.split(point.data_split))
        _expect_point(point.loss, point.accuracy, loss, accuracy, f"{what}: the end of the curve")


def _expect_point(loss: float, accuracy: float, right: float, share: float, what: str) -> None:
    expect(
        abs(loss - right) <= _ROUNDING * max(1.0, abs(right)) and abs(accuracy - share) < 1e-9,
        f"{what}: loss {loss} and accuracy {accuracy}, measured {right} and {share}",
    )


def resumes(engine: Engine, job: TrainingJob, what: str) -> None:
    """Fail unless a job keeps its mask, and gives the same bytes again and from its checkpoints.

    Each checkpoint is passed as if read from a file: tensors copied, values through JSON. Using it
    must not change it, since a training may be interrupted again and resume from the same one. It
    is also checked that the monitor is called after every step, that the curve is that of the
    state, and that the job is not changed.

    Args:
        engine: the engine.
        job: of a network whose layers differ in shape.
        what: the job, in words.
    """
    start, mask, data = copied(job.start), dict(job.mask), job.data.fingerprint()
    made: list[nn.Module] = []
    recorder = Recorder(look=lambda at: _expect_gradients_masked(made, job, f"{what}, step {at}"))
    whole = train(engine, capturing(job, made), recorder)
    steps = list(range(job.start_iteration + 1, job.start_iteration + 1 + len(recorder.given)))
    expect(recorder.iterations == steps, f"{what}: expected {steps}, got {recorder.iterations}")
    if whole.status == "done":
        last = whole.curve[-1].iteration
        expect(steps[-1] == last, f"{what}: the last call was not at {last}")
        _expect_masked(whole, recorder.kept, job, what)
        if job.config.precision == "float32":
            expect_measured(job, whole, what)
    for given, kept in zip(recorder.given, recorder.kept, strict=True):
        moment = f"{what}, checkpoint at iteration {kept.iteration}"
        expect_same_state(given.tensors, kept.tensors, f"{moment}, at the end")
        expect(dict(given.values) == dict(kept.values), f"{moment}: values moved")
    expect_same_result(train(engine, job), whole, f"{what}, again, without a monitor")
    for checkpoint, at in zip(recorder.kept, steps, strict=True):
        moment = f"{what}, gone on from iteration {at}"
        expect(checkpoint.iteration == at, f"{moment}: its iteration is {checkpoint.iteration}")
        used = round_trip(checkpoint)
        later = Recorder(used)
        expect_same_result(train(engine, job, later), whole, moment)
        expect_same_state(used.tensors, checkpoint.tensors, f"{moment}: the checkpoint, once used")
        left = [step for step in steps if step > at]
        expect(later.iterations == left, f"{moment}: expected {left}, got {later.iterations}")
    expect_same_state(job.start, start, f"{what}: the job's start weights after training")
    expect_same_state(job.mask, mask, f"{what}: the job's mask after training")
    expect(job.data.fingerprint() == data, f"{what}: training changed the job's data")


def _expect_gradients_masked(made: Sequence[nn.Module], job: TrainingJob, what: str) -> None:
    """Where the engine trains a network that it was given, and the mask stays."""
    for model in made if not job.updates.active else ():
        gradients = {n: p.grad.cpu() for n, p in model.named_parameters() if p.grad is not None}
        if all(bool(value.isfinite().all()) for value in gradients.values()):
            kept = {n: job.mask[n] for n in job.mask if n in gradients}
            expect_pruned(gradients, kept, None, f"{what}, gradients")


def _expect_masked(
    result: TrainingResult, checkpoints: Sequence[Checkpoint], job: TrainingJob, what: str
) -> None:
    """What is pruned is zero, or held, in all states; all else that is kept of it is zero."""
    updated, last = job.updates.active, result.mask or job.mask
    expect_pruned(result.final, last, job.pruned, f"{what}, at the end")
    for at, state in result.snapshots.items() if not updated and job.mask_learning is None else ():
        expect_pruned(state, job.mask, job.pruned, f"{what}, at iteration {at}")
    for checkpoint in checkpoints if job.mask_learning is None else ():
        moment = f"{what}, checkpoint at iteration {checkpoint.iteration}"
        (_expect_no_more if updated else _expect_held_or_zero)(checkpoint.tensors, job, moment)
    if updated:
        # A state that is kept from before may be of another mask.
        now = {n: t for n, t in checkpoints[-1].tensors.items() if not n.startswith("kept/")}
        expect_pruned(now, masked_by_shape(now, last), None, f"{what}, the last checkpoint")


def _expect_no_more(tensors: State, job: TrainingJob, what: str) -> None:
    """The mask of the moment is not known, but it keeps no more than that at the start."""
    for name, kept in masked_by_shape(tensors, job.mask).items():
        count, most = int((tensors[name] != 0).sum()), int(kept.sum())
        expect(count <= most, f"{what}: {count} of '{name}' are not zero, and {most} are kept")


def _expect_held_or_zero(tensors: State, job: TrainingJob, what: str) -> None:
    """Weights are what they are held at, and the optimizer's state, of their shapes, is zero."""
    names = {tuple(kept.shape): name for name, kept in job.mask.items()}
    if sum(tuple(value.shape) in names for value in job.start.values()) > len(names):
        # Shapes do not tell layers apart.
        return
    pruned, held = job.pruned or {}, set()
    found = masked_by_shape(tensors, job.mask)
    for name, kept in found.items():
        layer = names[tuple(kept.shape)]
        if layer in pruned and same_bytes(tensors[name][~kept], pruned[layer][~kept]):
            held.add(layer)
        else:
            expect_pruned(tensors, {name: kept}, None, what)
    missing = len(names) - len({names[tuple(kept.shape)] for kept in found.values()})
    missing = missing or len(pruned) - len(held)
    expect(not missing, f"{what}: {missing} layers have no weights of theirs, in their shape")


def same_in_a_group(engine: Engine, jobs: Sequence[TrainingJob], what: str) -> None:
    """Fail unless every job of a group gives the same bytes as alone, in any order of jobs.

    This must also hold when each resumes from another iteration, or starts from the beginning.
    """
    alone = [train_done(engine, job) for job in jobs]
    recorders = [Recorder() for _ in jobs]
    together = engine.train(jobs, recorders)
    backwards = engine.train(jobs[::-1], [NullMonitor() for _ in jobs])[::-1]
    middles = [
        Recorder(r.kept[len(r.kept) // 2]) if n else Recorder() for n, r in enumerate(recorders)
    ]
    resumed = engine.train(jobs, middles)
    for number, expected in enumerate(alone):
        job = f"{what}, job {number} of the group"
        expect_same_result(together[number], expected, job)
        expect_same_result(backwards[number], expected, f"{job}, jobs in reverse")
        expect_same_result(resumed[number], expected, f"{job}, gone on")
        left = recorders[number].iterations[-len(middles[number].iterations) :]
        expect(middles[number].iterations == left, f"{job}, gone on: it took the steps {left}")


def leaves_global_randomness(engine: Engine, make_job: Callable[[], TrainingJob]) -> None:
    """Fail if the global generator changes a result, or a training the global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = train_done(engine, make_job())
        torch.manual_seed(2)
        before = torch.get_rng_state()
        second = train_done(engine, make_job())
        expect(
            torch.equal(before, torch.get_rng_state()),
            "training moved the caller's global random number generator",
        )
    expect_same_result(second, first, "with the global generator seeded differently")


def computes_in_its_precision(engine: Engine, job: TrainingJob, what: str) -> None:
    """Fail unless a shorter ``precision`` changes the result, by rounding and not more."""
    full = replace(job, config=replace(job.config, precision="float32"))
    got, expected = train_done(engine, job), train_done(engine, full)
    same = all(same_bytes(got.final[name], value) for name, value in expected.final.items())
    expect(not same, f"{what}: the weights at the end are as without it; is it left out?")
    expect_close(got.final, expected.final, 0.2, what)
    expect(all(map(math.isfinite, (p.loss for p in got.curve))), f"{what}: the curve is not finite")
