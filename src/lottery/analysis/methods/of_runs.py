"""Runs on disk, side by side."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from lottery.analysis.methods.compare import compare_methods
from lottery.analysis.methods.cost import ticket_costs
from lottery.analysis.methods.types import MethodRun, RunComparison
from lottery.analysis.verdict import judge_run
from lottery.errors import UsageError
from lottery.experiments import Run, to_plain
from lottery.store.jobs import MAIN

TOLERANCE = 0.02
"""Densities whose ratio is at most 1.02 are compared, unless another tolerance is asked for."""


def compare_runs(
    runs: Sequence[Run],
    *,
    margin: float | None = None,
    confidence: float | None = None,
    tolerance: float = TOLERANCE,
    cost: bool = False,
) -> RunComparison:
    """Compare runs, finished or not, with the first of them.

    Args:
        runs: two or more, each with a result.
        margin: how much worse a matching ticket's score may be, of accuracy a fraction in [0, 1);
            None for the first run's.
        confidence: of intervals and tests, in [0.5, 1); None for the first run's.
        tolerance: densities whose ratio is at most 1 + tolerance are compared, in [0, 1).
        cost: whether to count what tickets cost; built-in networks are built for that.

    Raises:
        UsageError: there are fewer than two runs, one is given twice or has no result, or an
            argument is out of range.
        StoreError: a file of a run is damaged.
    """
    if len(runs) < 2:
        raise UsageError(f"a comparison needs two or more runs, got {len(runs)}")
    _check(runs)
    margin = runs[0].facts.score.margin if margin is None else margin
    confidence = runs[0].config.verdict.confidence if confidence is None else confidence
    read = [_read(run, margin, confidence) for run in runs]
    if cost:
        read = [replace(one, costs=ticket_costs(of)) for one, of in zip(read, runs, strict=True)]
    return compare_methods(read, tolerance=tolerance)


def _check(runs: Sequence[Run]) -> None:
    seen = set()
    for run in runs:
        path = run.store.path.resolve()
        if path in seen:
            raise UsageError(f"expected different runs, got {run.store.path} twice")
        seen.add(path)
        if not any(key.branch == MAIN for key in run.results):
            raise UsageError(
                f"{run.store.path} has no result yet: run it, or leave it out of the comparison"
            )


def _read(run: Run, margin: float | None, confidence: float) -> MethodRun:
    dense = [key for key in run.results if key.branch == MAIN and key.level == 0]
    return MethodRun(
        verdict=judge_run(run, margin=margin, confidence=confidence),
        results=list(run.judged.values()),
        config=to_plain(run.config),
        data=run.experiment.get("data", {}),
        environment=run.experiment["environment"],
        schema=run.experiment["schema"],
        starts={key.replicate: _digest(run.store.ticket(key).weights) for key in dense},
    )


def _digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) of every tensor's name, form and bytes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(repr((name, tuple(tensor.shape), str(tensor.dtype))).encode())
        # As bytes, since numpy has no bfloat16.
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
