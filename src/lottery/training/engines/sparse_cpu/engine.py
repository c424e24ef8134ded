"""The engine: what it can train, and the loop around groups of compiled steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Literal

import torch
from torch import nn

from lottery.blas import one_blas_thread
from lottery.errors import UsageError
from lottery.training.config import TrainingConfig
from lottery.training.engines.sparse_cpu.compiled import compiles
from lottery.training.engines.sparse_cpu.costs import machine_costs
from lottery.training.engines.sparse_cpu.network import (
    NotFullyConnectedError,
    linear_layers,
    refused_setting,
)
from lottery.training.engines.sparse_cpu.training import Training
from lottery.training.engines.sparse_cpu.warmup import compile_all, is_compiled
from lottery.training.interface import Monitor, TrainingJob, TrainingResult


class SparseCpuEngine:
    """Fully connected networks on the CPU, one job after another, each on one thread.

    Args:
        device: the CPU; it refuses others.
    """

    name = "sparse_cpu"
    parallel: Literal["threads", "processes"] = "threads"
    group_size = 1
    augments = False
    learns_masks = False
    holds_values = False
    updates_masks = False

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)

    def prepare(self) -> None:
        """Compile for float32: about twenty seconds the first time, a moment afterwards."""
        with one_blas_thread(), denormals_flushed():
            compile_all()

    def settings(self) -> Mapping[str, float]:
        """Nanoseconds per weight, by which layers' forms are chosen; see `costs.Costs`."""
        return asdict(machine_costs())

    def refusal(self, model: nn.Module, config: TrainingConfig) -> str | None:
        """Why this engine cannot train the network, or None."""
        if self.device.type != "cpu":
            return f"it trains on the CPU, not on {self.device.type}"
        if not compiles():
            return (
                "numba compiles it, which the environment variable NUMBA_DISABLE_JIT turns off "
                "here; unset that"
            )
        try:
            linear_layers(model)
        except NotFullyConnectedError as error:
            return f"it trains fully connected networks, and of this model {error}"
        return refused_setting(config)

    def train(
        self, jobs: Sequence[TrainingJob], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        """Train every job to its end; results in the order of the jobs."""
        with one_blas_thread(), denormals_flushed():
            if not is_compiled():
                compile_all()
            return [self._train(job, monitor) for job, monitor in zip(jobs, monitors, strict=True)]

    def _train(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        if job.pruned is not None:
            raise UsageError(
                "engine 'sparse_cpu' cannot hold pruned weights at values other than zero; "
                "use engine 'torch'"
            )
        if job.updates.active:
            raise UsageError("engine 'sparse_cpu' trains one mask, which stays; use engine 'torch'")
        if job.mask_learning is not None:
            raise UsageError("engine 'sparse_cpu' trains weights, not masks; use engine 'torch'")
        kept = monitor.restore()
        training = Training(job, forms=None if kept is None else kept.values["forms"])
        return training.run(self.name, monitor, kept)


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Inside the ``with`` block, this thread treats denormal numbers as zero.

    The momentum of a weight whose gradient stays zero decays to such a number, and arithmetic on
    them takes a hundred times as long on many CPUs.
    """
    tiny = torch.tensor(torch.finfo(torch.float32).tiny)
    flushed_before = bool(tiny / 2 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed_before)
