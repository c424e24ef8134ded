"""Made-up runs to compare; their numbers are plausible and mean nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from made_up_results import job, judged

from lottery.analysis import RunComparison
from lottery.analysis.methods.compare import compare_methods
from lottery.analysis.methods.types import MethodRun
from lottery.experiments import ExperimentConfig, VerdictConfig, to_plain
from lottery.store.jobs import JobKey, JobResult
from lottery.tickets import PruneConfig

DATA: Mapping[str, Any] = {
    "sha256": "ab" * 32,
    "training_examples": 55_000,
    "validation_examples": 5_000,
    "test_examples": 10_000,
    "input_shape": [1, 28, 28],
    "classes": 10,
}


def results_of(
    *,
    replicates: int = 5,
    levels: int = 4,
    fraction: float = 0.5,
    worse: float = 0.0,
    noise: float = 0.001,
    seed: int = 0,
    failed: Sequence[JobKey] = (),
    branches: Sequence[str] = ("reinit-1",),
) -> list[JobResult]:
    """Results of one run: at level n its tickets lie n times ``worse`` below 0.97.

    Replicates have a noise of their own, shared by the runs of one seed, as paired ones do.
    """
    made = []
    for replicate in range(replicates):
        shared = Random(f"{seed} {replicate}").gauss(0, 0.01)
        for level in range(levels + 1):
            for branch in ("main", *(branches if level else ())):
                key = JobKey(replicate, branch, level)
                own = Random(f"{seed} {key} {worse if level else 0}").gauss(0, noise)
                cost = worse * level + (0.004 * level if branch != "main" else 0.0)
                accuracy = round(0.97 + shared + own - cost, 4)
                stop = 100 * round(40 + 2000 * (cost + abs(own)))
                status = "diverged" if key in failed else "done"
                made.append(
                    replace(
                        job(replicate, branch, level, accuracy, stop, status=status),
                        density=(1 - fraction) ** level,
                        weights_kept=round(266_200 * (1 - fraction) ** level),
                        seconds=2.0,
                        engine="sparse_cpu",
                    )
                )
    return made


def method_run(
    results: Sequence[JobResult],
    *,
    config: ExperimentConfig | None = None,
    run: str = "demo-00000000",
    data: Mapping[str, Any] = DATA,
    margin: float = 0.002,
    schema: int = 1,
    starts: Mapping[int, str] | None = None,
    planned: Sequence[JobKey] | None = None,
) -> MethodRun:
    """A run with these results; its dense networks began with what its seed gives."""
    config = config or ExperimentConfig(name="demo")
    replicates = sorted({result.replicate for result in results})
    return MethodRun(
        verdict=judged(
            results,
            run=run,
            name=config.name,
            planned=planned,
            margin=margin,
            test_examples=data["test_examples"],
        ),
        results=results,
        config=to_plain(config),
        data=data,
        environment={"device": "cpu", "processor": "made up", "gpu": None},
        schema=schema,
        starts=starts or {r: f"{config.seed} {config.model} {r}" for r in replicates},
    )


def criterion(which: str, **changes: Any) -> ExperimentConfig:
    """A config with this criterion."""
    verdict = VerdictConfig(margin=0.002)
    prune = PruneConfig(criterion=which, fraction=0.5)
    config = ExperimentConfig(name="demo", prune=prune, verdict=verdict)
    return replace(config, **changes)


def compared(*runs: MethodRun, tolerance: float = 0.02) -> RunComparison:
    return compare_methods(runs, tolerance=tolerance)


def sample(*, levels: int = 4, replicates: int = 5, name: str = "demo") -> RunComparison:
    """Three runs: paired and worse, and unpaired with other densities and one that diverged."""
    size: dict[str, Any] = {"levels": levels, "replicates": replicates}
    other = criterion("magnitude", name=name, seed=7)
    return compared(
        method_run(results_of(**size), config=criterion("magnitude", name=name), run="demo-a"),
        method_run(
            results_of(**size, worse=0.004), config=criterion("random", name=name), run="demo-b"
        ),
        method_run(
            results_of(**size, worse=0.001, fraction=0.3, seed=7, failed=[JobKey(0, "main", 2)]),
            config=replace(other, prune=replace(other.prune, fraction=0.3)),
            run="demo-c",
        ),
    )


@pytest.fixture(name="comparison")
def comparison_fixture() -> RunComparison:
    return sample()
