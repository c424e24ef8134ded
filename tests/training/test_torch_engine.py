"""The torch engine: the conformance suite, and its arithmetic against numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from lottery.core import Mask
from lottery.data import Dataset
from lottery.errors import MaskError, UsageError
from lottery.rng import Streams
from lottery.testing import ENGINE_CHECKS, ENGINE_CHECKS_ANY_MODEL, EngineCheck, tiny_job
from lottery.testing.samples import OPTIMIZERS, tiny_config
from lottery.training import (
    ENGINES,
    NullMonitor,
    OptimizerConfig,
    TrainingJob,
    TrainingResult,
    make_engine,
    resolve_device,
)
from lottery.training.engines.torch_engine import TorchEngine

Array = npt.NDArray[np.float64]
Weights = dict[str, Array]

LAYERS = ("fc1", "fc2", "output")


@pytest.mark.parametrize(
    "check", ENGINE_CHECKS + ENGINE_CHECKS_ANY_MODEL, ids=lambda check: check.__name__
)
def test_conformance(check: EngineCheck) -> None:
    check(TorchEngine("cpu"))


def train(job: TrainingJob) -> TrainingResult:
    (result,) = TorchEngine().train([job], [NullMonitor()])
    return result


def gradients(weights: Weights, x: Array, targets: npt.NDArray[np.int64]) -> Weights:
    """Backpropagation of the mean cross-entropy through three layers, written out."""
    inputs, found = [x], {}
    for layer in LAYERS:
        z = inputs[-1] @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"]
        inputs.append(z if layer == "output" else np.maximum(z, 0))
    logits = inputs.pop()
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    delta = shares / shares.sum(axis=1, keepdims=True)
    delta[np.arange(len(targets)), targets] -= 1
    delta /= len(targets)
    for number in (2, 1, 0):
        layer = LAYERS[number]
        found[f"{layer}.weight"] = delta.T @ inputs[number]
        found[f"{layer}.bias"] = delta.sum(axis=0)
        delta = (delta @ weights[f"{layer}.weight"]) * (inputs[number] > 0)
    return found


def decays(config: OptimizerConfig, weight: Array) -> float:
    """How strongly a parameter decays."""
    return config.weight_decay if config.decay == "all" or weight.ndim >= 2 else 0.0


class Adam:
    """Kingma & Ba 2015, algorithm 1, with an L2 penalty or with decoupled weight decay."""

    def __init__(self, config: OptimizerConfig) -> None:
        self.config, self.steps = config, 0
        self.m: Weights = {}
        self.v: Weights = {}

    def step(self, name: str, weight: Array, gradient: Array, rate: float) -> Array:
        c, t = self.config, self.steps
        decay = decays(c, weight)
        if c.name == "adamw":
            weight = weight * (1 - rate * decay)
        else:
            gradient = gradient + decay * weight
        self.m[name] = c.beta1 * self.m.get(name, 0.0) + (1 - c.beta1) * gradient
        self.v[name] = c.beta2 * self.v.get(name, 0.0) + (1 - c.beta2) * gradient**2
        m, v = self.m[name] / (1 - c.beta1**t), self.v[name] / (1 - c.beta2**t)
        return weight - rate * m / (np.sqrt(v) + c.epsilon)


class Sgd:
    """Momentum without dampening, in Nesterov's form if asked, with an L2 penalty."""

    def __init__(self, config: OptimizerConfig) -> None:
        self.config, self.steps = config, 0
        self.velocity: Weights = {}

    def step(self, name: str, weight: Array, gradient: Array, rate: float) -> Array:
        c = self.config
        gradient = gradient + decays(c, weight) * weight
        self.velocity[name] = c.momentum * self.velocity.get(name, 0.0) + gradient
        ahead = gradient + c.momentum * self.velocity[name]
        return weight - rate * (ahead if c.nesterov else self.velocity[name])


def by_hand(job: TrainingJob, iterations: int) -> list[Weights]:
    """The weights at every iteration, from the formulas alone."""
    kept = {name: job.mask[name].numpy() for name in job.mask}
    weights = {n: v.double().numpy() * kept.get(n, True) for n, v in job.start.items()}
    config = job.config
    optimizer = (Sgd if config.optimizer.name == "sgd" else Adam)(config.optimizer)
    inputs = job.data.train.inputs.double().flatten(1).numpy()
    targets = job.data.train.targets.numpy()
    batches: list[npt.NDArray[np.int64]] = []
    trajectory = [weights]
    for iteration in range(iterations):
        if not batches:
            epoch = iteration // -(-len(inputs) // config.batch_size)
            generator = torch.Generator().manual_seed(job.streams.seed_of("order", epoch))
            order = torch.randperm(len(inputs), generator=generator).numpy()
            cuts = range(config.batch_size, len(inputs), config.batch_size)
            batches = np.split(order, list(cuts))
        chosen = batches.pop(0)
        optimizer.steps += 1
        found = gradients(weights, inputs[chosen], targets[chosen])
        weights = {
            name: optimizer.step(
                name, weight, found[name] * kept.get(name, True), config.learning_rate.base
            )
            * kept.get(name, True)
            for name, weight in weights.items()
        }
        trajectory.append(weights)
    return trajectory


