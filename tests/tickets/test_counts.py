"""Counts from the dense network in one go are those of pruning level by level."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lottery.core import Mask, Units, make_units, unit_counts
from lottery.errors import UsageError
from lottery.rng import Streams
from lottery.tickets import PruneConfig, groups_from_dense, level_densities, prune_mask

SHAPES = {"a.weight": (20, 11), "b.weight": (7, 20), "output.weight": (3, 7)}
WEIGHTS = {
    name: torch.randn(shape, generator=torch.Generator().manual_seed(len(name)))
    for name, shape in SHAPES.items()
}
# Many ties, and whole rows of them.
COARSE = {name: (weight * 2).round() / 2 for name, weight in WEIGHTS.items()}

SETTINGS: list[dict[str, Any]] = [
    {"scope": "layer", "fractions": {"output.*": 0.15}},
    {"scope": "layer", "fractions": {"output.*": 0.0}},
    {"scope": "global", "fractions": {"output.*": 0.15}},
    {"scope": "global", "fractions": {"b.*": 0.0}},
    {"scope": "lamp"},
    {"scope": "uniform"},
    {"scope": "erk"},
    {"scope": "erk", "schedule": "listed", "densities": (0.5, 0.21, 0.1)},
    {"scope": "global", "schedule": "linear", "final_density": 0.07},
    {"scope": "layer", "granularity": "neuron", "fractions": {"output.*": 0.0}},
    {"scope": "global", "granularity": "neuron", "fractions": {"output.*": 0.15}},
    {"scope": "uniform", "granularity": "block-2x3"},
    {
        "scope": "global",
        "granularity": "block-2x3",
        "schedule": "listed",
        "densities": (0.6, 0.3, 0.2),
    },
]


def units_of(config: PruneConfig) -> Units | None:
    return make_units(config.granularity, SHAPES)


def level_by_level(config: PruneConfig, weights: dict[str, Tensor]) -> list[Mask]:
    """Levels 0 to 3, each pruned from the one before by the same weights."""
    masks = [Mask.dense(weights)]
    for level in (1, 2, 3):
        masks.append(
            prune_mask(
                config,
                level,
                masks[-1],
                trained=weights,
                initial=weights,
                streams=Streams(0, 0),
                levels=3,
                units=units_of(config),
            )
        )
    return masks


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_counts_are_those_of_tickets(settings: dict[str, Any]) -> None:
    config = PruneConfig(**{"fraction": 0.3} | settings)
    assert config.problems() == []
    dense, *pruned = level_by_level(config, WEIGHTS)
    units = units_of(config)
    totals = unit_counts(dense, units)
    densities = level_densities(config, dense, 3, units)
    for level, mask in enumerate(pruned, start=1):
        left = unit_counts(mask, units)
        groups = groups_from_dense(config, level, dense, levels=3, units=units)
        assert sorted(n for group in groups for n in group.layers) == sorted(totals)
        for group in groups:
            kept = sum(left[name] for name in group.layers)
            assert sum(totals[name] for name in group.layers) - group.remove == kept
        gone = sum(group.remove for group in groups)
        assert 1 - gone / sum(totals.values()) == pytest.approx(densities[level])


# What can be one-shot: the densities of a fraction, or those listed.
ONE_SHOT = [settings for settings in SETTINGS if settings.get("schedule") != "linear"]


@pytest.mark.parametrize("weights", [WEIGHTS, COARSE], ids=["fine", "ties"])
@pytest.mark.parametrize("rounds", [1, 3])
@pytest.mark.parametrize("settings", ONE_SHOT, ids=str)
def test_with_fixed_scores_one_shot_masks_are_those_of_pruning_level_by_level(
    settings: dict[str, Any], rounds: int, weights: dict[str, Tensor]
) -> None:
    settings = {"fraction": 0.3, "rounds": rounds} | settings
    config = PruneConfig(**settings | {"schedule": "one-shot"})
    assert config.problems() == []
    dense, *expected = level_by_level(PruneConfig(**settings), weights)
    for level, mask in enumerate(expected, start=1):
        assert mask == prune_mask(
            config,
            level,
            dense,
            trained=weights,
            initial=weights,
            streams=Streams(0, 0),
            units=units_of(config),
        )


def test_two_of_four_is_reached_from_the_dense_network() -> None:
    config = PruneConfig(granularity="2:4", schedule="one-shot", fractions={"output.*": 0.0})
    shapes = {"a.weight": (6, 8), "output.weight": (3, 8)}
    weights = {name: torch.ones(shape) for name, shape in shapes.items()}
    dense, units = Mask.dense(weights), make_units("2:4", shapes)
    groups = groups_from_dense(config, 1, dense, units=units)
    assert [(group.layers, group.remove) for group in groups] == [(("a.weight",), 24)]
    assert level_densities(config, dense, 1, units) == pytest.approx([1.0, 48 / 72])


@pytest.mark.parametrize("scope", ["layer", "global", "erk"])
def test_a_mask_of_nothing_is_refused_in_words(scope: str) -> None:
    config, nothing = PruneConfig(scope=scope), Mask({})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"nothing to prune.*outside_mask"):
        level_densities(config, nothing, 2)
    with pytest.raises(UsageError, match="nothing to prune"):
        groups_from_dense(config, 1, nothing)
    with pytest.raises(UsageError, match="nothing to prune"):
        prune_mask(config, 1, nothing, trained={}, initial={}, streams=Streams(0, 0))
