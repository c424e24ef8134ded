"""Layers with a fraction of their own, where what goes as one lies in several layers."""

from __future__ import annotations

import re
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import pytest
import torch
from channels import IMAGES, drawn, gone_from, pruned, rows, traced, writes
from torch import nn

from lottery.core import Mask, Units, prunable_weights, unit_counts
from lottery.errors import UsageError
from lottery.models import build_model
from lottery.tickets import PruneConfig, level_densities, network_units

RESNET_RECIPES = {"*.shortcut.*": 0.0, "output.weight": 0.0}


def by_magnitude(**changes: Any) -> PruneConfig:
    values: dict[str, Any] = {"granularity": "channel", "scope": "global", "fraction": 0.5}
    config = PruneConfig(**(values | changes))
    assert config.problems() == []
    return config


def units_of(config: PruneConfig, model: nn.Module) -> Units:
    if config.granularity == "channel":
        pytest.importorskip("torch_pruning", reason="the package torch-pruning is not installed")
    units = network_units(config, model, IMAGES)
    assert units is not None
    return units


def small(model: nn.Module, pattern: str) -> nn.Module:
    """With next to nothing in the layers that match, so that all would take them first."""
    with torch.no_grad():
        for name, weight in prunable_weights(model).items():
            if fnmatchcase(name, pattern):
                weight.mul_(1e-6)
    return model


def resnet() -> nn.Module:
    model = drawn(build_model("resnet-8", IMAGES, 10))
    return small(small(model, "stage[23].*"), "output.*")


@pytest.mark.parametrize("criterion", ["magnitude", "bn-scale"])
@pytest.mark.parametrize("scope", ["global", "layer", "uniform"])
def test_an_exempt_layer_keeps_all_its_outputs(criterion: str, scope: str) -> None:
    """The streams of the stages 2 and 3 are written by shortcuts, and by other layers before."""
    model = resnet()
    config = by_magnitude(criterion=criterion, scope=scope, fraction=0.9, fractions=RESNET_RECIPES)
    channels, units = traced(model), units_of(config, model)

    mask = pruned(model, config, units)

    spared = [c for c in channels if any("shortcut" in name for name, _ in writes(c, model))]
    assert len(spared) == 32 + 64
    gone = gone_from(mask, channels, model)
    assert gone
    assert gone.isdisjoint(spared)
    for name in ("stage2.0.shortcut.conv.weight", "stage3.0.shortcut.conv.weight"):
        assert len(rows(mask, name)) == mask[name].shape[0]
    # What reads a channel goes with it, also in an exempt layer: those of stage 1 have gone.
    assert bool(mask["output.weight"].all())
    assert not mask["stage2.0.shortcut.conv.weight"].all()
    # Counts are those of what competes, and densities count all units there are.
    assert len(gone) == round(0.9 * (len(channels) - len(spared)))
    share = sum(unit_counts(mask, units).values()) / len(channels)
    assert [1.0, share] == level_densities(config, Mask.dense(prunable_weights(model)), 1, units)


def test_a_layer_that_writes_no_channel_exempts_none() -> None:
    """The outputs of the output layer cannot go anyway; what it reads can."""
    model = resnet()
    config = by_magnitude()
    exempting = by_magnitude(fractions={"output.weight": 0.0})
    masks = [pruned(model, c, units_of(c, model)) for c in (config, exempting)]

    assert masks[0] == masks[1]
    assert not masks[0]["output.weight"].all()


def test_all_densities_count_exempt_channels() -> None:
    model = resnet()
    config = by_magnitude(
        fractions=RESNET_RECIPES, fraction=0.2, schedule="listed", densities=(0.7, 0.6)
    )
    units = units_of(config, model)
    mask = pruned(model, config, units)

    assert units.count == 224
    assert sum(unit_counts(mask, units).values()) == round(0.7 * 224)
    low = by_magnitude(fractions=RESNET_RECIPES, schedule="listed", densities=(0.4,))
    with pytest.raises(UsageError, match="expected 96, as many as are exempt from pruning, to 224"):
        level_densities(low, Mask.dense(prunable_weights(model)), 1, units)


