"""Masks that are learned, and what is noted on the way."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from lottery.errors import LotteryError
from lottery.testing.engine_repeats import resumes
from lottery.testing.expect import expect, expect_same_result, expect_same_state, same_bytes
from lottery.testing.running import train, train_done
from lottery.testing.samples import OPTIMIZERS, tiny_config, tiny_job
from lottery.training import Engine, MaskLearning, MaskMethod, Notes, State, TrainingJob, Watch

_METHODS: Final[tuple[MaskMethod, ...]] = ("edge-popup", "supermask")
_LOOKS: Final = (2, 3, 12)


def learning_job(method: MaskMethod, stream: str = "learned") -> TrainingJob:
    """A job like `tiny_job` that learns a mask."""
    job = tiny_job(tiny_config(OPTIMIZERS["SGD with momentum"], base=1.0), snapshots_at=(0, 6))
    return replace(job, learns=MaskLearning(method=method, stream=(stream, 1)))


def check_learned_masks(engine: Engine) -> None:
    """Nothing but the mask is learned, in exact numbers where they are given; or it is refused."""
    for method in _METHODS:
        job = learning_job(method)
        if not engine.learns_masks:
            _expect_refused(engine, job, method)
            continue
        result = train_done(engine, job)
        expect(result.mask is not None, f"{method}: the result has no mask")
        assert result.mask is not None
        for name, value in result.mask.apply(job.start).items():
            expect(
                same_bytes(result.final[name], value),
                f"{method}: '{name}' is not the start's where kept and zero elsewhere",
            )
        if method == "edge-popup":
            got, wanted = result.mask.layers, job.mask.layers
            expect(got == wanted, f"{method}: expected (kept, total) {wanted}, got {got}")
        expect(result.mask != job.mask, f"{method}: the mask is the job's, so nothing is learned")


def check_learned_masks_have_their_stream(engine: Engine) -> None:
    """Scores and draws come from the stream that the job names."""
    for method in _METHODS if engine.learns_masks else ():
        one, same, other = (
            train_done(engine, learning_job(method, name)) for name in ("a", "a", "b")
        )
        expect_same_result(same, one, f"{method}, trained twice")
        expect(one.mask != other.mask, f"{method}: the job's stream decides nothing")


def check_learned_masks_resume(engine: Engine) -> None:
    """Cut off after any step and gone on, a mask in training comes to the same bytes."""
    for method in _METHODS if engine.learns_masks else ():
        resumes(engine, learning_job(method), method)


def check_notes(engine: Engine) -> None:
    """A watch sees the states that snapshots would hold, and training learns nothing of it."""
    job = tiny_job(snapshots_at=_LOOKS)
    plain = train_done(engine, job)
    expect(not plain.notes, "notes of a job that watches nothing")
    noted = train_done(engine, replace(job, watch=Watch(at=_LOOKS, note=_copies)))
    expect_same_result(replace(noted, notes={}), plain, "watched")
    expected = {f"{at}/{n}": v for at in _LOOKS for n, v in plain.snapshots[at].items()}
    expect_same_state(noted.notes, expected, "what was noted")
    # No snapshots ask for the state here, so that the watch alone has to stop the engine.
    alone = replace(job, snapshots_at=(), watch=Watch(at=_LOOKS, note=_copies))
    expect_same_state(train_done(engine, alone).notes, expected, "noted without snapshots")
    resumes(engine, alone, "watched")


def _copies(iteration: int, state: State, notes: Notes) -> dict[str, Tensor]:
    return {**notes, **{f"{iteration}/{name}": value.clone() for name, value in state.items()}}


def _expect_refused(engine: Engine, job: TrainingJob, what: str) -> None:
    with torch.random.fork_rng(devices=[]):
        try:
            train(engine, job)
        except LotteryError:
            return
    raise AssertionError(f"{what}: the engine learns no masks, but trained such a job")
