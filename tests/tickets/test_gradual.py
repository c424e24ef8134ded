"""What gradual pruning takes away by a level is what pruning level by level does."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lottery.core import Mask
from lottery.rng import Streams
from lottery.tickets import PruneConfig, going_by_level, level_densities, prune_mask

SHAPES = {"a.weight": (20, 11), "b.weight": (7, 20), "output.weight": (3, 7)}
WEIGHTS = {
    name: torch.randn(shape, generator=torch.Generator().manual_seed(len(name)))
    for name, shape in SHAPES.items()
}


@pytest.mark.parametrize(
    "settings",
    [
        {"scope": "layer", "fractions": {"output.*": 0.15}},
        {"scope": "layer", "fractions": {"output.*": 0.0}},
        {"scope": "global", "fractions": {"output.*": 0.15}},
        {"scope": "global", "fractions": {"b.*": 0.0}},
        {"scope": "uniform"},
        {"scope": "erk"},
        {"scope": "erk", "schedule": "listed", "densities": (0.5, 0.21, 0.1)},
        {"scope": "global", "schedule": "linear", "final_density": 0.07},
    ],
    ids=str,
)
def test_the_counts_are_those_of_tickets(settings: dict[str, Any]) -> None:
    config = PruneConfig(**{"fraction": 0.3} | settings)
    dense = Mask.dense(WEIGHTS)
    densities = level_densities(config, dense, 3)
    mask = dense
    for level in (1, 2, 3):
        mask = prune_mask(
            config,
            level,
            mask,
            trained=WEIGHTS,
            initial=WEIGHTS,
            streams=Streams(0, 0),
            levels=3,
        )
        groups = going_by_level(config, level, dense, levels=3)
        assert sorted(n for group in groups for n in group.layers) == sorted(SHAPES)
        for group in groups:
            kept = sum(mask.layers[name][0] for name in group.layers)
            total = sum(dense.layers[name][1] for name in group.layers)
            assert total - group.remove == kept
        assert 1 - sum(g.remove for g in groups) / dense.total == pytest.approx(densities[level])
