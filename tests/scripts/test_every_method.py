"""The script that tries every method: its settings, and that its counts can fail."""

from __future__ import annotations

import pytest
import torch

from every_method import METHODS, config_of
from exact_counts import (
    channels_of_resnet,
    each_layer,
    level_by_level,
    tiles_of_four,
    two_of_four,
    units,
    weights,
    weights_of_blocks,
    whole_layers,
)
from lottery.core import CRITERIA, GRANULARITIES, Mask, prunable_weights
from lottery.methods import ControlsConfig
from lottery.models import build_model


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_an_experiment_without_problems(name: str) -> None:
    assert config_of(name).problems() == []


def test_nothing_there_is_left_out() -> None:
    configs = [config_of(name) for name in METHODS]
    # In a network with one linear layer neurons are its classes.
    spared = {"neuron"}
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
    kept = masks((8, 17))
    for rows, columns in ((0, 0), (0, 4), (0, 8), (0, 12), (4, 0), (4, 4), (4, 8), (4, 12)):
        kept["0.weight"][rows : rows + 4, columns : columns + 4] = False
    assert tiles_of_four(Mask(kept)) == []
    kept["0.weight"][0, 16] = False
    assert tiles_of_four(Mask(kept)) == ["0.weight: a tile is neither whole nor gone"]
    kept["0.weight"][:4, 16] = False
    assert tiles_of_four(Mask(kept)) == ["tiles: 1 kept, expected 2"]


def test_a_channel_that_something_still_reads_is_seen() -> None:
    dense = prunable_weights(build_model("resnet-8", (3, 32, 32), 10))

    def check(*changes: tuple[str, object]) -> list[str]:
        """Of 16 + 32 + 64 channels twice, and all of them gone but half of the last stream."""
        kept = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in dense.items()}
        for stage in (1, 2, 3):
            kept[f"stage{stage}.0.conv1.weight"][::2] = False
            kept[f"stage{stage}.0.conv2.weight"][:, ::2] = False
        for writer in ("conv2", "shortcut.conv"):
            kept[f"stage3.0.{writer}.weight"][:32] = False
        kept["output.weight"][:, :32] = False
        for name, place in changes:
            kept[name][place] = True  # type: ignore[index]
        return channels_of_resnet((8 + 16 + 32 + 16 + 32 + 32) / 224)(Mask(kept))

    assert check() == []
    for name in ("stage1.0.conv2.weight", "output.weight", "stage3.0.shortcut.conv.weight"):
        assert check((name, (0, 0))) == [f"{name}: a channel is neither whole nor gone"]
    everywhere = (("stage2.0.conv1.weight", 0), ("stage2.0.conv2.weight", (slice(None), 0)))
    assert check(*everywhere) == ["channels: 137 kept, expected 136"]


def test_a_broken_layer_is_seen() -> None:
    kept = masks((2, 2), (2, 2))
    kept["0.weight"][:] = False
    assert whole_layers(1)(Mask(kept)) == []
    assert whole_layers(2)(Mask(kept)) == ["layers: 1 kept, expected 2"]
    kept["0.weight"][0, 0] = True
    assert whole_layers(2)(Mask(kept)) == ["0.weight: neither whole nor gone"]


def test_each_level_takes_its_fraction_of_the_last() -> None:
    kept = masks((2, 25))
    kept["0.weight"].view(-1)[12:] = False  # 50, 25 (half of 25 is rounded to even), 13
    assert level_by_level(0.5, 2)(Mask(kept)) == ["weights: 12 kept, expected 13"]
    kept["0.weight"][0, 12] = True
    assert level_by_level(0.5, 2)(Mask(kept)) == []


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
