"""How much a mask keeps, held against what was asked for: one sentence for each thing wrong."""

from __future__ import annotations

from collections.abc import Callable

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
    """Tiles of 4 outputs by 4 columns are whole or gone, where layers divide into such."""
    found = some(mask)
    for name, kept in mask.items():
        rows = kept.flatten(1)
        if len(rows) % 4 == 0 and rows.shape[1] % 4 == 0:
            tiles = rows.reshape(len(rows) // 4, 4, -1, 4).transpose(1, 2).flatten(2)
            if not tiles.any(2).equal(tiles.all(2)):
                found.append(f"{name}: a tile is neither whole nor gone")
    return found


def some(mask: Mask) -> list[str]:
    """Something is kept in every layer, and not everything."""
    empty = [f"{name}: empty" for name, kept in mask.items() if not bool(kept.any())]
    return empty + (["nothing is pruned"] if all(bool(k.all()) for k in mask.values()) else [])


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
