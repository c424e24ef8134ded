"""One training in progress: everything that a checkpoint holds, and groups of steps."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lottery.core import prunable_weights
from lottery.data import SplitName, steps_per_epoch
from lottery.errors import UsageError
from lottery.training.config import learning_rate
from lottery.training.engines.sparse_cpu import loop
from lottery.training.engines.sparse_cpu.batches import make_batch
from lottery.training.engines.sparse_cpu.costs import fastest_form, machine_costs
from lottery.training.engines.sparse_cpu.inputs import make_inputs
from lottery.training.engines.sparse_cpu.kernels import Floats
from lottery.training.engines.sparse_cpu.layers import (
    BACKGROUND,
    DENSE,
    SPARSE,
    make_layer,
    make_network,
    pack,
    unpack,
)
from lottery.training.engines.sparse_cpu.losses import CROSS_ENTROPY, MSE
from lottery.training.engines.sparse_cpu.network import LinearLayer, linear_layers
from lottery.training.engines.sparse_cpu.optimizers import optimizer_numbers
from lottery.training.engines.sparse_cpu.stacks import Stack, aligned, arrays_of, empty_stack, stack
from lottery.training.engines.sparse_cpu.vectors import LANES
from lottery.training.interface import (
    Checkpoint,
    CurvePoint,
    State,
    TrainingJob,
    TrainingResult,
    early_stop_iteration,
)

_MEASURED: tuple[Literal["validation", "test"], ...] = ("validation", "test")
_SPLITS: tuple[SplitName, ...] = ("train", *_MEASURED)


class Training:
    """One training in progress.

    Args:
        job: what to train.
        forms: each layer's form, where a checkpoint says; otherwise the fastest are chosen.
    """

    def __init__(self, job: TrainingJob, forms: list[int] | None = None) -> None:
        self.job = job
        self.steps_per_epoch = steps_per_epoch(len(job.data.train), job.config.batch_size)
        self.total = job.config.length.iterations(self.steps_per_epoch)
        self.every = job.config.evaluate_every.iterations(self.steps_per_epoch)
        if not 0 <= job.start_iteration <= self.total:
            raise UsageError(
                f"cannot start at iteration {job.start_iteration}: the training has {self.total}"
            )
        with torch.random.fork_rng(devices=[]):
            model = job.make_model()
        self.linear = linear_layers(model)
        job.mask.check(prunable_weights(model))
        _check_fits(job, self.linear)
        dtype = job.start[f"{self.linear[0].name}.weight"].dtype
        self.dtype = np.dtype(np.float64 if dtype == torch.float64 else np.float32)
        self.inputs = make_inputs(job.data, torch.from_numpy(np.zeros(0, self.dtype)).dtype)
        self.kept = [job.mask[f"{linear.name}.weight"].numpy() for linear in self.linear]
        self.forms = forms or self._fastest_forms()
        _check_forms(self.forms, compressed=len(self.inputs["train"].starts) > 0)
        self.layers = tuple(
            make_layer(form, linear, kept)
            for form, linear, kept in zip(self.forms, self.linear, self.kept, strict=True)
        )
        self.network = make_network(self.layers)
        self.trained = self._trained(job.start)
        self.room = self._room()
        self.task = self._task()

        self.iteration = job.start_iteration
        self.epoch, self.order = -1, np.zeros(0, np.int64)
        self.loss_sum = 0.0
        self.curve: list[CurvePoint] = []
        self.kept_states: dict[str, State] = {}
        self.reason = ""
        self.seconds = 0.0
        self.clock = time.perf_counter()

    def _fastest_forms(self) -> list[int]:
        costs, train = machine_costs(), self.inputs["train"]
        size = min(self.job.config.batch_size, len(self.job.data.train))
        entries = len(train.codes) / len(train.targets) if len(train.starts) else None
        return [
            fastest_form(costs, kept, entries=None if number else entries, batch_size=size)
            for number, kept in enumerate(self.kept)
        ]

    def _trained(self, start: State) -> loop.Trained:
        parameters: list[Floats] = []
        for layer, linear, kept in zip(self.layers, self.linear, self.kept, strict=True):
            weights = start[f"{linear.name}.weight"].numpy().astype(self.dtype)
            parameters.append(pack(layer, np.where(kept, weights, self.dtype.type(0))))
            parameters.append(start[f"{linear.name}.bias"].numpy().astype(self.dtype))
        sizes = [array.size for array in parameters]
        return loop.Trained(
            parameters=stack(parameters),
            first=empty_stack(sizes, self.dtype),
            second=empty_stack(sizes, self.dtype),
        )

    def _room(self) -> loop.Room:
        size = min(self.job.config.batch_size, len(self.job.data.train))
        # Evaluation takes 64 at a time.
        blocks = max(1, -(-size // LANES))
        sizes = [int(length) for length in self.trained.parameters.lengths]
        return loop.Room(
            batch=make_batch(
                self.inputs.values(), size, compressed=self.layers[0].form == BACKGROUND
            ),
            outputs=self._activations(blocks),
            slopes=self._activations(blocks),
            gradients=empty_stack(sizes, self.dtype),
            scratch=aligned(max(sizes), self.dtype),
            panel=aligned((blocks * LANES, LANES), self.dtype),
            square=aligned((LANES, LANES), self.dtype),
        )

    def _activations(self, blocks: int) -> Stack:
        sizes = [blocks * linear.outputs * LANES for linear in self.linear]
        return empty_stack(sizes, self.dtype)

    def _task(self) -> loop.Task:
        return loop.Task(
            inputs=self.inputs["train"],
            batch_size=self.job.config.batch_size,
            loss=MSE if self.job.config.loss == "mse" else CROSS_ENTROPY,
            optimizer=optimizer_numbers(self.job.config.optimizer),
            dropout_key=self.job.streams.seed_of("dropout"),
            training=True,
        )

    def begin(self) -> None:
        """What is due before the first step."""
        self._after_steps()

    def advance(self, most: int) -> None:
        """Take some steps, ``most`` at most, and what is due after them."""
        epoch, position = divmod(self.iteration, self.steps_per_epoch)
        due = [
            self.total,
            (self.iteration // self.every + 1) * self.every,
            *(at for at in self.job.snapshots_at if at > self.iteration),
        ]
        steps = min(most, self.steps_per_epoch - position, min(due) - self.iteration)
        rates = [
            learning_rate(
                self.job.config.learning_rate,
                iteration,
                total=self.total,
                steps_per_epoch=self.steps_per_epoch,
            )
            for iteration in range(self.iteration, self.iteration + steps)
        ]
        self.loss_sum += loop.train(
            self.network,
            self.trained,
            self.task,
            self._order(epoch)[position * self.job.config.batch_size :],
            self.iteration,
            self.iteration - self.job.start_iteration,
            np.array(rates),
            self.room,
        )
        self.iteration += steps
        self._after_steps()

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if epoch != self.epoch:
            generator = self.job.streams.generator("order", epoch)
            self.epoch = epoch
            self.order = torch.randperm(len(self.job.data.train), generator=generator).numpy()
        return self.order

    def _after_steps(self) -> None:
        if self.iteration in self.job.snapshots_at:
            self.kept_states[f"snapshot-{self.iteration}"] = self.state()
        at_an_end = self.iteration in (self.job.start_iteration, self.total)
        if self.iteration % self.every == 0 or at_an_end:
            self._evaluate()

    def _evaluate(self) -> None:
        points = [
            CurvePoint(
                self.iteration,
                name,
                *loop.evaluate(
                    self.network,
                    self.trained.parameters,
                    self.task._replace(inputs=self.inputs[name], training=False),
                    np.arange(len(self.inputs[name].targets)),
                    self.room,
                ),
            )
            for name in _MEASURED
        ]
        if not all(map(math.isfinite, [self.loss_sum, *(point.loss for point in points)])):
            self.reason = f"the loss was not finite at iteration {self.iteration} or shortly before"
            return
        self.loss_sum = 0.0
        self.curve += points
        if early_stop_iteration(self.curve) == self.iteration:
            self.kept_states["early-stop"] = self.state()

    def state(self) -> dict[str, Tensor]:
        """The network's parameters, copied."""
        return self._tensors(self.trained.parameters)

    def _tensors(self, numbers: Stack) -> dict[str, Tensor]:
        """Arrays that lie as the parameters do, in the model's own names and shapes."""
        tensors, arrays = {}, arrays_of(numbers)
        for number, (layer, linear) in enumerate(zip(self.layers, self.linear, strict=True)):
            weights = unpack(layer, arrays[2 * number])
            tensors[f"{linear.name}.weight"] = torch.from_numpy(weights)
            tensors[f"{linear.name}.bias"] = torch.from_numpy(arrays[2 * number + 1].copy())
        return tensors

    def _fill(self, numbers: Stack, tensors: Mapping[str, Tensor]) -> None:
        """The opposite of `_tensors`, in place."""
        arrays = arrays_of(numbers)
        for number, (layer, linear) in enumerate(zip(self.layers, self.linear, strict=True)):
            arrays[2 * number][:] = pack(layer, tensors[f"{linear.name}.weight"].numpy())
            arrays[2 * number + 1][:] = tensors[f"{linear.name}.bias"].numpy()

    def result(self, engine: str) -> TrainingResult:
        """What the training gives back, at its end."""
        self._tick()
        diverged = bool(self.reason)
        return TrainingResult(
            status="diverged" if diverged else "done",
            reason=self.reason,
            curve=tuple(self.curve),
            final={} if diverged else self.state(),
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
        tensors = {
            f"{what}/{name}": tensor
            for what, arrays in self.trained._asdict().items()
            for name, tensor in self._tensors(arrays).items()
        }
        for label, state in self.kept_states.items():
            tensors |= {f"kept/{label}/{name}": value for name, value in state.items()}
        tensors["loss-sum"] = torch.tensor(self.loss_sum, dtype=torch.float64)
        values = {
            "curve": [[p.iteration, p.split, p.loss, p.accuracy] for p in self.curve],
            "reason": self.reason,
            "seconds": self.seconds,
            "forms": self.forms,
        }
        return Checkpoint(iteration=self.iteration, tensors=tensors, values=values)

    def restore(self, kept: Checkpoint) -> None:
        """Go on from a checkpoint as if nothing had happened."""
        self.iteration = kept.iteration
        for what, arrays in self.trained._asdict().items():
            self._fill(arrays, _below(f"{what}/", kept.tensors))
        self.kept_states = {}
        for key, value in _below("kept/", kept.tensors).items():
            label, _, name = key.partition("/")
            self.kept_states[label] = {**self.kept_states.get(label, {}), name: value}
        self.loss_sum = float(kept.tensors["loss-sum"])
        self.curve = [CurvePoint(*point) for point in kept.values["curve"]]
        self.reason = kept.values["reason"]
        self.seconds = kept.values["seconds"]
        self.clock = time.perf_counter()

    def _tick(self) -> None:
        now = time.perf_counter()
        self.seconds += now - self.clock
        self.clock = now


def _check_fits(job: TrainingJob, linear: Sequence[LinearLayer]) -> None:
    """Fail where compiled code, which checks no bounds, would read beyond an array's end.

    Also where it would train on other examples than it was asked to.
    """
    if job.data.augmentation.active:
        raise UsageError("the engine sparse_cpu does not augment data; use the engine torch")
    inputs, outputs = linear[0].inputs, linear[-1].outputs
    for name in _SPLITS:
        split = job.data.split(name)
        values, classes = split.inputs[0].numel(), int(split.targets.max()) + 1
        if values != inputs:
            raise UsageError(
                f"{name}: an example has {values} values, and the network {inputs} inputs"
            )
        if classes > outputs or int(split.targets.min()) < 0:
            raise UsageError(
                f"{name}: classes go from {int(split.targets.min())} to {classes - 1}, and the "
                f"network has {outputs} outputs"
            )
    for layer in linear:
        shapes = {"weight": (layer.outputs, layer.inputs), "bias": (layer.outputs,)}
        for part, shape in shapes.items():
            start = job.start.get(f"{layer.name}.{part}")
            if start is None or start.shape != shape:
                found = "is missing" if start is None else f"has shape {tuple(start.shape)}"
                raise UsageError(
                    f"'{layer.name}.{part}' {found} in the start; the network's has shape {shape}"
                )


def _check_forms(forms: Sequence[int], *, compressed: bool) -> None:
    """Fail where a checkpoint names forms that compiled code would read other memory by."""
    known = [DENSE, SPARSE, *([BACKGROUND] if compressed else [])]
    if forms[0] not in known or not set(forms[1:]) <= {DENSE, SPARSE}:
        raise UsageError(
            f"a checkpoint has layers in the forms {list(forms)}, which do not fit these data; "
            "delete it, and its training begins again"
        )


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The entries under a prefix, without it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
