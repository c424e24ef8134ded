"""Verbs of ``analyse`` that look at weights: their values, curvature, representations, averages."""

from __future__ import annotations

from pathlib import Path

from lottery.cli import options
from lottery.cli.analyse import Again, CsvDir, Levels, Replicates, measure


def weights(
    run: options.RunName,
    levels: Levels = None,
    replicates: Replicates = None,
    again: Again = False,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
    csv_dir: CsvDir = None,
    debug: options.Debug = False,
) -> None:
    """How weights are distributed, how far they move and which signs they keep: from files alone.

    Of survivors and of pruned weights, by level, layer and control, beside what chance would give.

    \b
    Examples:
      lottery analyse weights demo
      lottery analyse weights lenet-300-100-mnist --levels 0,12 --csv tables
    """
    del debug
    measure(
        "weights",
        run,
        out,
        levels=levels,
        replicates=replicates,
        again=again,
        as_json=as_json,
        csv_dir=csv_dir,
    )
