"""A run like LeNet-300-100 on MNIST, made up: its numbers are plausible and mean nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Protocol

import numpy as np
import pytest
from alignment_samples import made_up as made_up_alignment
from connectivity_samples import made_up
from inside_samples import first_layers, made_up_masks, made_up_weights
from numpy.typing import NDArray

from lottery.analysis import Evidence, judge
from lottery.report import ReportData
from lottery.report.data import WeightCounts
from lottery.score import ACCURACY
from lottery.store.jobs import JobKey, JobResult
from lottery.training import CurvePoint

LAYERS = {"hidden1.weight": 235_200, "hidden2.weight": 30_000, "output.weight": 1_000}
DENSE, SPAN = 0.9805, 30_000


class MakeData(Protocol):
    def __call__(
        self,
        *,
        levels: int = 12,
        replicates: int = 5,
        branches: Sequence[str] = ("reinit-1", "random-mask-1"),
        evaluations: int = 60,
        name: str = "LeNet-300-100 on MNIST",
        failed: Sequence[JobKey] = (),
        layers: Sequence[str] = tuple(LAYERS),
    ) -> ReportData: ...


def truth(key: JobKey, density: float) -> tuple[float, float]:
    """Accuracy at early stop and its iteration, without noise."""
    pruned = -math.log2(density)
    if key.kind == "main":
        rise = 0.0011 * min(pruned, 2) - 0.008 * max(pruned - 2.7, 0) ** 1.5
        return DENSE + rise, 8200 - 1400 * min(pruned, 2.6) + 2600 * max(pruned - 2.8, 0)
    if key.kind == "reinit":
        return DENSE - 0.0014 * pruned**1.6, 8200 + 2300 * pruned
    return DENSE - 0.0021 * pruned**1.7, 8200 + 2900 * pruned


def curve(accuracy: float, stop: float, evaluations: int, noise: Random) -> Iterator[CurvePoint]:
    for i in range(1, evaluations + 1):
        at = round(SPAN * i / evaluations)
        learnt = 1 - math.exp(-6 * at / stop)
        jitter = noise.gauss(0, 0.0008)
        shape = 0.03 + 0.35 * (1 - learnt) + 0.04 * max(at / stop - 1, 0) ** 1.2
        yield CurvePoint.measured(
            at, "validation", (1 - accuracy) * 2.2 + shape + 4 * jitter, accuracy
        )
        yield CurvePoint.measured(at, "test", shape, accuracy * (0.86 + 0.14 * learnt) + jitter)


@pytest.fixture(scope="session")
def make_data() -> MakeData:
    return build


def build(
    *,
    levels: int = 12,
    replicates: int = 5,
    branches: Sequence[str] = ("reinit-1", "random-mask-1"),
    evaluations: int = 60,
    name: str = "LeNet-300-100 on MNIST",
    failed: Sequence[JobKey] = (),
    layers: Sequence[str] = tuple(LAYERS),
) -> ReportData:
    keys = [
        JobKey(replicate, branch, level)
        for replicate in range(replicates)
        for level in range(levels)
        for branch in ("main", *branches)
        if level or branch == "main"
    ]
    results, curves = [], {}
    for key in keys:
        density = 0.8**key.level
        noise = Random(f"{key}")
        accuracy, stop = truth(key, density)
        accuracy += noise.gauss(0, 0.0008)
        stop = min(max(100 * round((stop + noise.gauss(0, 500)) / 100), 100), SPAN)
        done = key not in failed
        sizes = [LAYERS.get(layer, 10_000) for layer in layers]
        kept = [
            round(size * (0.9**key.level if layer.startswith("output") else density))
            for layer, size in zip(layers, sizes, strict=True)
        ]
        results.append(
            JobResult(
                replicate=key.replicate,
                branch=key.branch,
                level=key.level,
                status="done" if done else "diverged",
                reason="" if done else "the loss stopped being finite at iteration 812",
                density=density,
                weights_kept=sum(kept),
                weights_total=sum(sizes),
                layers={n: (k, t) for n, k, t in zip(layers, kept, sizes, strict=True)},
                iterations=SPAN,
                start_iteration=0,
                early_stop_iteration=stop if done else None,
                validation_loss_at_early_stop=(1 - accuracy) * 2.2 + 0.04 if done else None,
                score_at_early_stop=accuracy if done else None,
                score_final=accuracy - 0.0006 if done else None,
                seconds=12.5,
                engine="torch",
            )
        )
        points = tuple(curve(accuracy, stop, evaluations, noise))
        curves[key] = points if done else points[:6]
    verdict = judge(
        Evidence(
            run="lenet-mnist-3f7a90bc",
            name=name,
            results=results,
            planned=keys,
            curves=curves,
            score=replace(ACCURACY, margin=0.005),
            confidence=0.95,
            evaluation_interval=100,
            test_examples=10_000,
            classes=10,
        )
    )
    pixels = [digits(0.8**level) for level in range(levels)]
    return ReportData(
        verdict=verdict,
        results=results,
        curves=curves,
        layers=layers,
        first_layers=first_layers(levels, replicates, pixels),
        inside={
            "masks": made_up_masks(levels, replicates, {n: LAYERS.get(n, 10_000) for n in layers}),
            "weights": made_up_weights(levels, layers),
            "connectivity": made_up(levels, replicates),
            "alignment": made_up_alignment(levels, replicates),
        },
        pixels=dict(enumerate(pixels)),
        masks={level: (digits(0.8**level) > 0.5).astype(float) for level in range(levels)},
        masks_are="matrix",
        weights={layer: weights(place) for place, layer in enumerate(layers)},
        weights_density=0.5,
        config={
            "name": name,
            "seed": 0,
            "model": {"name": "lenet-300-100"},
            "prune": {"criterion": "magnitude", "fraction": 0.2, "fractions": {"output.*": 0.1}},
            "training": {"loss": "cross-entropy", "learning_rate": 0.0012, "batch_size": 60},
        },
        environment={"python": "3.13.2", "torch": "2.13.0", "device": "cpu", "threads": 2},
        command=f"lottery run lenet-mnist --set name='{name}' --replicates {replicates}",
        date="2026-01-02T03:04:05+00:00",
        hashes={"config": "3f7a" * 16, "replicate-0/level-03/ticket.safetensors": "90bc" * 16},
    )


def weights(seed: int) -> WeightCounts:
    """A normal distribution, of which the smallest are pruned."""
    values = np.random.default_rng(seed).normal(0, 0.1, 2_000)
    edges = np.linspace(-0.3, 0.3, 31)
    kept = abs(values) > 0.07
    parts = {"kept": values[kept], "pruned": values[~kept]}
    return WeightCounts(
        edges=edges,
        counts={
            f"{moment}-{part}": np.histogram(of, edges)[0]
            for moment in ("initial", "trained")
            for part, of in parts.items()
        },
    )


def digits(density: float) -> NDArray[np.float64]:
    """What is kept of each pixel: more in the middle than at the edge."""
    y, x = np.mgrid[-1:1:28j, -1:1:28j]
    noise = np.random.default_rng(0).random((28, 28))
    seen = np.exp(-3.2 * (x**2 + 0.8 * y**2) ** 1.5)
    kept = density ** (0.35 + 2.6 * (1 - seen)) * (0.8 + 0.4 * noise)
    return np.where(kept < 0.004, 0.0, np.clip(kept if density < 1 else 1.0, 0, 1))


@pytest.fixture
def data(make_data: MakeData) -> ReportData:
    return make_data()


@pytest.fixture
def hostile() -> str:
    """A name with everything in it that could be taken for something other than text."""
    return (
        "</script><img src=x onerror=alert(1)>\"'{{7*7}}{% raw %}${7*7} %{y}"
        '<a href="javascript:alert(1)">&lt;b&gt; \u2028 \u202e ü 彩票 \x00'
    )


@pytest.fixture
def hostile_data(make_data: MakeData, hostile: str) -> ReportData:
    """The hostile name in every place where a name can stand."""
    data = make_data(
        levels=3,
        replicates=2,
        evaluations=5,
        name=hostile,
        layers=(hostile, "output.weight"),
        failed=[JobKey(0, "reinit-1", 2)],
    )
    verdict = replace(data.verdict, run=hostile, paragraph=hostile, caveats=(hostile,))
    return replace(
        data,
        verdict=verdict,
        results=[replace(r, reason=hostile) for r in data.results],
        config={**data.config, hostile: {hostile: hostile}},
        environment={hostile: [hostile]},
        command=hostile,
        hashes={hostile: hostile},
    )
