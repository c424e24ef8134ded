"""Our side of the comparisons, through the public interface of `lottery.training` alone."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from benchmarks.figure import Figure
from benchmarks.timing import step_seconds
from benchmarks.workload import BATCH, Inputs, Start, dense_start, load, ticket_start, training_jobs
from lottery.data import Dataset, steps_per_epoch
from lottery.training import NullMonitor, TrainingJob, TrainingResult, make_engine


def step(
    *,
    engine: str,
    data_dir: Path | None,
    inputs: Inputs,
    run: Path | None,
    density: float | None,
    quick: bool,
) -> Figure:
    """Seconds of one training step of one job.

    Args:
        engine: an engine's name.
        data_dir: where MNIST lies.
        inputs: see `benchmarks.workload.load`.
        run: a run to take the mask from; the dense network where there is none.
        density: which of its levels: the one nearest to it.
        quick: hardly any steps.
    """
    data = load(data_dir, inputs)
    start = dense_start() if run is None or density is None else ticket_start(run, density)
    samples, trained = _measure(_one_after_another(engine), [start], data, quick)
    layers = {name: kept / total for name, (kept, total) in start.mask.layers.items()}
    details = {"density": start.mask.density, "layer_densities": layers, **_accuracy(trained)}
    return Figure(value=statistics.median(samples), unit="s", samples=samples, details=details)


def two_jobs(*, engine: str, data_dir: Path | None, quick: bool) -> Figure:
    """Steps a second of two dense jobs together, each in a thread of its own.

    The clock stops when the slower one has ended.
    """
    starts = [dense_start(replicate) for replicate in range(2)]
    samples, trained = _measure(_at_once(engine), starts, load(data_dir), quick)
    rates = tuple(2 / pair for pair in samples)
    return Figure(
        value=statistics.median(rates), unit="steps/s", samples=rates, details=_accuracy(trained)
    )


Train = Callable[[list[TrainingJob]], list[TrainingResult]]


def _one_after_another(name: str) -> Train:
    engine = make_engine(name, torch.device("cpu"))
    return lambda jobs: engine.train(jobs, [NullMonitor() for _ in jobs])


def _at_once(name: str) -> Train:
    def train(jobs: list[TrainingJob]) -> list[TrainingResult]:
        with ThreadPoolExecutor(len(jobs)) as threads:
            groups = threads.map(lambda job: _one_after_another(name)([job]), jobs)
            return [result for group in groups for result in group]

    return train


def _measure(
    train: Train, starts: list[Start], data: Dataset, quick: bool
) -> tuple[tuple[float, ...], list[TrainingResult]]:
    """Seconds in which every job does one step, and the results of the last training."""
    make = training_jobs(starts, data)
    last: list[TrainingResult] = []

    def run(iterations: int) -> None:
        last[:] = train(make(iterations))

    unit = 100 if quick else steps_per_epoch(len(data.train), BATCH)
    repeats, at_least = (1, 0.0) if quick else (5, 0.5)
    return step_seconds(run, unit=unit, repeats=repeats, at_least=at_least), last


def _accuracy(trained: list[TrainingResult]) -> dict[str, float | int | str]:
    """That it did learn, for the record."""
    point = trained[0].curve[-1]
    return {
        "engine": trained[0].engine,
        "iterations": point.iteration,
        f"{point.split}_accuracy": point.accuracy,
    }
