"""What an analysis of alignment could have found, for figures."""

from __future__ import annotations

from collections.abc import Sequence

from lottery.inside import Measurement, Table
from lottery.inside.measurement import Cell

PAIR = ("level", "source", "target")


def made_up(levels: int = 12, replicates: int = 5) -> Measurement:
    """Neurons that match well, barriers that alignment takes away, masks at chance."""
    pairs = [(level, n, n + 1) for level in range(levels) for n in range(replicates - 1)]
    similarity = [
        (*pair, layer, 20, 0.02, 0.5 + 0.01 * pair[2] + move, 0.08)
        for pair in pairs
        for layer, move in (("fc1.weight", -0.1), ("fc2.weight", 0.1))
    ]
    barriers = [(*pair, 0.02, 0.15 + 0.01 * pair[2], 0.005 + 0.001 * pair[2]) for pair in pairs]
    shared = [
        (*pair, 0.8 ** pair[0], 0.8 ** pair[0], 0.8 ** pair[0] + 0.01 * pair[2], 0.8 ** pair[0], 0)
        for pair in pairs
        if pair[0]
    ]
    return Measurement(
        analysis="alignment",
        tables=(
            _table(
                "similarity", ("layer", "neurons", "in_place", "aligned", "by_chance"), similarity
            ),
            _table("barriers", ("error_at_ends", "in_place", "aligned"), barriers),
            _table("overlap", ("density", "in_place", "aligned", "by_chance", "deviation"), shared),
        ),
    )


def _table(name: str, columns: tuple[str, ...], rows: Sequence[tuple[Cell, ...]]) -> Table:
    return Table(name=name, title=name, note="", columns=(*PAIR, *columns), rows=tuple(rows))