MORE_OPTIMIZERS = {
    "AdamW": OptimizerConfig(name="adamw"),
    "AdamW with weight decay": OptimizerConfig(name="adamw", weight_decay=0.5),
    "AdamW, weights alone": OptimizerConfig(name="adamw", weight_decay=0.5, decay="weights"),
    "Adam, weights alone": OptimizerConfig(weight_decay=0.01, decay="weights"),
    "SGD, weights alone": OptimizerConfig(
        name="sgd", momentum=0.9, weight_decay=0.1, decay="weights"
    ),
}
ALL_OPTIMIZERS = {**OPTIMIZERS, **MORE_OPTIMIZERS}


@pytest.mark.parametrize("optimizer", ALL_OPTIMIZERS.values(), ids=list(ALL_OPTIMIZERS))
def test_trajectory_is_that_of_the_formulas(optimizer: OptimizerConfig) -> None:
    job = tiny_job(tiny_config(optimizer, length=30), snapshots_at=tuple(range(31)))
    start = {name: value.double() for name, value in job.start.items()}

    result = train(replace(job, start=start))

    for iteration, expected in enumerate(by_hand(job, 30)):
        got = {name: value.numpy() for name, value in result.snapshots[iteration].items()}
        for name, value in expected.items():
            np.testing.assert_allclose(
                got[name], value, rtol=0, atol=1e-10, err_msg=f"{name} at iteration {iteration}"
            )


class Watched(nn.Module):
    """Notes which examples it is trained on: input 0 of each is its number."""

    def __init__(self, seen: list[list[int]]) -> None:
        super().__init__()
        self.output = nn.Linear(12, 3)
        self.seen = seen

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.seen.append(inputs.flatten(1)[:, 0].int().tolist())
        logits: torch.Tensor = self.output(inputs.flatten(1))
        return logits


def numbered(data: Dataset) -> Dataset:
    inputs = data.train.inputs.clone()
    inputs.flatten(1)[:, 0] = torch.arange(len(inputs))
    return replace(data, train=replace(data.train, inputs=inputs))


@pytest.mark.parametrize("start_iteration", [0, 2, 5])
def test_batches_are_the_streams_permutations(start_iteration: int) -> None:
    seen: list[list[int]] = []
    job = tiny_job(
        tiny_config(OPTIMIZERS["SGD"], base=1e-4),
        make_model=lambda: Watched(seen),
        start_iteration=start_iteration,
    )

    train(replace(job, data=numbered(job.data)))

    expected: list[list[int]] = []
    for epoch in range(3):
        generator = Streams(0, 0).generator("order", epoch)
        order = torch.randperm(27, generator=generator).tolist()
        assert sorted(order) == list(range(27))
        expected += [order[:8], order[8:16], order[16:24], order[24:]]
    assert seen == expected[start_iteration:]


def test_a_mask_for_another_network_is_refused() -> None:
    job = tiny_job()

    with pytest.raises(MaskError, match=r"'fc1.weight' is missing from the mask"):
        train(replace(job, mask=Mask({n: job.mask[n] for n in ("fc2.weight", "output.weight")})))


@pytest.mark.parametrize("start_iteration", [-1, 13])
def test_a_start_outside_the_training_is_refused(start_iteration: int) -> None:
    with pytest.raises(UsageError, match="the training has 12"):
        train(tiny_job(start_iteration=start_iteration))


class Idle(nn.Module):
    """Has a layer that no input passes."""

    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Linear(12, 3)
        self.idle = nn.Linear(2, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.output(inputs.flatten(1))
        return logits


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_a_layer_outside_the_loss_has_a_gradient_of_zero(decay: float) -> None:
    sgd = OptimizerConfig(name="sgd", momentum=0.9, weight_decay=decay)
    job = tiny_job(tiny_config(sgd, base=0.1, length=1), make_model=Idle)
    end = train(job).final["idle.weight"]
    start = job.mask.apply(job.start)["idle.weight"]
    torch.testing.assert_close(end, start * (1 - 0.1 * decay))


def test_engines_and_devices_by_name() -> None:
    cpu = torch.device("cpu")

    assert make_engine("torch", cpu).name == "torch"
    assert make_engine("auto", cpu).name in ENGINES
    assert resolve_device("cpu") == cpu
    assert resolve_device("auto").type in {"cpu", "cuda", "mps"}
    with pytest.raises(UsageError, match="did you mean 'torch'"):
        make_engine("troch", cpu)
    with pytest.raises(UsageError, match="unknown device 'tpu'"):
        resolve_device("tpu")


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    with pytest.raises(UsageError, match=r"'cuda' is not available here; available: .*cpu"):
        resolve_device("cuda")
