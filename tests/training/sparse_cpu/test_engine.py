"""The engine around its trainings: whom it refuses, threads, tiny numbers, compiling ahead."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits
from torch import nn

from lottery.data import Dataset
from lottery.errors import Preempted
from lottery.models import build_model
from lottery.testing.expect import expect_same_result
from lottery.testing.running import Recorder, in_precision
from lottery.testing.samples import OPTIMIZERS, mlp_job, tiny_config, tiny_dataset, tiny_job
from lottery.training import Checkpoint, NullMonitor, TrainingConfig, TrainingJob, TrainingResult
from lottery.training.engines.sparse_cpu import SparseCpuEngine, warmup

ENGINE = SparseCpuEngine()


def train(job: TrainingJob) -> TrainingResult:
    (result,) = ENGINE.train([job], [NullMonitor()])
    return result


@pytest.mark.parametrize("name", ["lenet-300-100", "mlp-5", "mlp-5-4-tanh", "mlp-9-dropout0.5"])
def test_fully_connected_networks_are_not_refused(name: str) -> None:
    for config in (TrainingConfig(), TrainingConfig(loss="mse", optimizer=OPTIMIZERS["SGD"])):
        assert ENGINE.refusal(build_model(name, (1, 3, 4), 3), config) is None


@pytest.mark.parametrize(
    ("device", "model", "reason"),
    [
        ("cuda", build_model("mlp-5", (4,), 3), "it trains on the CPU, not on cuda"),
        ("mps", build_model("mlp-5", (4,), 3), "it trains on the CPU, not on mps"),
        (
            "cpu",
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)),
            "it trains fully connected networks, and of this model '0' is a Conv2d",
        ),
        (
            "cpu",
            nn.Sequential(nn.Linear(4, 3, bias=False)),
            "it trains fully connected networks, and of this model '0' has no bias",
        ),
    ],
)
def test_others_are_refused_with_a_reason(device: str, model: nn.Module, reason: str) -> None:
    assert (SparseCpuEngine(device).refusal(model, TrainingConfig()) or "").startswith(reason)


def test_what_was_measured_is_told() -> None:
    """As numbers that a run's record can hold; a second call gives the same."""
    settings = ENGINE.settings()

    assert json.loads(json.dumps(dict(settings))) == settings == ENGINE.settings()
    assert set(settings) >= {"dense", "sparse", "update"}
    assert all(value > 0 for value in settings.values())


# Threads


def different_jobs() -> list[TrainingJob]:
    """Of one dataset, each with a start, mask, order, dropout, width and precision of its own."""
    data = tiny_dataset(train=200, validation=70, test=30)
    jobs = []
    for number in range(6):
        config = tiny_config(length=150 + 10 * number, evaluate_every=20, batch_size=30 + number)
        job = mlp_job((30 + number, 20), config, dropout=0.1 * number, data=data)
        job = replace(job, streams=replace(job.streams, replicate=number))
        jobs.append(in_precision(job, torch.float64 if number % 3 == 2 else torch.float32))
    return jobs


class InStep(NullMonitor):
    """Lets trainings begin together, and meet again and again."""

    steps_at_once = 7

    def __init__(self, together: threading.Barrier) -> None:
        self.together, self.calls = together, 0

    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        # No training is too short for four calls, after which each goes its own way.
        self.calls += 1
        if self.calls <= 4:
            self.together.wait(600)


def test_trainings_at_once_give_the_bytes_of_one_after_the_other() -> None:
    jobs = different_jobs()
    expected = [train(job) for job in jobs]
    together = threading.Barrier(3)

    def train_beside_others(job: TrainingJob) -> TrainingResult:
        (result,) = ENGINE.train([job], [InStep(together)])
        return result

    with ThreadPoolExecutor(3) as pool:
        for number, got in enumerate(pool.map(train_beside_others, jobs)):
            expect_same_result(got, expected[number], f"job {number} beside others")


def blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


class Waiting(NullMonitor):
    """Says when it is called first, and goes on when it is told to."""

    steps_at_once = 1

    def __init__(self) -> None:
        self.called, self.told = threading.Event(), threading.Event()
        self.threads: set[int] = set()

    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        self.called.set()
        assert self.told.wait(600)
        self.threads |= blas_threads()


@pytest.mark.parametrize("first_ends_first", [True, False])
def test_trainings_that_overlap_each_have_one_thread_until_they_end(
    first_ends_first: bool,
) -> None:
    """And when the last has ended, linear algebra has as many threads as before the first."""
    train(tiny_job())
    with threadpool_limits(2, user_api="blas"), ThreadPoolExecutor(2) as pool:
        if blas_threads() != {2}:
            pytest.skip("this linear algebra knows one thread only")
        monitors = [Waiting(), Waiting()]
        futures = []
        for monitor in monitors:
            futures.append(pool.submit(ENGINE.train, [tiny_job()], [monitor]))
            assert monitor.called.wait(600)
        for number in (0, 1) if first_ends_first else (1, 0):
            monitors[number].told.set()
            futures[number].result(600)

        assert [monitor.threads for monitor in monitors] == [{1}, {1}]
        assert blas_threads() == {2}