def test_another_fraction_of_a_layer_is_that_of_what_it_writes() -> None:
    """Within layers: each stream's own, also where a layer with a lower name writes it too."""
    model = resnet()
    config = by_magnitude(scope="layer", fractions={"*.shortcut.*": 0.25, "stage?.0.conv1.*": 0.0})
    units = units_of(config, model)
    mask = pruned(model, config, units)

    lost = {name: 1 - len(rows(mask, name)) / len(layer) for name, layer in mask.items()}
    assert lost == {"output.weight": 0.0, "conv1.weight": 0.5} | {
        f"stage{n}.0.{layer}.weight": share
        for n in (1, 2, 3)
        for layer, share in (("conv1", 0.0), ("conv2", 0.25 if n > 1 else 0.5))
    } | {f"stage{n}.0.shortcut.conv.weight": 0.25 for n in (2, 3)}


@pytest.mark.parametrize(
    ("granularity", "pattern"),
    [
        ("channel", "output.weight"),
        ("kernel", "output.*"),
        ("residual-block", "conv1.weight"),
    ],
)
def test_a_fraction_of_nothing_is_refused(granularity: str, pattern: str) -> None:
    if granularity == "channel":
        pytest.importorskip("torch_pruning", reason="the package torch-pruning is not installed")
    config = by_magnitude(granularity=granularity, fractions={pattern: 0.1})
    with pytest.raises(
        UsageError, match=rf"fractions\.'{re.escape(pattern)}': granularity '{granularity}' r"
    ):
        network_units(config, resnet(), IMAGES)
    exempt = by_magnitude(granularity=granularity, fractions={pattern: 0.0})
    assert network_units(exempt, resnet(), IMAGES)


@pytest.mark.parametrize("granularity", ["block-9999x9999", "layer"])
def test_a_fraction_of_the_networks_outputs_is_refused(granularity: str) -> None:
    config = by_magnitude(granularity=granularity, fractions={"output.weight": 0.1})
    with pytest.raises(UsageError, match=r"fraction, 0\.1 \(output\.weight: outputs of the"):
        network_units(config, resnet(), IMAGES)
    assert network_units(by_magnitude(granularity=granularity), resnet(), IMAGES)


def test_a_network_that_a_criterion_says_little_of_can_be_pruned_where_it_does() -> None:
    """Batch norm follows no layer that writes a stream of this network, but for the first."""
    model = drawn(build_model("wrn-10-2", IMAGES, 10))
    config = by_magnitude(criterion="bn-scale", fraction=0.8)
    with pytest.raises(UsageError, match=r"give such layers a fraction of 0 in prune\.fractions"):
        pruned(model, config, units_of(config, model))

    exempting = replace(config, fractions={"stage*.conv2.weight": 0.0})
    units = units_of(exempting, model)
    mask = pruned(model, exempting, units)
    streams = 32 + 64 + 128
    assert units.count == 2 * streams + 16
    assert sum(unit_counts(mask, units).values()) == units.count - round(0.8 * (streams + 16))
    assert len(rows(mask, "stage2.0.shortcut.conv.weight")) == 64


def test_an_exempt_layer_keeps_its_residual_block() -> None:
    model = small(build_model("resnet-20", IMAGES, 10), "stage1.*")
    config = by_magnitude(
        granularity="residual-block", fraction=0.4, fractions={"stage1.*.conv2.weight": 0.0}
    )
    units = units_of(config, model)
    plain = by_magnitude(granularity="residual-block", fraction=0.4)
    free = pruned(model, plain, units_of(plain, model))
    assert {name[:6] for name in free.empty_layers} >= {"stage1"}

    mask = pruned(model, config, units)
    assert sum(unit_counts(mask, units).values()) == 9 - round(0.4 * 6)
    assert len(mask.empty_layers) == 2 * round(0.4 * 6)
    assert not any(name.startswith("stage1") for name in mask.empty_layers)
