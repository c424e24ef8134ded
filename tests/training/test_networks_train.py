"""Every kind of network is trained under a mask like any other."""

from __future__ import annotations

import pytest
import torch

from lottery.models import build_model
from lottery.testing import tiny_dataset
from lottery.testing.running import train_done
from lottery.testing.samples import tiny_config, tiny_job
from lottery.training import OptimizerConfig, make_engine


@pytest.mark.parametrize(
    "name",
    ["conv-2-dropout0.5", "resnet-8", "wrn-10-1", "vit-mini-4"],
)
def test_pruned_weights_stay_at_zero_and_the_rest_learns(name: str) -> None:
    data = tiny_dataset(input_shape=(3, 8, 8))
    optimizer = OptimizerConfig(name="sgd", momentum=0.9, weight_decay=1e-4)
    job = tiny_job(
        tiny_config(optimizer, base=0.01, length=5),
        make_model=lambda: build_model(name, data.input_shape, data.classes),
        data=data,
        density=0.3,
    )
    engine = make_engine("auto", torch.device("cpu"), model=job.make_model(), config=job.config)

    result = train_done(engine, job)

    assert engine.name == "torch"
    for layer in job.mask:
        kept, final = job.mask[layer], result.final[layer]
        assert not final[~kept].any(), layer
        assert (final[kept] != job.start[layer][kept]).float().mean() > 0.5, layer