# Numbers too small for full precision


def flushes() -> bool:
    """Whether this thread takes them as zero."""
    return bool(torch.tensor(torch.finfo(torch.float32).tiny) / 2 == 0)


@pytest.fixture
def settings() -> Iterator[None]:
    before = flushes()
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor has no such setting")
    yield
    torch.set_flush_denormal(before)


class Looking(NullMonitor):
    def __init__(self) -> None:
        self.flushes: list[bool] = []

    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        self.flushes.append(flushes())


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("before", [True, False])
def test_tiny_numbers_are_zero_inside_and_as_before_outside(before: bool) -> None:
    torch.set_flush_denormal(before)
    assert flushes() == before
    looking = Looking()

    ENGINE.train([tiny_job()], [looking])
    assert looking.flushes
    assert all(looking.flushes)
    assert flushes() == before

    with pytest.raises(Preempted):
        ENGINE.train([tiny_job()], [Recorder(stop_at=3)])
    assert flushes() == before

    ENGINE.prepare()
    assert flushes() == before


def with_a_silent_input(dtype: torch.dtype) -> TrainingJob:
    """Input 0 is always zero, so that its weights' gradient is, too."""
    data = tiny_dataset()

    def silenced(data: Dataset) -> Dataset:
        for name in ("train", "validation", "test"):
            split = getattr(data, name)
            inputs = split.inputs.clone()
            inputs.flatten(1)[:, 0] = 0.0
            data = replace(data, **{name: replace(split, inputs=inputs)})
        return data

    config = tiny_config(OPTIMIZERS["Adam"], length=60)
    return in_precision(mlp_job((10, 7), config, density=1.0, data=silenced(data)), dtype)


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["single", "double"])
def test_momenta_that_fade_become_zero(dtype: torch.dtype) -> None:
    """Arithmetic on what lies between zero and the smallest full number takes far longer."""
    torch.set_flush_denormal(False)
    tiny = torch.finfo(dtype).tiny
    job = with_a_silent_input(dtype)
    stop = Recorder(stop_at=1)
    with pytest.raises(Preempted):
        ENGINE.train([job], [stop])
    for name in ("first/fc1.weight", "second/fc1.weight"):
        assert (stop.kept[0].tensors[name][:, 0] == 0).all()
        stop.kept[0].tensors[name][:, 0] = 20 * tiny

    recorder = Recorder(stop.kept[0])
    ENGINE.train([job], [recorder])

    for kept in recorder.kept:
        for name, tensor in kept.tensors.items():
            between = (tensor != 0) & (tensor.abs() < tiny)
            assert not between.any(), f"{name} at iteration {kept.iteration}"
    # 0.9 to the 60th is small enough, which makes this a test; 0.999 is not.
    assert (recorder.kept[0].tensors["first/fc1.weight"][:, 0] > 0).all()
    assert (recorder.kept[-1].tensors["first/fc1.weight"][:, 0] == 0).all()
    assert (recorder.kept[-1].tensors["second/fc1.weight"][:, 0] > 0).all()


# Compiling ahead


def test_what_is_compiled_ahead_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compiled_in_a_new_process(directory: Path | None) -> bool:
        monkeypatch.setattr(warmup, "_done", threading.Event())
        monkeypatch.setattr(warmup, "cache_directory", lambda: directory)
        return warmup.is_compiled()

    def prepared() -> bool:
        before = torch.get_rng_state()
        ENGINE.prepare()
        assert torch.equal(torch.get_rng_state(), before)
        return warmup.is_compiled()

    assert not compiled_in_a_new_process(tmp_path)
    assert prepared()
    assert compiled_in_a_new_process(tmp_path)
    # Where code is not kept, each process compiles for itself.
    assert not compiled_in_a_new_process(None)
    assert prepared()


PROGRAM = """
from lottery.data import Dataset
from lottery.testing.samples import OPTIMIZERS, mlp_job, tiny_config, tiny_dataset
from lottery.training import NullMonitor
from lottery.training.engines.sparse_cpu import SparseCpuEngine, loop
engine = SparseCpuEngine()
engine.prepare()
kinds = [len(function.signatures) for function in (loop.train, loop.evaluate)]
assert kinds == [1, 1], kinds
for name, optimizer in OPTIMIZERS.items():
    config = tiny_config(optimizer, loss="mse" if "SGD" in name else "cross-entropy")
    for density in (1.0, 0.1):
        job = mlp_job((10, 7), config, dropout=0.2, density=density)
        engine.train([job], [NullMonitor()])
kinds = [len(function.signatures) for function in (loop.train, loop.evaluate)]
assert kinds == [1, 1], kinds
"""


def test_no_training_needs_more_than_was_compiled_ahead() -> None:
    """Whatever its layers, optimizer, loss and data, in single precision."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr
