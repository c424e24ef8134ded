"""The sparse engine: the conformance suite, and its training against that of the torch engine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pytest
import torch
from torch import Tensor

from lottery.blas import one_blas_thread
from lottery.data import Dataset, Request, Split
from lottery.data.mnist_5k import load_mnist_5k
from lottery.models import build_model
from lottery.rng import Streams
from lottery.testing import ENGINE_CHECKS, EngineCheck
from lottery.testing.running import in_precision
from lottery.testing.samples import OPTIMIZERS, initial_state, random_sparse_mask
from lottery.training import (
    LearningRateConfig,
    Length,
    NullMonitor,
    OptimizerConfig,
    State,
    TrainingConfig,
    TrainingJob,
    TrainingResult,
)
from lottery.training.engines.sparse_cpu import SparseCpuEngine
from lottery.training.engines.sparse_cpu.layers import BACKGROUND, DENSE, SPARSE
from lottery.training.engines.sparse_cpu.training import Training
from lottery.training.engines.torch_engine import TorchEngine

FORMS = {
    "dense": [DENSE, DENSE, DENSE],
    "sparse": [SPARSE, SPARSE, SPARSE],
    "background": [BACKGROUND, SPARSE, DENSE],
}

every_form = pytest.mark.parametrize("forms", FORMS.values(), ids=list(FORMS))


@pytest.mark.parametrize("check", ENGINE_CHECKS, ids=lambda check: check.__name__)
def test_conformance(check: EngineCheck) -> None:
    check(SparseCpuEngine())


@cache
def digits(train: int | None = None, measured: int | None = None) -> Dataset:
    """The bundled digits, or so many of them."""
    data = load_mnist_5k(Request(validation=500))

    def array_at(split: Split, examples: int | None) -> Split:
        return Split(split.inputs[:examples].clone(), split.targets[:examples].clone())

    return Dataset(
        name=data.name,
        train=array_at(data.train, train),
        validation=array_at(data.validation, measured),
        test=array_at(data.test, measured),
        classes=data.classes,
        mean=data.mean,
        deviation=data.deviation,
    )


def digits_job(
    model: str,
    data: Dataset,
    *,
    density: float,
    optimizer: OptimizerConfig,
    rate: float,
    steps: int,
    batch_size: int = 60,
    evaluate_every: int = 1000,
    replicate: int = 0,
) -> TrainingJob:
    def make_model() -> torch.nn.Module:
        return build_model(model, data.input_shape, data.classes)

    return TrainingJob(
        make_model=make_model,
        mask=random_sparse_mask(make_model, density, replicate),
        start=initial_state(make_model, replicate),
        data=data,
        config=TrainingConfig(
            length=Length(amount=steps),
            batch_size=batch_size,
            evaluate_every=Length(amount=evaluate_every),
            optimizer=optimizer,
            learning_rate=LearningRateConfig(base=rate),
        ),
        streams=Streams(0, replicate),
    )


def by_torch(job: TrainingJob) -> TrainingResult:
    (result,) = TorchEngine().train([job], [NullMonitor()])
    return result


def in_forms(job: TrainingJob, forms: Sequence[int]) -> TrainingResult:
    """The sparse engine's result with each layer in a given form."""
    with one_blas_thread():
        training = Training(job, forms=list(forms))
        training.begin()
        while not training.progress.over:
            training.advance(1_000)
        return training.result("sparse_cpu")


def differences(got: State, expected: State) -> dict[str, float]:
    """Of each tensor, the largest difference in relation to the largest number."""
    return {
        name: float((got[name] - value).abs().max() / value.abs().max().clamp(min=1e-30))
        for name, value in expected.items()
    }


@cache
def step_of_torch(density: float, batch_size: int) -> tuple[TrainingJob, TrainingResult]:
    job = digits_job(
        "lenet-300-100",
        digits(1_003, 10),
        density=density,
        optimizer=OPTIMIZERS["SGD"],
        rate=1.0,
        steps=1,
        batch_size=batch_size,
    )
    job = in_precision(job, torch.float64)
    return job, by_torch(job)


@every_form
@pytest.mark.parametrize("batch_size", [1, 60, 64, 100, 1000])
@pytest.mark.parametrize("density", [1.0, 0.3, 0.05])
def test_gradients_are_torchs(forms: list[int], batch_size: int, density: float) -> None:
    """One step of gradient descent at a rate of 1 is the gradient."""
    job, expected = step_of_torch(density, batch_size)
    start = job.mask.apply(job.start)

    def gradient(result: TrainingResult) -> dict[str, Tensor]:
        return {name: start[name] - value for name, value in result.final.items()}

    found = differences(gradient(in_forms(job, forms)), gradient(expected))

    assert max(found.values()) < 1e-10, found


@cache
def trained_by_torch(precision: str, optimizer: str) -> tuple[TrainingJob, TrainingResult]:
    job = digits_job(
        "lenet-300-100",
        digits(1_003, 10),
        density=0.3,
        optimizer=OPTIMIZERS[optimizer],
        rate=1.2e-3 if optimizer == "Adam" else 0.01,
        steps=200,
    )
    job = in_precision(job, torch.float64) if precision == "double" else job
    return job, by_torch(job)


@every_form
@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("optimizer", ["Adam", "SGD with momentum"])
def test_two_hundred_steps_are_torchs(forms: list[int], precision: str, optimizer: str) -> None:
    """Rounding alone tells them apart; each step carries it on and adds some."""
    job, expected = trained_by_torch(precision, optimizer)

    found = differences(in_forms(job, forms).final, expected.final)

    # Found: 2e-14 and 1e-5.
    tolerance = {"double": 1e-10, "single": 1e-3}[precision]
    assert max(found.values()) < tolerance, found


def test_early_stops_are_torchs() -> None:
    """Replicate by replicate: order and start are shared, so that rounding alone differs."""
    jobs = [
        digits_job(
            "mlp-32",
            digits(),
            density=0.5,
            optimizer=OPTIMIZERS["Adam"],
            rate=3e-3,
            steps=300,
            evaluate_every=20,
            replicate=replicate,
        )
        for replicate in range(4)
    ]
    results = SparseCpuEngine().train(jobs, [NullMonitor() for _ in jobs])

    for job, got in zip(jobs, results, strict=True):
        expected = by_torch(job)
        for point, other in zip(got.curve, expected.curve, strict=True):
            assert (point.iteration, point.split) == (other.iteration, other.split)
            assert point.loss == pytest.approx(other.loss, rel=1e-4)
            # Two digits of the five hundred or thousand, on the edge between classes.
            assert abs(point.accuracy - other.accuracy) <= 2 / len(job.data.split(point.data_split))
        # Where the curve is flat, rounding may choose another of its points.
        loss = {p.iteration: p.loss for p in expected.curve if p.split == "validation"}
        assert got.early_stop_iteration is not None
        assert loss[got.early_stop_iteration] == pytest.approx(min(loss.values()), rel=1e-4)
        assert got.curve[-1].accuracy > 0.85
