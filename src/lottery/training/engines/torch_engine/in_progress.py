"""A training in progress, whatever it trains: the step, and everything that a checkpoint holds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lottery.training.engines.torch_engine.batches import Batches
from lottery.training.engines.torch_engine.network import (
    measured,
    random_states,
    restore_random,
    set_up,
)
from lottery.training.engines.torch_engine.optimizers import (
    clip_gradients,
    fill_gradients,
    make_optimizer,
    optimizer_tensors,
    restore_optimizer,
)
from lottery.training.engines.torch_engine.precision import Precision
from lottery.training.evaluate import input_dtype
from lottery.training.interface import Checkpoint, State, TrainingJob, TrainingResult
from lottery.training.loss import batch_loss
from lottery.training.progress import Progress, below, prefixed


class TrainingInProgress(ABC):
    """What trainings of weights and of masks have in common.

    Args:
        job: what to train.
        device: where.
    """

    measured_model: nn.Module
    """The network that is measured and given back."""

    def __init__(self, job: TrainingJob, device: torch.device) -> None:
        self.job, self.device = job, device
        self.progress = Progress(job)
        torch.manual_seed(job.streams.seed_of("dropout", job.start_iteration))
        self.model, self.data = set_up(job, device)
        self.precision = Precision(job.config.precision, device)
        self.dtype = input_dtype(self.model)
        self.batches = Batches(job, self.data, self.dtype)
        self.loss_sum = torch.zeros((), device=device)
        self.learned = self._make_learned()
        self.parameters = [p for p in self.learned.parameters() if p.requires_grad]
        self.optimizer = make_optimizer(
            job.config.optimizer, self.learned, device, skips=self.precision.scaled
        )

    @abstractmethod
    def _make_learned(self) -> nn.Module:
        """What has the parameters that are trained."""

    @abstractmethod
    def _outputs(self, inputs: Tensor) -> Tensor:
        """The forward pass in training."""

    @abstractmethod
    def _state(self) -> State:
        """A copy of the state of the network in training, for rewinding and checkpoints."""

    @abstractmethod
    def _measured_state(self) -> State:
        """A copy of the state of the network that is measured."""

    @abstractmethod
    def _own_tensors(self) -> Mapping[str, Mapping[str, Tensor]]:
        """What else a checkpoint holds, in named groups."""

    @abstractmethod
    def _restore_own(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `_own_tensors` gave, before the network's state is restored."""

    @abstractmethod
    def result(self, engine: str) -> TrainingResult:
        """What the training gives back, at its end."""

    def begin(self) -> None:
        """What is due before the first step."""
        self._after_step()

    def step(self) -> None:
        """One optimizer step, or an update of the mask in its place, and what is due after it."""
        config = self.job.config
        inputs, targets = self.batches.of(self.progress)
        with self.precision.autocast:
            outputs = self._outputs(inputs)
        loss = batch_loss(config.loss, outputs, targets, label_smoothing=config.label_smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        self.precision.backward(loss)
        fill_gradients(self.parameters)
        with torch.no_grad():
            self.loss_sum += loss
            self._update()
        self.progress.iteration += 1
        self._after_step()

    def _update(self) -> None:
        """From gradients to the next values of what is trained."""
        rate = self.progress.rate(self.progress.iteration)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.precision.unscale(self.optimizer)
        if self.job.config.clip_gradients:
            clip_gradients(self.parameters, self.job.config.clip_gradients)
        self.precision.step(self.optimizer)

    def _after_step(self) -> None:
        self.progress.keep_snapshot(self._state)
        if self.progress.due:
            self._evaluate()

    def _evaluate(self) -> None:
        with self.precision.autocast:
            self._refresh()
            points = measured(
                self.measured_model, self.data, self.progress.iteration, self.job.config.loss
            )
        # The sum of losses is looked at only now, which costs no synchronization at every step.
        if not self.progress.note(self._training_loss(), points, self._measured_state):
            return
        self.loss_sum.zero_()
        self.progress.reason = self.precision.exhausted(self.progress.iteration)

    @abstractmethod
    def _refresh(self) -> None:
        """Make the network that is measured ready for it."""

    def _training_loss(self) -> float:
        """The sum of losses since the last measurement; not finite where training has diverged."""
        return float(self.loss_sum)

    def checkpoint(self) -> Checkpoint:
        """All of this training's state, copied."""
        groups = {
            "model": self._state(),
            "optimizer": optimizer_tensors(self.optimizer, self.learned),
            **self._own_tensors(),
        }
        tensors = prefixed(groups) | random_states(self.device)
        tensors["loss-sum"] = self.loss_sum.cpu().clone()
        return self.progress.checkpoint(tensors, {"scaler": self.precision.state()})

    def restore(self, kept: Checkpoint) -> None:
        """Go on from a checkpoint as if nothing had happened."""
        tensors = kept.tensors
        self.progress.restore(kept)
        self._restore_own(tensors)
        self.model.load_state_dict(below("model/", tensors))
        restore_optimizer(self.optimizer, self.learned, below("optimizer/", tensors))
        self.precision.restore(kept.values["scaler"])
        restore_random(self.device, tensors)
        # A copy, since steps add to it in place and the checkpoint may be used again.
        self.loss_sum = tensors["loss-sum"].to(self.device, copy=True)
