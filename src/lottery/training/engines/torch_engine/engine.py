"""The engine: what it can train, and the loop around steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import nn

from lottery.training.config import TrainingConfig
from lottery.training.devices import deterministic_convolutions
from lottery.training.engines.torch_engine.in_progress import TrainingInProgress
from lottery.training.engines.torch_engine.mask_training import MaskTraining
from lottery.training.engines.torch_engine.network import unsupported
from lottery.training.engines.torch_engine.training import Training
from lottery.training.interface import Monitor, TrainingJob, TrainingResult


class TorchEngine:
    """PyTorch itself: any network, on CPU, CUDA or MPS.

    Args:
        device: where to train.
    """

    name = "torch"
    # Dropout draws from torch's global generator, of which a process has one.
    parallel: Literal["threads", "processes"] = "processes"
    group_size = 1
    augments = True
    learns_masks = True
    holds_values = True
    updates_masks = True

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)

    def prepare(self) -> None:
        """Nothing: there is no loop to compile."""

    def settings(self) -> Mapping[str, float]:
        """Nothing: PyTorch chooses."""
        return {}

    def refusal(self, model: nn.Module, config: TrainingConfig) -> str | None:
        """Why a setting does not fit the network or the device; any network can be trained."""
        return unsupported(model, self.device, config)

    def train(
        self, jobs: Sequence[TrainingJob], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        """Train every job to its end; results in the order of the jobs."""
        return [self._train(job, monitor) for job, monitor in zip(jobs, monitors, strict=True)]

    def _train(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        # Dropout draws from torch's global generator; the caller's is left as it was.
        devices = [self.device] if self.device.type == "cuda" else []
        with deterministic_convolutions(self.device), torch.random.fork_rng(devices):
            training: TrainingInProgress = (
                Training(job, self.device)
                if job.mask_learning is None
                else MaskTraining(job, job.mask_learning, self.device)
            )
            return training.run(self.name, monitor, monitor.restore())
