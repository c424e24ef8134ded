"""A tiny experiment for tests, and what two runs of it are compared by."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lottery.data import DataConfig
from lottery.experiments import ExperimentConfig
from lottery.methods import ControlsConfig
from lottery.tickets import PruneConfig
from lottery.training import LearningRateConfig, Length, TrainingConfig


def tiny(**changes: Any) -> ExperimentConfig:
    """Two replicates, two levels, all three controls; well under a second per training."""
    config = ExperimentConfig(
        name="tiny",
        replicates=2,
        levels=2,
        model="mlp-20",
        data=DataConfig(name="mnist-5k", validation=500),
        training=TrainingConfig(
            length=Length(amount=30),
            batch_size=60,
            evaluate_every=Length(amount=10),
            learning_rate=LearningRateConfig(base=3e-3),
        ),
        prune=PruneConfig(fraction=0.5, fractions={"output.weight": 0.25}),
        controls=ControlsConfig(reinit=1, random_mask=1, continued=True),
    )
    return replace(config, **changes)


class NormalizedConvolutions(nn.Sequential):
    """Two convolutions with batch normalization and an output layer, named after what they are."""

    def __init__(self, input_shape: Sequence[int], classes: int) -> None:
        channels, height, width = input_shape
        conv1, conv2 = nn.Conv2d(channels, 6, 5, stride=4), nn.Conv2d(6, 8, 3, stride=2)
        size = conv2(conv1(torch.zeros(1, channels, height, width))).numel()
        layers: list[tuple[str, nn.Module]] = [
            ("conv1", conv1),
            ("norm1", nn.BatchNorm2d(6)),
            ("relu1", nn.ReLU()),
            ("conv2", conv2),
            ("norm2", nn.BatchNorm2d(8)),
            ("relu2", nn.ReLU()),
            ("flat", nn.Flatten()),
            ("output", nn.Linear(size, classes)),
        ]
        super().__init__(OrderedDict(layers))


def contents(run: Path) -> dict[str, bytes]:
    """Every committed file of a run, without what measures time.

    ``seconds`` in result.json is a measurement, and so is ``ticket_seconds`` in manifest.json,
    which holds that file's hash.
    """
    found = {}
    for path in sorted(run.glob("replicate-*/**/*")):
        if path.is_dir():
            continue
        content = path.read_bytes()
        if path.name == "result.json":
            content = json.dumps({**json.loads(content), "seconds": 0}).encode()
        if path.name == "manifest.json":
            manifest = json.loads(content)
            manifest["files"].pop("result.json", None)  # a look has none
            manifest.get("about", {}).pop("ticket_seconds", None)
            content = json.dumps(manifest).encode()
        found[str(path.relative_to(run))] = content
    return found
