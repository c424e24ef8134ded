"""A task that trains groups of jobs and records its calls, for checking executors."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from typing_extensions import override

from lottery.errors import UsageError
from lottery.experiments.config import ExperimentConfig
from lottery.experiments.experiment import Experiment
from lottery.methods import ControlsConfig
from lottery.store import JobKey
from lottery.tasks.protocol import TrainingRequest, TrainingVariant
from lottery.tasks.supervised import Supervised
from lottery.testing.samples import tiny_dataset
from lottery.tickets import PruneConfig
from lottery.training import (
    Checkpoint,
    CurvePoint,
    Length,
    Monitor,
    TrainingConfig,
    TrainingResult,
)

FAILURE = "this job fails, as the check wants it"
_STEPS = 4
_HELD_AT = 2


def walking_experiment(
    folder: Path, *, group_size: int = 1, fails: JobKey | None = None, held_seconds: float = 0.0
) -> Experiment:
    """Two replicates, one level, one control; a training takes a millisecond.

    Args:
        folder: where `RandomWalks` leaves its trace.
        group_size: how many jobs are trained in one call.
        fails: a job that raises an error.
        held_seconds: how long trainings wait in the middle to be asked to stop.
    """
    config = ExperimentConfig(
        name="walks",
        replicates=2,
        levels=1,
        model="mlp-4",
        training=TrainingConfig(length=Length(amount=_STEPS)),
        prune=PruneConfig(fraction=0.5),
        controls=ControlsConfig(reinit=1),
    )
    return Experiment(config, RandomWalks(config, folder, group_size, fails, held_seconds))


class RandomWalks(Supervised):
    """Weights that walk at random instead of learning, the jobs of a group step by step together.

    A job's bytes in a group are those it has alone.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        folder: Path,
        group_size: int,
        fails: JobKey | None = None,
        held_seconds: float = 0.0,
    ) -> None:
        super().__init__(config, tiny_dataset())
        self._folder, self._group_size = folder, group_size
        self._fails, self._held_seconds = fails, held_seconds

    @override
    def group_size(self, variant: TrainingVariant) -> int:
        return self._group_size

    @override
    def engine_name(self, variant: TrainingVariant) -> str:
        return "random walks"

    @override
    def train(
        self, requests: Sequence[TrainingRequest], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        walks = [_Walk(request, one) for request, one in zip(requests, monitors, strict=True)]
        with (self._folder / "calls").open("a") as trace:
            trace.write(json.dumps([(str(walk.job), walk.iteration) for walk in walks]) + "\n")
        if self._fails in [walk.job for walk in walks]:
            raise UsageError(FAILURE)
        held_until = time.monotonic() + self._held_seconds
        while going := [walk for walk in walks if walk.iteration < _STEPS]:
            for walk in going:
                walk.step()
            while time.monotonic() < held_until and all(w.iteration >= _HELD_AT for w in walks):
                for walk in walks:
                    walk.call()
                time.sleep(0.005)
        return [walk.result() for walk in walks]


def calls(folder: Path) -> list[dict[str, int]]:
    """Each call of `RandomWalks.train` so far: job -> the iteration that it began at."""
    trace = folder / "calls"
    lines = trace.read_text().splitlines() if trace.exists() else []
    return [dict(json.loads(line)) for line in lines]


class _Walk:
    def __init__(self, request: TrainingRequest, monitor: Monitor) -> None:
        self._request, self._monitor = request, monitor
        about = request.ticket.provenance
        self.job = JobKey(int(about["replicate"]), str(about["branch"]), int(about["level"]))
        kept = monitor.restore()
        start = request.ticket.start()
        self._state = {n: kept.tensors[n] if kept else value for n, value in start.items()}
        self.iteration = kept.iteration if kept else request.ticket.iteration

    def step(self) -> None:
        draw = self._request.streams.generator("order", self.iteration)
        walked = {
            name: 0.5 * value + torch.randn(value.shape, generator=draw)
            for name, value in sorted(self._state.items())
        }
        self._state = dict(self._request.ticket.mask.apply(walked))
        self.iteration += 1
        self.call()

    def call(self) -> None:
        """Call the monitor, as an engine does between steps."""
        self._monitor.step(
            self.iteration, lambda: Checkpoint(iteration=self.iteration, tensors=self._state)
        )

    def result(self) -> TrainingResult:
        loss = float(sum(value.square().sum() for value in self._state.values()))
        curve = tuple(
            CurvePoint.measured(self.iteration, split, loss, 0.5)
            for split in ("validation", "test")
        )
        if self._request.on_evaluation is not None:
            self._request.on_evaluation(curve)
        return TrainingResult(
            status="done",
            curve=curve,
            final=self._state,
            early_stop={},
            early_stop_iteration=None,
            snapshots={},
            seconds=0.0,
            engine="random walks",
        )
