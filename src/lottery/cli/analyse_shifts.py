"""The verb of ``analyse`` that makes test images worse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lottery.cli import options
from lottery.cli.analyse import Again, CsvDir, Levels, Replicates, RunCode, measure


def shifts(
    run: options.RunName,
    levels: Levels = None,
    replicates: Replicates = None,
    examples: Annotated[
        int,
        typer.Option(
            "--examples", metavar="N", parser=options.whole_number, help="Test examples at most."
        ),
    ] = 10_000,
    data_dir: options.DataDir = None,
    device: options.Device = "auto",
    again: Again = False,
    run_code: RunCode = False,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
    csv_dir: CsvDir = None,
    debug: options.Debug = False,
) -> None:
    """Whether tickets lose more than the dense network on worse images.

    Noise, blur and little contrast at five strengths each, on the test set; nothing is trained.

    \b
    Examples:
      lottery analyse shifts demo
      lottery analyse shifts demo --levels 0,3 --csv tables
    """
    del debug
    from lottery.experiments import RunOptions

    measure(
        "shifts",
        run,
        out,
        levels=levels,
        replicates=replicates,
        again=again,
        as_json=as_json,
        csv_dir=csv_dir,
        settings={"examples": examples},
        options=RunOptions(data_dir=data_dir, device=device),
        code=run_code,
    )
