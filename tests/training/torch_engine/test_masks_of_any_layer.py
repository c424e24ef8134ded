"""Masks hold in every kind of network, whatever the optimizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from kinds_of_networks import COVERED, SharedStorage, frozen
from torch import nn

from lottery.testing import tiny_job
from lottery.testing.properties import follows_plain_loop, resumes
from lottery.testing.running import train_done
from lottery.testing.samples import CLASSES, INPUT_SHAPE, OPTIMIZERS, tiny_config
from lottery.training import MaskLearning, MaskMethod
from lottery.training.engines.torch_engine import TorchEngine

HARD = ("SGD with Nesterov momentum and weight decay", "Adam with weight decay")


def maker(name: str) -> Callable[[], nn.Module]:
    return lambda: COVERED[name][0](INPUT_SHAPE, CLASSES)


@pytest.mark.parametrize("name", COVERED)
@pytest.mark.parametrize("optimizer", HARD)
def test_pruned_weights_are_zero_after_every_step(name: str, optimizer: str) -> None:
    every = tuple(range(13))
    job = tiny_job(tiny_config(OPTIMIZERS[optimizer]), make_model=maker(name), snapshots_at=every)
    assert {n: total for n, (_, total) in job.mask.layers.items()} == COVERED[name][1]
    result = train_done(TorchEngine(), job)
    moved = dict.fromkeys(job.mask, False)
    for at in every:
        state = result.snapshots[at]
        for layer, kept in job.mask.items():
            assert state[layer][~kept].eq(0).all(), (layer, at)
            assert not state[layer][~kept].signbit().any(), (layer, at)
            moved[layer] |= not state[layer].equal(result.snapshots[0][layer])
    assert all(moved.values()), moved


@pytest.mark.parametrize("name", ["lstm", "attention", "cross-attention", "transposed", "foreign"])
def test_checkpoints_are_masked_and_gone_on_from(name: str) -> None:
    job = tiny_job(tiny_config(OPTIMIZERS[HARD[0]]), make_model=maker(name))
    resumes(TorchEngine(), job, name)


@pytest.mark.parametrize("name", sorted(COVERED.keys() - {"skipped", "transposed"}))
def test_steps_are_those_of_the_plain_loop(name: str) -> None:
    def tied() -> nn.Module:
        model = maker(name)()
        if isinstance(model, SharedStorage):
            model.b.weight = model.a.weight
        return model

    job = tiny_job(tiny_config(OPTIMIZERS[HARD[0]]), make_model=tied)
    follows_plain_loop(TorchEngine(), job, name)


def test_one_memory_trains_as_one_parameter() -> None:
    job = tiny_job(tiny_config(OPTIMIZERS[HARD[0]]), make_model=maker("shared-storage"))
    result = train_done(TorchEngine(), job)
    assert result.final["a.weight"].equal(result.final["b.weight"])
    again = train_done(TorchEngine(), replace(job, config=replace(job.config, averaging=0.5)))
    for state in (again.final, again.early_stop):
        assert state["a.weight"].equal(state["b.weight"])
        assert state["b.weight"][~job.mask["a.weight"]].eq(0).all()


@pytest.mark.parametrize("optimizer", HARD)
def test_what_is_frozen_keeps_its_bits(optimizer: str) -> None:
    config = tiny_config(OPTIMIZERS[optimizer])
    job = tiny_job(config, make_model=lambda: frozen(INPUT_SHAPE, CLASSES))
    assert list(job.mask) == ["3.weight"]
    final = train_done(TorchEngine(), job).final
    for name in ("1.weight", "1.bias"):
        assert torch.equal(final[name], job.start[name])
    assert not torch.equal(final["3.weight"], job.mask.apply(job.start)["3.weight"])


@pytest.mark.parametrize("method", ["edge-popup", "supermask"])
@pytest.mark.parametrize("name", ["lstm", "attention", "transposed", "skipped", "foreign"])
def test_masks_are_learned_of_every_kind(name: str, method: MaskMethod) -> None:
    config = tiny_config(OPTIMIZERS["SGD with momentum"], base=1.0)
    job = replace(
        tiny_job(config, make_model=maker(name)),
        mask_learning=MaskLearning(method=method, stream=("learned", 1)),
    )
    result = train_done(TorchEngine(), job)
    assert result.mask is not None
    assert result.mask != job.mask
    for layer, value in result.mask.apply(job.start).items():
        if layer in job.mask:
            assert torch.equal(result.final[layer], value)
