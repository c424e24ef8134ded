"""A training in progress, of weights or of a mask: its step, and its state in checkpoints."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Literal

import torch
from torch import Tensor, nn

from lottery.training.curve import CurvePoint
from lottery.training.engines.torch_engine.network import random_states, restore_random, set_up
from lottery.training.engines.torch_engine.optimizers import (
    clip_gradients,
    fill_gradients,
    make_optimizer,
    optimizer_tensors,
    restore_optimizer,
)
from lottery.training.evaluate import evaluate, input_dtype
from lottery.training.in_progress import InProgress
from lottery.training.interface import Checkpoint, TrainingJob
from lottery.training.loss import batch_loss
from lottery.training.progress import below, prefixed

_SHORT: Final = {"bfloat16": torch.bfloat16, "float16": torch.float16}
# Scaled by this, gradients overflow float16 only from 10^12 on: no smaller scale will help.
_LEAST_SCALE: Final = 2.0**-24


class TrainingInProgress(InProgress):
    """What trainings of weights and of masks have in common.

    With 16 bits, torch's autocast decides which operations use them. In float16 the loss is scaled
    up before the backward pass and gradients are scaled down again after it, so that small ones do
    not become zero (Micikevicius et al. 2018, arXiv:1710.03740, section 3.2). A step whose
    gradients overflow is skipped, and the scale halved. In other types nothing is scaled.

    Args:
        job: what to train.
        device: where.
    """

    measured_model: nn.Module
    """The network that is evaluated and returned."""

    def __init__(self, job: TrainingJob, device: torch.device) -> None:
        super().__init__(job)
        self.device = device
        torch.manual_seed(job.streams.seed_of("dropout", job.start_iteration))
        self.model, self.data = set_up(job, device)
        kind = _SHORT.get(job.config.precision)
        self.autocast: AbstractContextManager[object] = (
            nullcontext() if kind is None else torch.autocast(device.type, kind)
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=kind == torch.float16)
        self.dtype = input_dtype(self.model)
        # Looked at when it is measured alone, which costs no synchronization at every step.
        self.loss_sum = torch.zeros((), device=device)
        self.learned = self._make_learned()
        self.parameters = [p for p in self.learned.parameters() if p.requires_grad]
        self.optimizer = make_optimizer(
            job.config.optimizer, self.learned, device, skips=self.scaler.is_enabled()
        )

    @abstractmethod
    def _make_learned(self) -> nn.Module:
        """The module whose parameters are trained."""

    @abstractmethod
    def _outputs(self, inputs: Tensor) -> Tensor:
        """The forward pass in training."""

    @abstractmethod
    def _own_tensors(self) -> Mapping[str, Mapping[str, Tensor]]:
        """What else a checkpoint holds, in named groups."""

    @abstractmethod
    def _restore_own(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what `_own_tensors` gave, before the network's state is restored."""

    def batch(self) -> tuple[Tensor, Tensor]:
        """The examples of the next step, and their classes."""
        chosen = self.rest_of_epoch(self.data.train.targets.device)[: self.job.config.batch_size]
        at = self.progress.iteration
        inputs, targets = self.data.training_batch(chosen, self.job.streams_at(at), at, self.dtype)
        return self.laid_out(inputs), targets

    def laid_out(self, inputs: Tensor) -> Tensor:
        """Inputs in the memory format that the network uses."""
        if self.job.config.channels_last and inputs.dim() == 4:
            return inputs.contiguous(memory_format=torch.channels_last)
        return inputs

    def advance(self, most: int) -> None:
        """One optimizer step, or an update of the mask in its place, and what is due after it."""
        del most
        config = self.job.config
        inputs, targets = self.batch()
        with self.autocast:
            outputs = self._outputs(inputs)
        loss = batch_loss(config.loss, outputs, targets, label_smoothing=config.label_smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        fill_gradients(self.parameters)
        with torch.no_grad():
            self.loss_sum += loss
            self._update()
        self.progress.iteration += 1
        self._after_steps()

    def _update(self) -> None:
        """Change the trained parameters by their gradients."""
        rate = self.progress.rate(self.progress.iteration)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.scaler.unscale_(self.optimizer)
        if self.job.config.clip_gradients:
            clip_gradients(self.parameters, self.job.config.clip_gradients)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    @abstractmethod
    def _refresh(self) -> None:
        """Bring the network that is evaluated up to date."""

    def _points(self) -> list[CurvePoint]:
        self._refresh()
        return super()._points()

    def _measure(self, split: Literal["validation", "test"]) -> tuple[float, float]:
        with self.autocast:
            return evaluate(self.measured_model, self.data, split, self.job.config.loss)

    def _exhausted(self) -> str:
        if not self.scaler.is_enabled() or self.scaler.get_scale() >= _LEAST_SCALE:
            return ""
        return (
            f"gradients overflowed float16 up to iteration {self.progress.iteration}, however "
            "little the loss was scaled"
        )

    def checkpoint(self) -> Checkpoint:
        """All of this training's state, copied."""
        groups = {
            "model": self._state(),
            "optimizer": optimizer_tensors(self.optimizer, self.learned),
            **self._own_tensors(),
        }
        tensors = prefixed(groups) | random_states(self.device)
        tensors["loss-sum"] = self.loss_sum.cpu().clone()
        return self.progress.checkpoint(tensors, {"scaler": self.scaler.state_dict()})

    def restore(self, kept: Checkpoint) -> None:
        """Resume from a checkpoint, with the same results as without the interruption."""
        tensors = kept.tensors
        self.progress.restore(kept)
        self._restore_own(tensors)
        self.model.load_state_dict(below("model/", tensors))
        restore_optimizer(self.optimizer, self.learned, below("optimizer/", tensors))
        self.scaler.load_state_dict(dict(kept.values["scaler"]))
        restore_random(self.device, tensors)
        # A copy, since steps add to it in place and the checkpoint may be used again.
        self.loss_sum = tensors["loss-sum"].to(self.device, copy=True)
