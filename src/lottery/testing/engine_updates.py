"""Checks that an engine changes masks in training as the config says, or refuses to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import torch

from lottery.core import Group
from lottery.errors import UsageError
from lottery.testing.engine_repeats import resumes
from lottery.testing.expect import expect, expect_close, expect_pruned_zero
from lottery.testing.monitors import Recorder
from lottery.testing.plain_updates import plain_updates, scheduled_count
from lottery.testing.running import in_precision, masked_by_shape, train, train_done
from lottery.testing.samples import (
    OPTIMIZERS,
    tiny_config,
    tiny_dropout_mlp,
    tiny_job,
    tiny_mlp,
)
from lottery.training import Engine, Length, MaskUpdatesConfig, TrainingConfig, TrainingJob

UPDATES: Final[Mapping[str, MaskUpdatesConfig]] = {
    "set": MaskUpdatesConfig(method="set", every=Length(amount=2)),
    "rigl": MaskUpdatesConfig(method="rigl", every=Length(amount=3), until=1.0, fraction=0.5),
    "gradual": MaskUpdatesConfig(method="gradual", every=Length(amount=2), begin=0.1),
    "linear gradual": MaskUpdatesConfig(
        method="gradual", shape="linear", every=Length(amount=1, unit="epochs"), until=0.9
    ),
}
"""Every way for a mask to change, several times in the twelve steps of `tiny_config`."""

_MOMENTUM: Final = tiny_config(OPTIMIZERS["SGD with momentum"])
_PULLING: Final[Mapping[str, TrainingConfig]] = {
    "Adam with weight decay": tiny_config(OPTIMIZERS["Adam with weight decay"]),
    "Nesterov momentum, averaged": replace(
        tiny_config(OPTIMIZERS["SGD with Nesterov momentum and weight decay"]), averaging=0.7
    ),
    "float16": replace(_MOMENTUM, precision="float16"),
}


def updates_job(name: str, config: TrainingConfig = _MOMENTUM) -> TrainingJob:
    """A job like `tiny_job` with an entry of `UPDATES`.

    Gradual pruning takes two thirds of the first two layers, which compete, and half of the last.
    """
    updates = UPDATES[name]
    config = replace(config, mask_updates=updates)
    if updates.method != "gradual":
        return tiny_job(config)
    job = tiny_job(config, density=1.0)
    *inner, last = job.mask
    size = sum(job.mask[layer].numel() for layer in inner)
    going = (Group(tuple(inner), 2 * size // 3), Group((last,), job.mask[last].numel() // 2))
    return replace(job, going=going)


def _known(engine: Engine) -> Iterator[str]:
    return (name for name in UPDATES if not _refuses(engine, updates_job(name)))


def _refuses(engine: Engine, job: TrainingJob) -> bool:
    with torch.random.fork_rng(devices=[]):
        return engine.refusal(tiny_mlp(), job.config) is not None


def check_mask_updates_are_kept_to_or_refused(engine: Engine) -> None:
    """The mask at the end is another, or the engine says beforehand, and in training, that not."""
    for name in UPDATES:
        job = updates_job(name)
        if not _refuses(engine, job):
            mask = train_done(engine, job).mask
            expect(mask is not None, f"{name}: the result has no mask")
            expect(mask != job.mask, f"{name}: the mask at the end is that at the start")
            continue
        try:
            train(engine, job)
        except UsageError:
            continue
        raise AssertionError(f"{name}: the engine refuses it, but trains all the same")


def check_mask_updates_keep_counts(engine: Engine) -> None:
    """With set and rigl each layer's count never changes; with gradual it is the schedule's."""
    for name in _known(engine):
        job = updates_job(name)
        moments = tuple(range(13))
        result = train_done(engine, replace(job, snapshots_at=moments))
        assert result.mask is not None, "seen by another check"
        if not job.going:
            got, wanted = result.mask.layers, job.mask.layers
            expect(got == wanted, f"{name}: expected the counts {wanted}, got {got}")
        for group in job.going:
            for at in moments:
                # No kept weight of the samples is ever exactly zero.
                state = result.snapshots[at]
                got_count = sum(int((state[layer] != 0).sum()) for layer in group.layers)
                count = scheduled_count(job, at, 12, group.layers, group.remove)
                expect(
                    got_count == count,
                    f"{name}: iteration {at}: expected {count} weights in {group.layers}, "
                    f"got {got_count}",
                )
            kept = sum(result.mask.layers[layer][0] for layer in group.layers)
            expect(kept == count, f"{name}: expected a mask that keeps {count}, got {kept}")


def check_mask_updates_keep_the_mask(engine: Engine) -> None:
    """What is pruned is zero whatever pulls at it: weights, gradients, averages, what is kept."""
    for name in _known(engine):
        for how, config in _PULLING.items():
            job = updates_job(name, config)
            what = f"{name}, {how}"
            recorder = Recorder()
            result = train_done(engine, job, recorder)
            assert result.mask is not None, "seen by another check"
            expect_pruned_zero(result.final, result.mask, f"{what}, at the end")
            for checkpoint in recorder.kept:
                for tensor, kept in masked_by_shape(dict(checkpoint.tensors), job.mask).items():
                    # The mask of this moment is not known, but no more than it keeps can move.
                    count = int((checkpoint.tensors[tensor] != 0).sum())
                    expect(
                        count <= int(kept.sum()),
                        f"{what}, checkpoint at iteration {checkpoint.iteration}: {count} entries "
                        f"of '{tensor}' are not zero, and {int(kept.sum())} weights are kept",
                    )
            last = masked_by_shape(dict(recorder.kept[-1].tensors), result.mask)
            ours = {n: k for n, k in last.items() if "early-stop" not in n}
            expect_pruned_zero(recorder.kept[-1].tensors, ours, f"{what}, the last checkpoint")


def check_mask_updates_follow_the_plain_loop(engine: Engine) -> None:
    """Every state and the mask are those of a plain loop, also where training starts late."""
    for name in _known(engine):
        for start in (0, 5):
            job = replace(in_precision(updates_job(name), torch.float64), start_iteration=start)
            expected = plain_updates(job)
            result = train_done(engine, replace(job, snapshots_at=tuple(expected.states)))
            for at, state in expected.states.items():
                what = f"{name}, from iteration {start}, after iteration {at}"
                expect_close(result.snapshots[at], state, 1e-9, what)
            assert result.mask is not None, "seen by another check"
            for layer, indices in expected.kept[12].items():
                got = result.mask[layer].flatten().nonzero().squeeze(1).tolist()
                expect(got == indices, f"{name}: '{layer}' keeps {got}, expected {indices}")


def check_mask_updates_resume(engine: Engine) -> None:
    """Cut off after any step and gone on, a training gives the same bytes and the same mask."""
    for name in _known(engine):
        for how, config in _PULLING.items():
            resumes(engine, updates_job(name, config), f"{name}, {how}")
        job = replace(updates_job(name), make_model=tiny_dropout_mlp)
        resumes(engine, job, f"{name}, dropout")


def check_gradual_early_stop(engine: Engine) -> None:
    """What still loses weights is measured, but is not where training is said to stop early."""
    if "gradual" not in _known(engine):
        return
    # Rates this high make the loss rise, so that it is least at the start.
    config = tiny_config(OPTIMIZERS["SGD"], base=3.0, evaluate_every=1)
    job = updates_job("gradual", config)
    result = train_done(engine, job)
    losses = {p.iteration: p.loss for p in result.curve if p.split == "validation"}
    expect(min(losses, key=losses.__getitem__) < 9, "the check's own job is best at its end")
    late = {at: loss for at, loss in losses.items() if at >= 9}
    wanted = min(late, key=late.__getitem__)
    got = result.early_stop_iteration
    expect(got == wanted, f"expected early stop at iteration {wanted}, got {got}")
    assert result.mask is not None, "seen by another check"
    expect_pruned_zero(result.early_stop, result.mask, "at early stop")
