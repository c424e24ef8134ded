"""What an analysis of connectivity could have found, for figures."""

from __future__ import annotations

from lottery.inside import Measurement, Table

COLUMNS = ("kind", "at", "level", "replicate", "part", "share", "error", "loss")


def hill(share: float, low: float, high: float) -> float:
    """A parabola from ``low`` at both ends to ``high`` in the middle."""
    return low + (high - low) * 4 * share * (1 - share)


def made_up(levels: int = 12, replicates: int = 5) -> Measurement:
    """Dense networks that are unstable from iteration 0 on, and tickets that are less so."""
    rows = [
        (kind, at, level, replicate, part, share / 4, error, 2 * error)
        for kind, at, height in (("copies", 0, 0.08), ("copies", 500, 0.004), ("levels", None, 0.0))
        for level in range(levels - (kind == "levels"))
        for replicate in range(replicates)
        for part in ("train", "test")
        for share in range(5)
        for low in [0.02 + 0.001 * replicate]
        for error in [hill(share / 4, low, low + height * 0.8**level + 0.0005 * replicate)]
    ]
    table = Table(name="points", title="Points", note="", columns=COLUMNS, rows=tuple(rows))
    return Measurement(analysis="connectivity", tables=(table,))
