"""One training in progress: everything that a checkpoint holds, and the step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from lottery.training.engines.torch_engine.averaging import Measured
from lottery.training.engines.torch_engine.batches import Batches
from lottery.training.engines.torch_engine.compiling import compiled_forward
from lottery.training.engines.torch_engine.masking import Pruned, fill_gradients
from lottery.training.engines.torch_engine.moving import Moving
from lottery.training.engines.torch_engine.network import (
    measured,
    random_states,
    restore_random,
    set_up,
    state_of,
)
from lottery.training.engines.torch_engine.optimizers import (
    clip_gradients,
    make_optimizer,
    optimizer_tensors,
    restore_optimizer,
)
from lottery.training.engines.torch_engine.precision import Precision
from lottery.training.evaluate import input_dtype
from lottery.training.interface import Checkpoint, TrainingJob, TrainingResult
from lottery.training.loss import batch_loss
from lottery.training.normalization import recalibrate_batch_norm
from lottery.training.progress import Progress, below, prefixed


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

        self.model, self.data = set_up(job, device)
        self.precision = Precision(job.config.precision, device)
        skips = self.precision.scaled
        self.pruned = Pruned(self.model, job.mask, job.pruned, overflows=skips)
        self.dtype = input_dtype(self.model)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
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
        self.batches = Batches(job, self.data, self.dtype)
        self.loss_sum = torch.zeros((), device=device)

    def begin(self) -> None:
        """What is due before the first step."""
        self._after_step()

    def step(self) -> None:
        """One optimizer step, or an update of the mask in its place, and what is due after it."""
        loss = self._loss(*self.batches.of(self.progress))
        self.optimizer.zero_grad(set_to_none=True)
        self.precision.backward(loss)
        fill_gradients(self.parameters)
        with torch.no_grad():
            self.loss_sum += loss
            if self.moving.replaces_step:
                self._move_mask()
            else:
                self._update()
        self.progress.iteration += 1
        self._after_step()

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
        self.progress.keep_snapshot(lambda: state_of(self.model))
        if self.progress.due:
            self._evaluate()

    def _evaluate(self) -> None:
        model, config = self.measured.model, self.job.config
        self.measured.refresh()
        with self.precision.autocast:
            if config.recalibrate_batch_norm and self.progress.at_an_end:
                recalibrate_batch_norm(model, self._examples(config.recalibrate_batch_norm))
            points = measured(model, self.data, self.progress.iteration, config.loss)
        # The sum of losses is looked at only now, which costs no synchronization at every step.
        if not self.progress.note(float(self.loss_sum), points, lambda: state_of(model)):
            return
        self.loss_sum.zero_()
        self.progress.reason = self.precision.exhausted(self.progress.iteration)

    def _examples(self, number: int) -> Iterator[Tensor]:
        """Batches of about ``number`` training inputs, whole ones; always the same."""
        there = len(self.data.train)
        size = min(self.job.config.batch_size, number, there)
        generator = self.job.streams.generator("recalibration")
        chosen = torch.randperm(there, generator=generator)[: min(number, there) // size * size]
        for batch in chosen.to(self.device).split(size):
            yield self.batches.laid_out(self.data.batch("train", batch, self.dtype)[0])

    def result(self, engine: str) -> TrainingResult:
        """What the training gives back, at its end."""
        found = self.progress.result(engine, lambda: state_of(self.measured.model))
        return replace(found, mask=self.moving.mask) if self.moving.active else found

    def checkpoint(self) -> Checkpoint:
        """All of this training's state, copied."""
        groups = {
            "model": state_of(self.model),
            "optimizer": optimizer_tensors(self.optimizer, self.model),
        }
        if self.moving.active:
            groups["mask"] = self.moving.tensors()
        if self.measured.is_copy:
            groups["measured"] = state_of(self.measured.model)
        tensors = prefixed(groups) | random_states(self.device)
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
        restore_random(self.device, tensors)
        # A copy, since steps add to it in place and the checkpoint may be used again.
        self.loss_sum = tensors["loss-sum"].to(self.device, copy=True)
