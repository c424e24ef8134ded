"""Masks that change in the torch engine: what the conformance suite cannot see from outside."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lottery.core import Mask
from lottery.errors import UsageError
from lottery.testing.samples import OPTIMIZERS, tiny_config, updates_job
from lottery.training import MaskUpdatesConfig, NullMonitor, TrainingConfig
from lottery.training.engines.torch_engine import TorchEngine
from lottery.training.engines.torch_engine.training import Training

SGD = tiny_config(OPTIMIZERS["SGD with momentum"])


def at(name: str, iteration: int, config: TrainingConfig = SGD) -> Training:
    training = Training(updates_job(name, config), torch.device("cpu"))
    training.begin()
    for _ in range(iteration):
        training.advance(1)
    return training


def weights(training: Training) -> dict[str, Tensor]:
    found = training.model.state_dict()
    return {name: found[name].clone() for name in training.dynamic.mask}


def is_new(before: Mask, after: Mask) -> dict[str, Tensor]:
    return {name: after[name] & ~before[name] for name in after}


def test_rigl_takes_no_step_and_grows_where_the_dense_gradient_is_largest() -> None:
    """Its update at iteration 3 moves a half, times (1 + cos(3 pi / 12)) / 2, of each layer."""
    training = at("rigl", 3)
    mask, before = training.dynamic.mask, weights(training)
    inputs, targets = training.batch()
    loss = torch.nn.functional.cross_entropy(training.model(inputs), targets)
    parameters = dict(training.model.named_parameters())
    slopes = dict(zip(mask, torch.autograd.grad(loss, [parameters[n] for n in mask]), strict=True))
    bias = parameters["fc1.bias"].detach().clone()

    training.advance(1)

    after = weights(training)
    share = 0.5 * (1 + 2**-0.5) / 2
    for name, new in is_new(mask, training.dynamic.mask).items():
        dropped = mask[name] & ~training.dynamic.mask[name]
        moved = round(share * int(mask[name].sum()))
        assert 0 < new.sum() == dropped.sum() <= moved
        # The places of largest gradient among those free after the drop.
        least = before[name].abs()[mask[name]].sort().values[moved - 1]
        stays = mask[name] & (before[name].abs() > least)
        assert (
            slopes[name].abs()[new].min() >= slopes[name].abs()[~training.dynamic.mask[name]].max()
        )
        assert (after[name][new] == 0).all()
        assert torch.equal(after[name][stays], before[name][stays])
    assert torch.equal(training.model.state_dict()["fc1.bias"], bias)
    assert training.progress.iteration == 4


@pytest.mark.parametrize("name", ["set", "rigl"])
@pytest.mark.parametrize("optimizer", ["SGD with momentum", "Adam with weight decay"])
def test_new_weights_start_without_value_past_or_average(name: str, optimizer: str) -> None:
    config = replace(tiny_config(OPTIMIZERS[optimizer]), averaging=0.5)
    moment = {"set": 2, "rigl": 4}[name]
    training = at(name, moment - 1, config)
    mask = training.dynamic.mask

    training.advance(1)

    now = training.dynamic.mask
    averages = dict(training.measured.model.named_parameters())
    for layer, weight in dict(training.model.named_parameters()).items():
        if layer not in now:
            continue
        new = is_new(mask, now)[layer]
        assert new.any()
        state = [v for v in training.optimizer.state[weight].values() if v.dim() > 0]
        assert len(state) == (2 if "Adam" in optimizer else 1)
        for tensor in (weight.detach(), averages[layer].detach(), *state):
            assert not tensor[new | ~now[layer]].any()
            assert tensor[now[layer] & ~new].any()


def test_an_update_whose_gradients_overflow_is_left_out_and_halves_the_scale() -> None:
    training = at("rigl", 3, replace(SGD, precision="float16"))
    mask, scale = training.dynamic.mask, training.scaler.get_scale()
    parameter = dict(training.model.named_parameters())["fc1.weight"]
    handle = parameter.register_hook(lambda gradient: gradient * float("inf"))

    training.advance(1)
    handle.remove()

    assert training.dynamic.mask == mask
    assert training.scaler.get_scale() == scale / 2
    assert training.progress.iteration == 4


def test_a_divergence_is_no_error() -> None:
    for name in ("set", "rigl", "gradual"):
        job = updates_job(name, tiny_config(OPTIMIZERS["SGD"], base=1e30))
        (result,) = TorchEngine().train([job], [NullMonitor()])
        assert result.status == "diverged"
        assert result.mask is not None


def test_values_cannot_be_held() -> None:
    job = updates_job("set")
    job = replace(job, pruned={name: job.start[name] for name in job.mask})
    with pytest.raises(UsageError, match="cannot hold pruned weights at values"):
        TorchEngine().train([job], [NullMonitor()])


def test_a_mask_that_stays_is_not_given_back() -> None:
    job = updates_job("set")
    job = replace(job, config=SGD, updates=MaskUpdatesConfig())
    (result,) = TorchEngine().train([job], [NullMonitor()])
    assert result.mask is None
