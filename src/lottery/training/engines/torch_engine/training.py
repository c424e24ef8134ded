"""One training in progress: everything that a checkpoint holds, and the step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from lottery.core import prunable_weights
from lottery.data.dataset import Dataset
from lottery.errors import UsageError
from lottery.rng import Streams
from lottery.training.engines.torch_engine.averaging import Measured
from lottery.training.engines.torch_engine.compiling import compiled_forward
from lottery.training.engines.torch_engine.masking import Pruned
from lottery.training.engines.torch_engine.moving import Moving
from lottery.training.engines.torch_engine.optimizers import (
    clip_gradients,
    make_optimizer,
    optimizer_tensors,
    restore_optimizer,
)
from lottery.training.engines.torch_engine.precision import Precision
from lottery.training.engines.torch_engine.support import unsupported
from lottery.training.evaluate import evaluate, input_dtype
from lottery.training.interface import Checkpoint, CurvePoint, TrainingJob, TrainingResult
from lottery.training.loss import batch_loss
from lottery.training.normalization import recalibrate_batch_norm
from lottery.training.progress import Progress, below

_MEASURED: tuple[Literal["validation", "test"], ...] = ("validation", "test")


class Training:
    """One training in progress.

    Args:
        job: what to train.
        device: where.
    """

    def __init__(self, job: TrainingJob, device: torch.device) -> None:
        self.job, self.device = job, device
        self.progress = Progress(job)
        torch.manual_seed(job.streams.seed_of("dropout", job.start_iteration))

        self.model, self.data = _set_up(job, device)
        self.precision = Precision(job.config.precision, device)
        skips = self.precision.scaled
        self.pruned = Pruned(self.model, job.mask, job.pruned, overflows=skips)
        self.dtype = input_dtype(self.model)
        self.parameters = list(self.model.parameters())
        self.optimizer = make_optimizer(job.config.optimizer, self.model, device, skips=skips)
        self.measured = Measured(self.model, job.config)
        self.moving = Moving(
            job,
            self.progress,
            self.model,
            pruned=self.pruned,
            optimizer=self.optimizer,
            measured=self.measured,
        )
        self.forward: Callable[[Tensor], Tensor] = (
            compiled_forward(self.model) if job.config.compile else self.model
        )
        self.order = _EpochOrder(job.streams, len(job.data.train), device)
        self.loss_sum = torch.zeros((), device=device)

    def begin(self) -> None:
        """What is due before the first step."""
        self._after_step()

    def step(self) -> None:
        """One optimizer step, or an update of the mask in its place, and what is due after it."""
        loss = self._loss(*self._batch())
        self.optimizer.zero_grad(set_to_none=True)
        self.precision.backward(loss)
        with torch.no_grad():
            self.loss_sum += loss
            if self.moving.replaces_step:
                self._move_mask()
            else:
                self._update()
        self.progress.iteration += 1
        self._after_step()

    def _batch(self) -> tuple[Tensor, Tensor]:
        """The examples of this step, and their classes."""
        epoch, first = self.progress.position()
        chosen = self.order.of(epoch)[first : first + self.job.config.batch_size]
        inputs, targets = self.data.training_batch(
            chosen, self.job.streams, self.progress.iteration, self.dtype
        )
        return self._laid_out(inputs), targets

    def _laid_out(self, inputs: Tensor) -> Tensor:
        """Inputs as they lie in memory for the network."""
        if self.job.config.channels_last and inputs.dim() == 4:
            return inputs.contiguous(memory_format=torch.channels_last)
        return inputs

    def _loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        config = self.job.config
        with self.precision.autocast:
            outputs = self.forward(inputs)
        return batch_loss(config.loss, outputs, targets, label_smoothing=config.label_smoothing)

    def _update(self) -> None:
        """From gradients to the next weights, and the zeros that both must have."""
        rate = self.progress.rate(self.progress.iteration)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.pruned.mask_gradients()
        self.pruned.hide()
        self.precision.unscale(self.optimizer)
        if self.job.config.clip_gradients:
            clip_gradients(self.parameters, self.job.config.clip_gradients)
        self.precision.step(self.optimizer)
        self.pruned.mask_weights()
        self.measured.follow()

    def _move_mask(self) -> None:
        """The mask by these gradients, of pruned weights as well; nothing else moves."""
        self.precision.leave_out(self.optimizer)
        self.moving.move()
        self.measured.follow()

    def _after_step(self) -> None:
        if self.moving.follows_step:
            self.moving.move()
        self.progress.keep_snapshot(lambda: _state(self.model))
        if self.progress.due:
            self._evaluate()

    def _evaluate(self) -> None:
        model, config = self.measured.model, self.job.config
        self.measured.refresh()
        with self.precision.autocast:
            if config.recalibrate_batch_norm and self.progress.at_an_end:
                recalibrate_batch_norm(model, self._examples(config.recalibrate_batch_norm))
            points = [
                CurvePoint(
                    self.progress.iteration,
                    name,
                    *evaluate(model, self.data, name, config.loss),
                )
                for name in _MEASURED
            ]
        # The sum of losses is looked at only now, which costs no synchronization at every step.
        if not self.progress.note(float(self.loss_sum), points, lambda: _state(model)):
            return
        self.loss_sum.zero_()
        if self.precision.exhausted:
            self.progress.reason = (
                f"gradients overflowed {config.precision} up to iteration "
                f"{self.progress.iteration}, however little the loss was scaled"
            )

    def _examples(self, number: int) -> Iterator[Tensor]:
        """Batches of about ``number`` training inputs, whole ones; always the same."""
        there = len(self.data.train)
        size = min(self.job.config.batch_size, number, there)
        generator = self.job.streams.generator("recalibration")
        chosen = torch.randperm(there, generator=generator)[: min(number, there) // size * size]
        for batch in chosen.to(self.device).split(size):
            yield self._laid_out(self.data.batch("train", batch, self.dtype)[0])

    def result(self, engine: str) -> TrainingResult:
        """What the training gives back, at its end."""
        found = self.progress.result(engine, lambda: _state(self.measured.model))
        return replace(found, mask=self.moving.mask) if self.moving.active else found

    def checkpoint(self) -> Checkpoint:
        """All of this training's state, copied."""
        groups = {
            "model": _state(self.model),
            "optimizer": optimizer_tensors(self.optimizer, self.model),
        }
        if self.moving.active:
            groups["mask"] = self.moving.tensors()
        if self.measured.is_copy:
            groups["measured"] = _state(self.measured.model)
        tensors = {
            f"{group}/{name}": value
            for group, found in groups.items()
            for name, value in found.items()
        }
        tensors["random"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["random-cuda"] = torch.cuda.get_rng_state(self.device)
        tensors["loss-sum"] = self.loss_sum.cpu().clone()
        return self.progress.checkpoint(tensors, {"scaler": self.precision.state()})

    def restore(self, kept: Checkpoint) -> None:
        """Go on from a checkpoint as if nothing had happened."""
        tensors = kept.tensors
        self.progress.restore(kept)
        self.moving.restore(below("mask/", tensors))
        self.model.load_state_dict(below("model/", tensors))
        if self.measured.is_copy:
            self.measured.model.load_state_dict(below("measured/", tensors))
        restore_optimizer(self.optimizer, self.model, below("optimizer/", tensors))
        self.precision.restore(kept.values["scaler"])
        torch.set_rng_state(tensors["random"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random-cuda"], self.device)
        # A copy, since steps add to it in place and the checkpoint may be used again.
        self.loss_sum = tensors["loss-sum"].to(self.device, copy=True)


class _EpochOrder:
    """The order of the examples in each epoch: a permutation from a stream of the epoch's own.

    Any iteration's batch follows from its number alone, so a position in the data needs no state.
    """

    def __init__(self, streams: Streams, examples: int, device: torch.device) -> None:
        self._streams, self._examples, self._device = streams, examples, device
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def of(self, epoch: int) -> Tensor:
        """The example indices of ``epoch``, int64 ``[examples]``."""
        if epoch != self._epoch:
            generator = self._streams.generator("order", epoch)
            order = torch.randperm(self._examples, generator=generator)
            self._epoch, self._order = epoch, order.to(self._device)
        return self._order


def _set_up(job: TrainingJob, device: torch.device) -> tuple[nn.Module, Dataset]:
    """The model at its start, not yet masked, and the data, in one precision on the device."""
    model, config = job.make_model(), job.config
    reason = unsupported(model, device, config)
    if reason is not None:
        raise UsageError(reason)
    weights = prunable_weights(model)
    job.mask.check(weights)
    # The start weights say in which precision to train.
    dtype = next((job.start[name].dtype for name in weights), torch.float32)
    if config.precision != "float32" and dtype != torch.float32:
        raise UsageError(
            f"training.precision = '{config.precision}' needs start weights of float32, got {dtype}"
        )
    model.to(device=device, dtype=dtype).train()
    if config.channels_last:
        # An argument that torch's annotations leave out.
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.load_state_dict(dict(job.start))
    return model, job.data.to(device)


def _state(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the model's state on the CPU, in the ordinary order in memory."""
    return {
        name: value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, value in model.state_dict().items()
    }
