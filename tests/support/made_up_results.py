"""Made-up results of runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lottery.analysis import Evidence, Verdict, judge
from lottery.score import ACCURACY, Score
from lottery.store.jobs import JobKey, JobResult

WEIGHTS = 266_200


def job(
    replicate: int,
    branch: str,
    level: int,
    accuracy: float = 0.98,
    iteration: int = 1000,
    *,
    status: str = "done",
    iterations: int = 50_000,
) -> JobResult:
    done = status == "done"
    return JobResult(
        replicate=replicate,
        branch=branch,
        level=level,
        status=status,  # type: ignore[arg-type]
        reason="" if done else "the loss is not finite",
        density=0.8**level,
        weights_kept=round(WEIGHTS * 0.8**level),
        weights_total=WEIGHTS,
        layers={},
        iterations=iterations,
        start_iteration=0,
        early_stop_iteration=iteration if done else None,
        validation_loss_at_early_stop=0.1 if done else None,
        score_at_early_stop=accuracy if done else None,
        score_final=accuracy if done else None,
        seconds=1.0,
        engine="none",
    )


def simulated(
    seed: int,
    *,
    replicates: int,
    levels: int,
    ticket: tuple[float, float] = (0.0, 0.0),
    reinit: tuple[float, float] | None = None,
    noise: tuple[float, float] = (0.001, 300.0),
) -> list[JobResult]:
    """Results whose truth is known.

    Tickets and reinitialized tickets lie (accuracy, iterations) above a dense network at 0.97 and
    10,000; every training has independent normal noise, and is then rounded to the grid of 10,000
    test examples and one evaluation every 100 iterations.
    """
    random = np.random.default_rng(seed)
    results = []
    for replicate in range(replicates):
        for level in range(levels + 1):
            shifts = {"main": ticket if level else (0.0, 0.0)}
            if reinit is not None and level:
                shifts["reinit-1"] = reinit
            for branch, (accuracy, iterations) in shifts.items():
                a = random.normal(0.97 + accuracy, noise[0])
                t = random.normal(10_000 + iterations, noise[1])
                results.append(
                    job(replicate, branch, level, round(a, 4), 100 * max(0, round(t / 100)))
                )
    return results


def judged(
    results: Sequence[JobResult],
    *,
    run: str = "runs/lenet-00000000",
    name: str = "lenet",
    planned: Sequence[JobKey] | None = None,
    margin: float | None = 0.002,
    score: Score = ACCURACY,
    test_examples: int | None = 10_000,
    **settings: Any,
) -> Verdict:
    """The verdict of made-up results; ``settings`` are more fields of `Evidence`."""
    return judge(
        Evidence(
            run=run,
            name=name,
            results=results,
            planned=[result.key for result in results] if planned is None else planned,
            score=replace(score, margin=margin),
            confidence=0.95,
            evaluation_interval=100,
            test_examples=test_examples,
            **settings,
        )
    )


@pytest.fixture(scope="session", name="job")
def job_fixture() -> Callable[..., JobResult]:
    return job


@pytest.fixture(scope="session", name="simulated")
def simulated_fixture() -> Callable[..., list[JobResult]]:
    return simulated


@pytest.fixture(scope="session", name="judged")
def judged_fixture() -> Callable[..., Verdict]:
    return judged
