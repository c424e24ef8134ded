"""The verb ``analyse alignment``: replicates compared up to the order of their neurons."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lottery.cli import options
from lottery.cli.analyse import Again, CsvDir, Levels, Replicates, RunCode, measure


def alignment(
    run: options.RunName,
    levels: Levels = None,
    replicates: Replicates = None,
    examples: Annotated[
        int,
        typer.Option(
            "--examples",
            metavar="N",
            parser=options.whole_number,
            help="Training examples that neurons are matched by.",
        ),
    ] = 1_000,
    test_examples: Annotated[
        int,
        typer.Option(
            "--test-examples",
            metavar="N",
            parser=options.whole_number,
            help="Test examples that each network is measured on; 0: all.",
        ),
    ] = 2_000,
    points: Annotated[
        int,
        typer.Option(
            "--points",
            metavar="N",
            parser=options.whole_number,
            help="Networks on each line, its ends included.",
        ),
    ] = 11,
    recalibrate: Annotated[
        int,
        typer.Option(
            "--recalibrate",
            metavar="N",
            parser=options.whole_number,
            help="Training examples that statistics of batch normalization are computed anew from "
            "for each network; 0: they stay.",
        ),
    ] = 0,
    again: Again = False,
    out: options.Out = Path("runs"),
    data_dir: options.DataDir = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
    csv_dir: CsvDir = None,
    run_code: RunCode = False,
    debug: options.Debug = False,
) -> None:
    """Whether replicates agree up to permutation.

    Neurons of each replicate are matched to those of the one before by their activations: how
    similar they are, barriers between the networks and what masks share, in place and aligned,
    beside chance. Where the run has the controls moved and aligned, how their masks train on
    another initialization.

    \b
    Examples:
      lottery analyse alignment lenet-300-100-mnist
      lottery analyse alignment demo --levels 0,2
    """
    del debug
    from lottery.experiments import RunOptions

    measure(
        "alignment",
        run,
        out,
        levels=levels,
        replicates=replicates,
        again=again,
        as_json=as_json,
        csv_dir=csv_dir,
        settings={
            "examples": examples,
            "test_examples": test_examples,
            "points": points,
            "recalibrate": recalibrate,
        },
        options=RunOptions(data_dir=data_dir, device=device),
        code=run_code,
    )
