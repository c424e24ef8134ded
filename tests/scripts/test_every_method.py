"""The script that tries every method: its settings, and that its counts can fail."""

from __future__ import annotations

import pytest
import torch

from every_method import METHODS, config_of
from exact_counts import (
    each_layer,
    some,
    tiles_of_four,
    two_of_four,
    units,
    weights,
    weights_of_blocks,
)
from lottery.core import CRITERIA, GRANULARITIES, Mask, prunable_weights
from lottery.models import build_model
from lottery.tickets import ControlsConfig


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_an_experiment_without_problems(name: str) -> None:
    assert config_of(name).problems() == []


def test_nothing_there_is_left_out() -> None:
    configs = [config_of(name) for name in METHODS]
    # In a network with one linear layer neurons are its classes; a whole layer is a block at most.
    spared = {"neuron", "layer"}
    names = {"2:4": "N:M", "block-4x4": "block-RxC"}
    used = {names.get(c.prune.granularity, c.prune.granularity) for c in configs}
    assert used == {*GRANULARITIES} - spared
    assert {config.prune.criterion for config in configs} == {*CRITERIA}
    assert {config.prune.scope for config in configs} == {
        "global",
        "layer",
        "uniform",
        "erk",
        "lamp",
    }
    everything = config_of("every control once").controls
    assert all(getattr(everything, field) for field in ControlsConfig.__dataclass_fields__)


def masks(*shapes: tuple[int, ...]) -> dict[str, torch.Tensor]:
    return {f"{n}.weight": torch.ones(shape, dtype=torch.bool) for n, shape in enumerate(shapes)}


def test_one_weight_too_many_is_seen() -> None:
    kept = masks((4, 5), (10, 4))
    kept["0.weight"][0] = False
    kept["1.weight"].view(-1)[:25] = False
    assert weights(0.5)(Mask(kept)) == []
    assert each_layer(0.5)(Mask(kept)) != []
    kept["0.weight"][1] = False
    kept["1.weight"].view(-1)[:20] = False
    kept["1.weight"].view(-1)[20:] = True
    assert each_layer(0.5)(Mask(kept)) == []
    kept["1.weight"][0, 0] = True
    assert weights(0.5)(Mask(kept)) == ["weights: 31 kept, expected 30"]
    assert each_layer(0.5)(Mask(kept)) == ["1.weight: 21 kept, expected 20"]


def test_a_broken_unit_is_seen() -> None:
    check = units(0.5, lambda layer: layer.flatten(1))
    kept = masks((4, 2, 3, 3))
    kept["0.weight"][:2] = False
    assert check(Mask(kept)) == []
    kept["0.weight"][3, 0, 0, 0] = False
    assert check(Mask(kept)) == ["0.weight: a unit is neither whole nor gone"]


def test_three_of_four_are_seen() -> None:
    kept = masks((2, 8))
    kept["0.weight"][:, ::2] = False
    assert two_of_four(Mask(kept)) == []
    kept["0.weight"][0, 0] = True
    assert two_of_four(Mask(kept)) == ["0.weight: not two of every four"]


def test_a_broken_tile_is_seen() -> None:
    kept = masks((8, 8))
    kept["0.weight"][:4, 4:] = False
    assert tiles_of_four(Mask(kept)) == []
    kept["0.weight"][0, 0] = False
    assert tiles_of_four(Mask(kept)) == ["0.weight: a tile is neither whole nor gone"]


def test_empty_layers_and_full_networks_are_seen() -> None:
    kept = masks((2, 2), (2, 2))
    assert some(Mask(kept)) == ["nothing is pruned"]
    kept["0.weight"][:] = False
    assert some(Mask(kept)) == ["0.weight: empty"]


def test_half_a_residual_block_is_seen() -> None:
    dense = Mask.dense(prunable_weights(build_model("resnet-20", (3, 32, 32), 10)))
    gone = ("stage1.1.", "stage3.2.")

    def without(*starts: str) -> Mask:
        return Mask(
            {n: torch.zeros_like(k) if n.startswith(starts) else k for n, k in dense.items()}
        )

    assert weights_of_blocks(without(*gone)) == []
    assert weights_of_blocks(without(gone[0])) == ["branches: 8 kept, expected 7"]
    assert weights_of_blocks(without(gone[0], "stage3.2.conv1")) != []
    assert weights_of_blocks(without(*gone, "stage2.0.shortcut")) != []
