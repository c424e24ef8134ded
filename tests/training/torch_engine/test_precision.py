"""Short types: really used, with weights in float32, and with steps left out when they overflow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from lottery.errors import UsageError
from lottery.testing.expect import expect_close, expect_same_state, same_bytes
from lottery.testing.properties import resumes
from lottery.testing.running import Recorder, in_precision, train, train_done
from lottery.testing.samples import OPTIMIZERS, tiny_config, tiny_dataset, tiny_job, tiny_mlp
from lottery.training import OptimizerConfig, TrainingJob
from lottery.training.engines.torch_engine import TorchEngine

Short = Literal["bfloat16", "float16"]

ENGINE = TorchEngine("cpu")
SHORT: tuple[Short, ...] = ("bfloat16", "float16")
SGD = OPTIMIZERS["SGD with Nesterov momentum and weight decay"]


class Spy(nn.Module):
    """Notes what passes: the type, and whether it is in training."""

    def __init__(self, seen: set[tuple[torch.dtype, bool]]) -> None:
        super().__init__()
        self.seen = seen

    def forward(self, inputs: Tensor) -> Tensor:
        self.seen.add((inputs.dtype, self.training))
        return inputs


@pytest.mark.parametrize("precision", ["float32", *SHORT])
def test_the_type_is_used_in_training_and_measuring(
    precision: Literal["float32", "bfloat16", "float16"],
) -> None:
    seen: set[tuple[torch.dtype, bool]] = set()

    def make_model() -> nn.Sequential:
        *layers, last = tiny_mlp()
        return nn.Sequential(*layers, Spy(seen), last)

    config = replace(tiny_config(), precision=precision)
    result = train_done(ENGINE, tiny_job(config, make_model=make_model))

    dtype = getattr(torch, precision)
    assert seen == {(dtype, True), (dtype, False)}
    assert {value.dtype for value in result.final.values()} == {torch.float32}


@pytest.mark.parametrize("precision", SHORT)
def test_training_stays_near_that_in_single_precision(precision: Short) -> None:
    plain, short = (
        train_done(ENGINE, tiny_job(replace(tiny_config(SGD), precision=p)))
        for p in ("float32", precision)
    )

    expect_close(short.final, plain.final, 0.05, precision)
    assert short.curve[-1].loss == pytest.approx(plain.curve[-1].loss, abs=0.05)


def overflowing(optimizer: OptimizerConfig, **changes: Any) -> TrainingJob:
    """Inputs so large that gradients, scaled as at first, are infinite in float16."""
    data = tiny_dataset()
    large = replace(data.train, inputs=300 * data.train.inputs)
    config = replace(tiny_config(optimizer, base=1e-4), precision="float16", **changes)
    job = tiny_job(config, data=replace(data, train=large))
    return replace(job, snapshots_at=tuple(range(13)))


@pytest.mark.parametrize("name", ["Adam", "SGD", "SGD with momentum"])
@pytest.mark.parametrize("most", [0.0, 1.0])
def test_a_step_that_overflows_is_left_out(name: str, most: float) -> None:
    job = overflowing(OPTIMIZERS[name], clip_gradients=most, averaging=0.5)
    recorder = Recorder()
    result = train_done(ENGINE, job, recorder)

    scales = [2.0**16, *(kept.values["scaler"]["scale"] for kept in recorder.kept)]
    left_out = [at for at in range(12) if scales[at + 1] < scales[at]]
    assert 0 in left_out, "the test's own first step does not overflow"
    assert len(left_out) < 12, "no step of the test's own is done"
    for at in range(12):
        before, after = result.snapshots[at], result.snapshots[at + 1]
        assert same_bytes(before["fc2.weight"], after["fc2.weight"]) is (at in left_out)
    first = recorder.kept[0].tensors
    state = [value for key, value in first.items() if key.startswith("optimizer/")]
    assert all(not value.any() for value in state)
    resumes(ENGINE, job, name)


def test_training_resumes_where_steps_are_left_out() -> None:
    for name in ("Adam", "SGD with momentum"):
        resumes(ENGINE, overflowing(OPTIMIZERS[name]), name)


class Infinite(torch.autograd.Function):
    """What it is given; its gradient is infinite."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor) -> Tensor:
        return inputs.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return torch.full_like(gradients[0], torch.inf)


class Overflows(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = Infinite.apply(inputs)  # type: ignore[no-untyped-call]
        return outputs


def test_gradients_that_no_scale_makes_finite_end_the_training() -> None:
    def make_model() -> nn.Sequential:
        return nn.Sequential(nn.Flatten(), nn.Linear(12, 3), Overflows())

    config = replace(tiny_config(length=60), precision="float16")
    job = replace(tiny_job(config, make_model=make_model), snapshots_at=(0, 30))
    result = train(ENGINE, job)

    assert result.status == "diverged"
    assert "overflowed float16" in result.reason
    assert result.curve[-1].iteration < 60
    expect_same_state(result.snapshots[30], result.snapshots[0], "weights of steps left out")


@pytest.mark.parametrize("precision", SHORT)
def test_start_weights_of_double_precision_are_refused(precision: Short) -> None:
    job = in_precision(tiny_job(replace(tiny_config(), precision=precision)), torch.float64)

    with pytest.raises(UsageError, match=r"needs start weights of float32, got torch.float64"):
        train(ENGINE, job)


def test_a_device_without_mixed_precision_is_refused() -> None:
    for precision in SHORT:
        config = replace(tiny_config(), precision=precision)
        refusal = TorchEngine("meta").refusal(tiny_mlp(), config)
        assert refusal is not None
        assert "torch has no mixed precision on meta" in refusal
    assert TorchEngine("meta").refusal(tiny_mlp(), tiny_config()) is None


def test_a_gpu_without_bfloat16_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    engine = TorchEngine("cuda")

    refusal = engine.refusal(tiny_mlp(), replace(tiny_config(), precision="bfloat16"))
    assert refusal is not None
    assert "this GPU has no bfloat16" in refusal
    assert engine.refusal(tiny_mlp(), replace(tiny_config(), precision="float16")) is None
