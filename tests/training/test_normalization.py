"""Recalibrated statistics against a pass written out, and all that they leave alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from lottery.errors import UsageError
from lottery.testing.expect import expect_same_state, same_bytes
from lottery.testing.running import in_precision, train, train_done
from lottery.testing.samples import OPTIMIZERS, convolutional, tiny_config, tiny_job
from lottery.training import TrainingJob, TrainingResult, recalibrate_batch_norm
from lottery.training.engines.torch_engine import TorchEngine


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, 3),
        nn.BatchNorm1d(3, momentum=0.3), nn.BatchNorm1d(3, track_running_stats=False),
    ).double()  # fmt: skip


def batches(*sizes: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(size, 4, generator=generator, dtype=torch.float64) for size in sizes]


def by_hand(model: nn.Sequential, given: list[Tensor]) -> list[Tensor]:
    """Both layers' means and variances, batch for batch, each batch counted alike."""
    (one, norm, two) = (model.get_submodule(name) for name in ("0", "1", "4"))
    assert isinstance(one, nn.Linear)
    assert isinstance(norm, nn.BatchNorm1d)
    assert isinstance(two, nn.Linear)
    sums = [torch.zeros(n, dtype=torch.float64) for n in (5, 5, 3, 3)]
    for batch in given:
        x = batch @ one.weight.T + one.bias
        mean, deviations = x.mean(dim=0), x - x.mean(dim=0)
        n = len(batch)
        squares = (deviations**2).sum(dim=0)
        normal = deviations / (squares / n + norm.eps).sqrt() * norm.weight + norm.bias
        y = normal.tanh() @ two.weight.T + two.bias
        found = (mean, squares / (n - 1), y.mean(0), ((y - y.mean(0)) ** 2).sum(0) / (n - 1))
        sums = [total + value / len(given) for total, value in zip(sums, found, strict=True)]
    return [total.detach() for total in sums]


@pytest.mark.parametrize("sizes", [(6,), (6, 6, 6), (6, 2)])
def test_statistics_are_those_of_a_pass_written_out(sizes: tuple[int, ...]) -> None:
    model, given = network(), batches(*sizes)

    recalibrate_batch_norm(model, given)

    buffers = dict(model.named_buffers())
    names = ("1.running_mean", "1.running_var", "5.running_mean", "5.running_var")
    for name, expected in zip(names, by_hand(model, given), strict=True):
        torch.testing.assert_close(buffers[name], expected, rtol=1e-12, atol=1e-12)


def attributes(model: nn.Module) -> list[tuple[bool, float | None]]:
    return [(module.training, getattr(module, "momentum", None)) for module in model.modules()]


def test_all_else_is_left_alone() -> None:
    model = network()
    model(batches(6)[0])
    model[3].eval()
    before, state = attributes(model), {n: v.clone() for n, v in model.state_dict().items()}
    torch.manual_seed(0)
    randomness = torch.get_rng_state()

    recalibrate_batch_norm(model, batches(6, 6))

    assert attributes(model) == before
    assert torch.equal(torch.get_rng_state(), randomness)
    changed = {n for n, v in model.state_dict().items() if not same_bytes(v, state[n])}
    assert changed == {f"{n}.running_{what}" for n in (1, 5) for what in ("mean", "var")}


def test_a_pass_that_fails_leaves_the_modules_as_they_were() -> None:
    model = network()
    before = attributes(model)

    def failing() -> Iterator[Tensor]:
        yield batches(6)[0]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        recalibrate_batch_norm(model, failing())
    assert attributes(model) == before


def test_no_batch_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected one batch or more"):
        recalibrate_batch_norm(network(), [])


# In training


def trained(examples: int, *, length: int = 12) -> tuple[TrainingJob, TrainingResult]:
    config = tiny_config(OPTIMIZERS["SGD with momentum"], length=length)
    config = replace(config, recalibrate_batch_norm=examples)
    job = tiny_job(config, make_model=convolutional, snapshots_at=(0, 6, 12))
    job = in_precision(job, torch.float64)
    return job, train_done(TorchEngine(), job)


@pytest.mark.parametrize(("examples", "used"), [(1, 1), (5, 5), (20, 16), (27, 24), (99, 24)])
def test_the_state_at_the_end_holds_those_of_a_fixed_choice(examples: int, used: int) -> None:
    job, result = trained(examples)
    order = torch.randperm(27, generator=job.streams.generator("recalibration"))
    model = convolutional().double()
    model.load_state_dict(dict(result.final))
    expected = []
    for chosen in order[:used].split(min(examples, 8)):
        x = model[0](job.data.train.inputs[chosen].double())
        n = x.numel() // 4
        expected.append((x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), correction=0) * n / (n - 1)))

    means, variances = (torch.stack(values).mean(dim=0) for values in zip(*expected, strict=True))
    torch.testing.assert_close(result.final["1.running_mean"], means.detach())
    torch.testing.assert_close(result.final["1.running_var"], variances.detach())


def test_training_goes_by_its_own_statistics() -> None:
    (_, plain), (_, recalibrated) = trained(0), trained(20)

    for at in (0, 6, 12):
        expect_same_state(recalibrated.snapshots[at], plain.snapshots[at], f"iteration {at}")
    differing = {n for n, v in plain.final.items() if not same_bytes(v, recalibrated.final[n])}
    assert differing == {"1.running_mean", "1.running_var"}
    measured = [
        {point.iteration for point in one.curve if point not in other.curve}
        for one, other in ((plain, recalibrated), (recalibrated, plain))
    ]
    assert measured == [{0, 12}, {0, 12}]


def test_a_network_without_batch_normalization_is_refused() -> None:
    config = replace(tiny_config(), recalibrate_batch_norm=8)

    with pytest.raises(UsageError, match="recalibrate_batch_norm is for running statistics"):
        train(TorchEngine(), tiny_job(config))
