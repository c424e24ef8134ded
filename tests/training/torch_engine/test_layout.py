"""Channels last: really so in memory, and nothing but rounding comes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from lottery.errors import UsageError
from lottery.testing.expect import expect_close
from lottery.testing.running import in_precision, train, train_done
from lottery.testing.samples import OPTIMIZERS, tiny_config, tiny_dataset, tiny_job
from lottery.training import TrainingConfig
from lottery.training.engines.torch_engine import TorchEngine

SHAPE = (2, 5, 4)


class Convolutions(nn.Module):
    """Two of them; notes how what the second is given lies in memory."""

    def __init__(self, seen: list[bool]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(SHAPE[0], 3, 3)
        self.conv2 = nn.Conv2d(3, 4, 2)
        self.output = nn.Linear(4 * 2, 3)
        self.seen = seen

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = torch.relu(self.conv1(inputs))
        if self.training:
            for tensor in (inputs, hidden, self.conv1.weight):
                self.seen.append(tensor.is_contiguous(memory_format=torch.channels_last))
        outputs: Tensor = self.output(torch.relu(self.conv2(hidden)).flatten(1))
        return outputs


def config(*, channels_last: bool, optimizer: str = "Adam") -> TrainingConfig:
    return replace(tiny_config(OPTIMIZERS[optimizer]), channels_last=channels_last)


@pytest.mark.parametrize("optimizer", ["Adam", "SGD with Nesterov momentum and weight decay"])
def test_layouts_differ_by_rounding_alone(optimizer: str) -> None:
    data, results, layouts = tiny_dataset(input_shape=SHAPE), [], []
    for channels_last in (False, True):
        seen: list[bool] = []
        job = tiny_job(
            config(channels_last=channels_last, optimizer=optimizer),
            make_model=lambda seen=seen: Convolutions(seen),  # type: ignore[misc]
            data=data,
        )
        results.append(train_done(TorchEngine(), in_precision(job, torch.float64)))
        layouts.append(set(seen))

    assert layouts == [{False}, {True}]
    expect_close(results[1].final, results[0].final, 1e-12, "channels last")


def test_a_network_without_convolutions_is_refused() -> None:
    with pytest.raises(UsageError, match="channels_last is for convolutions over images"):
        train(TorchEngine(), tiny_job(config(channels_last=True)))


def test_it_is_refused_for_volumes() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv3d(1, 2, 3))
    reason = TorchEngine().refusal(model, config(channels_last=True))
    assert reason is not None
    assert "volumes" in reason
    assert TorchEngine().refusal(model, config(channels_last=False)) is None
