"""One training in progress: its state, in and out of checkpoints, and several steps at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lottery.core import Mask, prunable_weights
from lottery.data import SPLITS
from lottery.errors import UsageError
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
from lottery.training.engines.sparse_cpu.network import (
    LinearLayer,
    linear_layers,
    refused_setting,
)
from lottery.training.engines.sparse_cpu.optimizers import optimizer_numbers
from lottery.training.engines.sparse_cpu.ragged import (
    Ragged,
    aligned,
    arrays_of,
    empty_ragged,
    ragged,
)
from lottery.training.engines.sparse_cpu.vectors import LANES
from lottery.training.in_progress import InProgress
from lottery.training.interface import Checkpoint, State, TrainingJob
from lottery.training.progress import below


class Training(InProgress):
    """One training in progress.

    Args:
        job: what to train.
        forms: each layer's form, where a checkpoint says; otherwise the fastest are chosen.
    """

    def __init__(self, job: TrainingJob, forms: list[int] | None = None) -> None:
        super().__init__(job)
        refused = refused_setting(job.config)
        if refused is not None:
            raise UsageError(f"the engine sparse_cpu cannot train this: {refused}")
        with torch.random.fork_rng(devices=[]):
            model = job.make_model()
        self.linear = linear_layers(model)
        job.mask.check(prunable_weights(model))
        _check_fits(job, self.linear)
        dtype = job.start[f"{self.linear[0].name}.weight"].dtype
        self.dtype = np.dtype(np.float64 if dtype == torch.float64 else np.float32)
        self.inputs = make_inputs(job.data, torch.from_numpy(np.zeros(0, self.dtype)).dtype)
        names = [f"{linear.name}.weight" for linear in self.linear]
        left_out = Mask.dense({name: job.start[name] for name in names if name not in job.mask})
        self.kept = [({**left_out, **job.mask})[name].numpy() for name in names]
        self.forms = forms or self._fastest_forms()
        _check_forms(self.forms, compressed=len(self.inputs["train"].starts) > 0)
        self.layers = tuple(
            make_layer(form, linear, kept)
            for form, linear, kept in zip(self.forms, self.linear, self.kept, strict=True)
        )
        self.network = make_network(self.layers)
        self.trained = self._trained(job.start)
        self.workspace = self._workspace()
        self.task = self._task()

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
            parameters=ragged(parameters),
            first=empty_ragged(sizes, self.dtype),
            second=empty_ragged(sizes, self.dtype),
        )

    def _workspace(self) -> loop.Workspace:
        size = min(self.job.config.batch_size, len(self.job.data.train))
        # Evaluation takes 64 at a time.
        blocks = max(1, -(-size // LANES))
        sizes = [int(length) for length in self.trained.parameters.lengths]
        return loop.Workspace(
            batch=make_batch(
                self.inputs.values(), size, compressed=self.layers[0].form == BACKGROUND
            ),
            outputs=self._activations(blocks),
            grad_outputs=self._activations(blocks),
            gradients=empty_ragged(sizes, self.dtype),
            scratch=aligned(max(sizes), self.dtype),
            panel=aligned((blocks * LANES, LANES), self.dtype),
            square=aligned((LANES, LANES), self.dtype),
        )

    def _activations(self, blocks: int) -> Ragged:
        sizes = [blocks * linear.outputs * LANES for linear in self.linear]
        return empty_ragged(sizes, self.dtype)

    def _task(self) -> loop.Task:
        return loop.Task(
            inputs=self.inputs["train"],
            batch_size=self.job.config.batch_size,
            loss=MSE if self.job.config.loss == "mse" else CROSS_ENTROPY,
            optimizer=optimizer_numbers(self.job.config.optimizer),
            dropout_key=self.job.streams.seed_of("dropout"),
            training=True,
        )

    def advance(self, most: int) -> None:
        """Take some steps, at most ``most``, and do what is due after them."""
        now = self.progress.iteration
        left = self.progress.steps_per_epoch - now % self.progress.steps_per_epoch
        due = [
            self.progress.total,
            (now // self.progress.every + 1) * self.progress.every,
            *(at for at in self.progress.stops if at > now),
        ]
        steps = min(most, left, min(due) - now)
        rates = [self.progress.rate(iteration) for iteration in range(now, now + steps)]
        self.loss_sum += loop.train(
            self.network,
            self.trained,
            self.task,
            self.rest_of_epoch().numpy(),
            now,
            now - self.job.start_iteration,
            np.array(rates),
            self.workspace,
        )
        self.progress.iteration += steps
        self._after_steps()

    def _measure(self, split: Literal["validation", "test"]) -> tuple[float, float]:
        return loop.evaluate(
            self.network,
            self.trained.parameters,
            self.task._replace(inputs=self.inputs[split], training=False),
            np.arange(len(self.inputs[split].targets)),
            self.workspace,
        )

    def _state(self) -> State:
        return self._tensors(self.trained.parameters)

    def _tensors(self, numbers: Ragged) -> dict[str, Tensor]:
        """Arrays that lie as the parameters do, in the model's own names and shapes."""
        tensors, arrays = {}, arrays_of(numbers)
        for number, (layer, linear) in enumerate(zip(self.layers, self.linear, strict=True)):
            weights = unpack(layer, arrays[2 * number])
            tensors[f"{linear.name}.weight"] = torch.from_numpy(weights)
            tensors[f"{linear.name}.bias"] = torch.from_numpy(arrays[2 * number + 1].copy())
        return tensors

    def _fill(self, numbers: Ragged, tensors: Mapping[str, Tensor]) -> None:
        """The opposite of `_tensors`, in place."""
        arrays = arrays_of(numbers)
        for number, (layer, linear) in enumerate(zip(self.layers, self.linear, strict=True)):
            arrays[2 * number][:] = pack(layer, tensors[f"{linear.name}.weight"].numpy())
            arrays[2 * number + 1][:] = tensors[f"{linear.name}.bias"].numpy()

    def checkpoint(self) -> Checkpoint:
        """All of this training's state, copied."""
        tensors = {
            f"{what}/{name}": tensor
            for what, arrays in self.trained._asdict().items()
            for name, tensor in self._tensors(arrays).items()
        }
        tensors["loss-sum"] = torch.tensor(self.loss_sum, dtype=torch.float64)
        return self.progress.checkpoint(tensors, {"forms": self.forms})

    def restore(self, kept: Checkpoint) -> None:
        """Resume from a checkpoint, with the same results as without the interruption."""
        self.progress.restore(kept)
        for what, arrays in self.trained._asdict().items():
            self._fill(arrays, below(f"{what}/", kept.tensors))
        self.loss_sum = float(kept.tensors["loss-sum"])


def _check_fits(job: TrainingJob, linear: Sequence[LinearLayer]) -> None:
    """Fail where compiled code, which checks no bounds, would read beyond an array's end.

    Also where it would train on other examples than it was asked to.
    """
    if job.data.augmentation.active:
        raise UsageError("the engine sparse_cpu does not augment data; use the engine torch")
    inputs, outputs = linear[0].inputs, linear[-1].outputs
    for name in SPLITS:
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
