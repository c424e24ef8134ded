"""Held weights against a network in which they are no parameters at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from lottery.data import steps_per_epoch
from lottery.errors import MaskError, UsageError
from lottery.testing.running import in_precision
from lottery.testing.samples import OPTIMIZERS, held_job
from lottery.training import NullMonitor, TrainingJob, make_engine
from lottery.training.engines.sparse_cpu import SparseCpuEngine
from lottery.training.engines.torch_engine import TorchEngine


def vector_training(job: TrainingJob) -> dict[str, Tensor]:
    """Train one vector of the kept weights and the biases; what is held is a constant."""
    assert job.pruned is not None
    free = {n: v.clone() for n, v in job.start.items() if n not in job.mask}
    free |= {n: job.start[n][kept].clone() for n, kept in job.mask.items()}
    parameters = {n: v.requires_grad_() for n, v in free.items()}
    config = job.config.optimizer
    optimizer = torch.optim.SGD(
        parameters.values(),
        lr=job.config.learning_rate.base,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
    )
    model = job.make_model().double()
    steps = steps_per_epoch(len(job.data.train), job.config.batch_size)

    def state() -> dict[str, Tensor]:
        assert job.pruned is not None
        found = dict(parameters)
        for name, kept in job.mask.items():
            whole = job.pruned[name].double().clone()
            found[name] = whole.masked_scatter(kept, parameters[name])
        return found

    for iteration in range(job.config.length.amount):
        epoch, batch = divmod(iteration, steps)
        order = torch.randperm(len(job.data.train), generator=job.streams.generator("order", epoch))
        chosen = order[batch * job.config.batch_size :][: job.config.batch_size]
        outputs = functional_call(model, state(), (job.data.train.inputs[chosen].double(),))
        loss = torch.nn.functional.cross_entropy(outputs, job.data.train.targets[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {name: value.detach() for name, value in state().items()}


@pytest.mark.parametrize(
    "name", ["SGD", "SGD with momentum", "SGD with Nesterov momentum and weight decay"]
)
def test_training_is_that_of_the_kept_weights_alone(name: str) -> None:
    job = in_precision(held_job(OPTIMIZERS[name]), torch.float64)

    (result,) = TorchEngine().train([job], [NullMonitor()])

    expected = vector_training(job)
    assert set(result.final) == set(expected)
    for weight, value in expected.items():
        torch.testing.assert_close(result.final[weight], value, rtol=1e-10, atol=1e-12)


def test_what_is_held_matters() -> None:
    job = held_job()
    held, zero = (
        TorchEngine().train([replace(job, pruned=pruned)], [NullMonitor()])[0]
        for pruned in (job.pruned, None)
    )
    assert held.curve != zero.curve


def test_values_that_do_not_fit_the_mask_are_refused() -> None:
    job = held_job()
    assert job.pruned is not None
    less = {n: v for n, v in job.pruned.items() if n != "fc1.weight"}
    for wrong in (less, {**job.pruned, "fc1.weight": torch.zeros(3)}):
        with pytest.raises(MaskError, match=r"fc1\.weight"):
            TorchEngine().train([replace(job, pruned=wrong)], [NullMonitor()])


def test_the_sparse_engine_leaves_such_jobs_to_torch() -> None:
    job, cpu = held_job(), torch.device("cpu")
    model = job.make_model()
    assert (
        make_engine("auto", cpu, model=model, config=job.config, needs=["holds_values"]).name
        == "torch"
    )
    with pytest.raises(UsageError, match=r"pruned weights are zero.*--engine auto"):
        make_engine("sparse_cpu", cpu, model=model, needs=["holds_values"])
    with pytest.raises(UsageError, match="use engine 'torch'"):
        SparseCpuEngine().train([job], [NullMonitor()])
