"""How much a mask keeps, held against what was asked for: one sentence for each thing wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from torch import Tensor

from lottery.core import Mask

Counts = Callable[[Mask], list[str]]
"""What is wrong with how much a mask keeps, one sentence each."""


def weights(density: float) -> Counts:
    """Of all prunable weights, the density to the weight."""

    def problems(mask: Mask) -> list[str]:
        total = sum(kept.numel() for kept in mask.values())
        return differs("weights", number_kept(mask), round(density * total))

    return problems


def level_by_level(fraction: float, levels: int) -> Counts:
    """Of all prunable weights, what is left when each level takes the fraction of the last."""

    def problems(mask: Mask) -> list[str]:
        left = sum(kept.numel() for kept in mask.values())
        for _ in range(levels):
            left -= round(fraction * left)
        return differs("weights", number_kept(mask), left)

    return problems


def each_layer(density: float) -> Counts:
    """Of every layer, the density to the weight."""

    def problems(mask: Mask) -> list[str]:
        return [
            problem
            for name, kept in mask.items()
            for problem in differs(
                name, int(kept.sum()), kept.numel() - round((1 - density) * kept.numel())
            )
        ]

    return problems


def units(density: float, of: Callable[[Tensor], Tensor]) -> Counts:
    """Of all convolutions' units the density, each whole or gone."""

    def problems(mask: Mask) -> list[str]:
        found, kept, total = [], 0, 0
        for name, layer in mask.items():
            if layer.dim() != 4:
                found += (
                    [] if bool(layer.all()) else [f"{name}: pruned, though it has no such unit"]
                )
                continue
            rows = of(layer)
            kept, total = kept + int(rows.any(1).sum()), total + len(rows)
            if bool((rows.any(1) != rows.all(1)).any()):
                found.append(f"{name}: a unit is neither whole nor gone")
        return found + differs("units", kept, round(density * total))

    return problems


def channels_of_resnet(density: float) -> Counts:
    """Of a CIFAR ResNet's channels the density, each gone from all that writes and reads it.

    A block's inner channels are its own. What a stage adds up are one set of channels, written by
    its first layer, its shortcut and the second convolution of each block.
    """

    def problems(mask: Mask) -> list[str]:
        rows = {name: kept.flatten(1).any(1) for name, kept in mask.items()}
        homes = [name for name in mask if ".conv1." in name or name in _STREAMS.values()]
        found = []
        for name, layer in mask.items():
            writes = rows[_home_of(name)] if name != "output.weight" else rows[name]
            whole = writes[:, None] & rows[_read_by(name)] if name != "conv1.weight" else writes
            expected = whole.view(*whole.shape, *[1] * (layer.dim() - whole.dim()))
            if not layer.equal(expected.expand_as(layer)):
                found.append(f"{name}: a channel is neither whole nor gone")
        kept = sum(int(rows[name].sum()) for name in homes)
        total = sum(len(rows[name]) for name in homes)
        return found + differs("channels", kept, round(density * total))

    return problems


_STREAMS: Final = {
    "stage1": "conv1.weight",
    "stage2": "stage2.0.conv2.weight",
    "stage3": "stage3.0.conv2.weight",
}
"""Stage -> a layer that writes the channels that it adds up."""


def _home_of(name: str) -> str:
    """The layer whose rows say which channels a layer writes."""
    return name if ".conv1." in name else _STREAMS.get(name.partition(".")[0], name)


def _read_by(name: str) -> str:
    """The layer whose rows say which channels a layer reads."""
    stage, _, rest = name.partition(".")
    if ".conv2." in name:
        return name.replace(".conv2.", ".conv1.")
    if name == "output.weight":
        return _STREAMS["stage3"]
    first = stage != "stage1" and rest.startswith("0.")
    return _STREAMS[f"stage{int(stage[-1]) - 1}" if first else stage]


def two_of_four(mask: Mask) -> list[str]:
    """Of every four consecutive inputs of an output two, where inputs are a multiple of four."""
    found = []
    for name, kept in mask.items():
        inputs = kept.movedim(1, -1)
        if inputs.shape[-1] % 4 == 0:
            left = inputs.reshape(-1, 4).sum(1)
            found += [] if bool((left == 2).all()) else [f"{name}: not two of every four"]
    return found


def tiles_of_four(mask: Mask) -> list[str]:
    """Of all tiles of 4 outputs by 4 columns, less at an edge, a fifth is whole, the rest gone."""
    found, kept, total = [], 0, 0
    for name, layer in mask.items():
        tiles = [tile for rows in layer.flatten(1).split(4) for tile in rows.split(4, dim=1)]
        if any(bool(tile.any()) != bool(tile.all()) for tile in tiles):
            found.append(f"{name}: a tile is neither whole nor gone")
        kept, total = kept + sum(bool(tile.any()) for tile in tiles), total + len(tiles)
    return found + differs("tiles", kept, round(0.2 * total))


def whole_layers(expected: int) -> Counts:
    """Of all layers that many, each whole or gone."""

    def problems(mask: Mask) -> list[str]:
        broken = [name for name, kept in mask.items() if bool(kept.any()) != bool(kept.all())]
        found = [f"{name}: neither whole nor gone" for name in broken]
        return found + differs("layers", sum(bool(kept.any()) for kept in mask.values()), expected)

    return problems


def weights_of_blocks(mask: Mask) -> list[str]:
    """Of nine residual branches round(0.8 * 9) = 7, each whole or gone; all else whole."""
    branches = {name.rsplit(".conv", 1)[0] for name in mask if ".conv" in name}
    branches = {name for name in branches if not name.endswith("shortcut")}
    whole = {
        branch: [bool(kept.all()) for name, kept in mask.items() if f"{branch}.conv" in name]
        for branch in branches
    }
    gone = [branch for branch, layers in whole.items() if not any(layers)]
    found = [
        f"{branch}: neither whole nor gone"
        for branch in whole
        if any(whole[branch]) != all(whole[branch])
    ]
    rest = number_kept(mask) - sum(
        kept.numel() for name, kept in mask.items() if name.rsplit(".conv", 1)[0] not in gone
    )
    return found + differs("branches", len(whole) - len(gone), 7) + differs("rest", rest, 0)


def differs(what: str, got: int, expected: int) -> list[str]:
    """What is wrong with a number, in a sentence; nothing where it is the expected one."""
    return [] if got == expected else [f"{what}: {got:,} kept, expected {expected:,}"]


def number_kept(mask: Mask) -> int:
    """How many weights are kept, counted one by one."""
    return sum(int(kept.sum()) for kept in mask.values())
