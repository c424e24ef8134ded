"""The engine that runs any model anywhere torch does: CPU, CUDA, MPS."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lottery.core import prunable_weights
from lottery.data.dataset import Dataset, steps_per_epoch
from lottery.errors import UsageError
from lottery.rng import Streams
from lottery.training.config import OptimizerConfig, TrainingConfig, learning_rate
from lottery.training.engines.held import held_values, hold
from lottery.training.evaluate import evaluate, input_dtype
from lottery.training.interface import (
    Checkpoint,
    CurvePoint,
    Monitor,
    State,
    TrainingJob,
    TrainingResult,
    early_stop_iteration,
)
from lottery.training.loss import batch_loss

_MEASURED: tuple[Literal["validation", "test"], ...] = ("validation", "test")


class TorchEngine:
    """Eager PyTorch: any network, on CPU, CUDA or MPS.

    Args:
        device: where to train.
    """

    name = "torch"
    # Dropout draws from torch's global generator, of which a process has one.
    parallel: Literal["threads", "processes"] = "processes"
    compiled = True
    augments = True

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)

    def prepare(self) -> None:
        """Nothing: there is no loop to compile."""

    def settings(self) -> Mapping[str, float]:
        """Nothing: PyTorch chooses."""
        return {}

    def refusal(self, model: nn.Module, config: TrainingConfig) -> str | None:
        """None: it trains any network."""
        del model, config
        return None

    def train(
        self, jobs: Sequence[TrainingJob], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        """Train every job to its end; results in the order of the jobs."""
        return [self._train(job, monitor) for job, monitor in zip(jobs, monitors, strict=True)]

    def _train(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        # Dropout draws from torch's global generator; the caller's is left as it was.
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            training = _Training(job, self.device)
            kept = monitor.restore()
            if kept is None:
                training.begin()
            else:
                training.restore(kept)
            while training.reason == "" and training.iteration < training.total:
                training.step()
                monitor.step(training.iteration, training.checkpoint)
            return training.result(self.name)


class _Training:
    """One training in progress: everything that a checkpoint holds, and the step."""

    def __init__(self, job: TrainingJob, device: torch.device) -> None:
        self.job, self.device = job, device
        examples = len(job.data.train)
        self.steps_per_epoch = steps_per_epoch(examples, job.config.batch_size)
        self.total = job.config.length.iterations(self.steps_per_epoch)
        self.every = job.config.evaluate_every.iterations(self.steps_per_epoch)
        if not 0 <= job.start_iteration <= self.total:
            raise UsageError(
                f"cannot start at iteration {job.start_iteration}: the training has {self.total}"
            )
        torch.manual_seed(job.streams.seed_of("dropout", job.start_iteration))

        self.model, self.data, self.masks = _set_up(job, device)
        parameters = dict(self.model.named_parameters())
        self.prunable: list[Tensor] = [parameters[name] for name in self.masks]
        dtype = next((weight.dtype for weight in self.prunable), torch.float32)
        self.held = held_values(job, self.masks, device, dtype)
        hold(self.prunable, self.held)
        self.optimizer = _optimizer(job.config.optimizer, self.model, device)
        self.iteration = job.start_iteration
        self.order = _EpochOrder(job.streams, examples, device)
        self.loss_sum = torch.zeros((), device=device)
        self.curve: list[CurvePoint] = []
        self.kept_states: dict[str, State] = {}
        self.reason = ""
        self.seconds = 0.0
        self.clock = time.perf_counter()

    def begin(self) -> None:
        """What is due before the first step."""
        self._after_step()

    def step(self) -> None:
        """One optimizer step, and what is due after it."""
        config = self.job.config
        epoch, position = divmod(self.iteration, self.steps_per_epoch)
        batch = self.order.of(epoch)[
            position * config.batch_size : (position + 1) * config.batch_size
        ]
        rate = learning_rate(
            config.learning_rate,
            self.iteration,
            total=self.total,
            steps_per_epoch=self.steps_per_epoch,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate

        inputs, targets = self.data.training_batch(
            batch, self.job.streams, self.iteration, input_dtype(self.model)
        )
        loss = batch_loss(config.loss, self.model(inputs), targets)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        masks = tuple(self.masks.values())
        with torch.no_grad():
            self.loss_sum += loss
            # Zero gradients keep the optimizer's state zero; zeroing the weights as well makes
            # it hold for an optimizer that moves a weight whose gradient is zero.
            torch._foreach_mul_([_gradient(weight) for weight in self.prunable], masks)
            if self.held:
                torch._foreach_mul_(self.prunable, masks)
            self.optimizer.step()
            torch._foreach_mul_(self.prunable, masks)
            hold(self.prunable, self.held)
        self.iteration += 1
        self._after_step()

    def _after_step(self) -> None:
        if self.iteration in self.job.snapshots_at:
            self.kept_states[f"snapshot-{self.iteration}"] = self._state()
        at_an_end = self.iteration in (self.job.start_iteration, self.total)
        if self.iteration % self.every == 0 or at_an_end:
            self._evaluate()

    def _evaluate(self) -> None:
        loss = self.job.config.loss
        points = [
            CurvePoint(self.iteration, name, *evaluate(self.model, self.data, name, loss))
            for name in _MEASURED
        ]
        # A sum of losses is finite only if each of them was, so looking at it now misses nothing
        # and costs no synchronization at every step.
        losses = [float(self.loss_sum), *(point.loss for point in points)]
        if not all(map(math.isfinite, losses)):
            self.reason = f"the loss was not finite at iteration {self.iteration} or shortly before"
            return
        self.loss_sum.zero_()
        self.curve += points
        if early_stop_iteration(self.curve) == self.iteration:
            self.kept_states["early-stop"] = self._state()

    def _state(self) -> dict[str, Tensor]:
        return {
            name: value.detach().to("cpu", copy=True)
            for name, value in self.model.state_dict().items()
        }

    def result(self, engine: str) -> TrainingResult:
        """What the training gives back, at its end."""
        self._tick()
        diverged = bool(self.reason)
        return TrainingResult(
            status="diverged" if diverged else "done",
            reason=self.reason,
            curve=tuple(self.curve),
            final={} if diverged else self._state(),
            early_stop={} if diverged else self.kept_states["early-stop"],
            early_stop_iteration=None if diverged else early_stop_iteration(self.curve),
            snapshots={
                at: self.kept_states[f"snapshot-{at}"]
                for at in self.job.snapshots_at
                if f"snapshot-{at}" in self.kept_states
            },
            seconds=self.seconds,
            engine=engine,
        )

    def checkpoint(self) -> Checkpoint:
        """All of this training's state, copied."""
        self._tick()
        tensors = {f"model/{name}": value for name, value in self._state().items()}
        for number, parameter in enumerate(self.model.parameters()):
            for key, value in self.optimizer.state[parameter].items():
                tensors[f"optimizer/{number}/{key}"] = torch.as_tensor(value).cpu().clone()
        for label, state in self.kept_states.items():
            tensors |= {f"kept/{label}/{name}": value for name, value in state.items()}
        tensors["random"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["random-cuda"] = torch.cuda.get_rng_state(self.device)
        tensors["loss-sum"] = self.loss_sum.cpu().clone()
        curve = [[p.iteration, p.split, p.loss, p.accuracy] for p in self.curve]
        values = {"curve": curve, "reason": self.reason, "seconds": self.seconds}
        return Checkpoint(iteration=self.iteration, tensors=tensors, values=values)

    def restore(self, kept: Checkpoint) -> None:
        """Go on from a checkpoint as if nothing had happened."""
        tensors = kept.tensors
        self.iteration = kept.iteration
        self.model.load_state_dict(_below("model/", tensors))
        for number, parameter in enumerate(self.model.parameters()):
            state: dict[str, Any] = {}
            for key, value in _below(f"optimizer/{number}/", tensors).items():
                # A scalar such as Adam's step counter stays where the optimizer had made it.
                fused = self.optimizer.defaults.get("fused")
                state[key] = value.to(parameter.device if value.dim() or fused else "cpu").clone()
            if state:
                self.optimizer.state[parameter] = state
        self.kept_states = {}
        for key, value in _below("kept/", tensors).items():
            label, _, name = key.partition("/")
            self.kept_states[label] = {**self.kept_states.get(label, {}), name: value}
        torch.set_rng_state(tensors["random"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random-cuda"], self.device)
        # A copy, since steps add to it in place and the checkpoint may be used again.
        self.loss_sum = tensors["loss-sum"].to(self.device, copy=True)
        self.curve = [CurvePoint(*point) for point in kept.values["curve"]]
        self.reason = kept.values["reason"]
        self.seconds = kept.values["seconds"]
        self.clock = time.perf_counter()

    def _tick(self) -> None:
        now = time.perf_counter()
        self.seconds += now - self.clock
        self.clock = now


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


def _set_up(job: TrainingJob, device: torch.device) -> tuple[nn.Module, Dataset, dict[str, Tensor]]:
    """The model at its masked start, the data, and the masks as floats of the weights' type."""
    model = job.make_model()
    # The start weights say in which precision to train.
    weights = prunable_weights(model)
    job.mask.check(weights)
    dtype = next((job.start[name].dtype for name in weights), torch.float32)
    model.to(device=device, dtype=dtype).train()
    model.load_state_dict(dict(job.start))
    # Masked in the model rather than in the state, where a tied weight has several names.
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name in weights:
            parameters[name].masked_fill_(~job.mask[name].to(device), 0.0)
    masks = {name: job.mask[name].to(device, dtype) for name in weights}
    return model, job.data.to(device), masks


def _optimizer(
    config: OptimizerConfig, model: nn.Module, device: torch.device
) -> torch.optim.Optimizer:
    fused = device.type in ("cpu", "cuda")
    if config.name == "adam":
        return torch.optim.Adam(
            model.parameters(),
            betas=(config.beta1, config.beta2),
            eps=config.epsilon,
            weight_decay=config.weight_decay,
            fused=fused,
        )
    return torch.optim.SGD(
        model.parameters(),
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
        fused=fused,
    )


def _gradient(weight: Tensor) -> Tensor:
    if weight.grad is None:
        raise UsageError("a prunable weight takes no part in the loss; leave it out of the model")
    return weight.grad


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The entries under a prefix, without it."""

    def entries() -> Iterator[tuple[str, Tensor]]:
        for name, value in tensors.items():
            if name.startswith(prefix):
                yield name[len(prefix) :], value

    return dict(entries())
