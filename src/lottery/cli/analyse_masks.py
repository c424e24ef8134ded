"""``lottery analyse masks``."""

from __future__ import annotations

from pathlib import Path

from lottery.cli import options
from lottery.cli.analyse import Again, CsvDir, Levels, Replicates, measure


def masks(
    run: options.RunName,
    levels: Levels = None,
    replicates: Replicates = None,
    again: Again = False,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
    csv_dir: CsvDir = None,
    debug: options.Debug = False,
) -> None:
    """What tickets keep, beside chance.

    Overlap between and within replicates, densities and what lies on a path from input to output,
    weights of each unit, and how masks settle: beside what masks drawn at random would have. Only
    files are read.

    \b
    Examples:
      lottery analyse masks lenet-300-100-mnist
      lottery analyse masks demo --levels 0-2 --csv tables
    """
    del debug
    measure(
        "masks",
        run,
        out,
        levels=levels,
        replicates=replicates,
        again=again,
        as_json=as_json,
        csv_dir=csv_dir,
    )
