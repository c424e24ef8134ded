"""Verbs of ``analyse`` that look at weights: their values, curvature, representations, averages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lottery.cli import options
from lottery.cli.analyse import Again, CsvDir, Levels, Replicates, RunCode, measure
from lottery.cli.loading import load


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
      lottery analyse weights demo --levels 0,4 --csv tables
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


Examples = Annotated[
    int,
    typer.Option(
        "--examples",
        metavar="N",
        parser=options.whole_number,
        help="Training examples to look at, the same for all networks.",
    ),
]


def curvature(
    run: options.RunName,
    examples: Examples = 1_000,
    eigenvalues: Annotated[
        int,
        typer.Option(
            "--eigenvalues",
            metavar="N",
            parser=options.whole_number,
            help="How many of the largest eigenvalues.",
        ),
    ] = 3,
    levels: Levels = None,
    replicates: Replicates = None,
    again: Again = False,
    data_dir: options.DataDir = None,
    device: options.Device = "auto",
    run_code: RunCode = False,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
    csv_dir: CsvDir = None,
    debug: options.Debug = False,
) -> None:
    """How sharp the minima are that trainings end in, and how steep the loss is where they start.

    Largest eigenvalues of the Hessian of the training loss by the weights that are kept, and norms
    of its gradient; of tickets and of the first control of each kind.

    \b
    Examples:
      lottery analyse curvature demo
      lottery analyse curvature demo --eigenvalues 5
    """
    del debug
    measure(
        "curvature",
        run,
        out,
        levels=levels,
        replicates=replicates,
        again=again,
        as_json=as_json,
        csv_dir=csv_dir,
        settings={"examples": examples, "eigenvalues": eigenvalues},
        **_where(data_dir, device, run_code),
    )


def cka(
    run: options.RunName,
    examples: Examples = 1_000,
    levels: Levels = None,
    replicates: Replicates = None,
    again: Again = False,
    data_dir: options.DataDir = None,
    device: options.Device = "auto",
    run_code: RunCode = False,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
    csv_dir: CsvDir = None,
    debug: options.Debug = False,
) -> None:
    """How alike networks represent the same examples, layer by layer: linear CKA.

    Of the dense network with its tickets and controls, and of tickets with those of other
    replicates, beside what two random networks give.

    \b
    Examples:
      lottery analyse cka demo
      lottery analyse cka demo --levels 0,2,4
    """
    del debug
    measure(
        "cka",
        run,
        out,
        levels=levels,
        replicates=replicates,
        again=again,
        as_json=as_json,
        csv_dir=csv_dir,
        settings={"examples": examples},
        **_where(data_dir, device, run_code),
    )


def pools(
    run: options.RunName,
    candidates: Annotated[
        int,
        typer.Option(
            "--candidates",
            metavar="N",
            parser=options.whole_number,
            help="How many of the nearest levels are tried.",
        ),
    ] = 4,
    recalibrate: Annotated[
        int,
        typer.Option(
            "--recalibrate",
            metavar="N",
            parser=options.whole_number,
            help="Training examples that batch normalization's statistics are computed from.",
        ),
    ] = 1_000,
    levels: Levels = None,
    replicates: Replicates = None,
    again: Again = False,
    data_dir: options.DataDir = None,
    device: options.Device = "auto",
    run_code: RunCode = False,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
    csv_dir: CsvDir = None,
    debug: options.Debug = False,
) -> None:
    """Average each ticket with those of the levels around it, and see whether that is better.

    Lottery Pools: chosen greedily on validation data, judged on test data, without any training.

    \b
    Examples:
      lottery analyse pools demo
      lottery analyse pools demo --candidates 12
    """
    del debug
    measure(
        "pools",
        run,
        out,
        levels=levels,
        replicates=replicates,
        again=again,
        as_json=as_json,
        csv_dir=csv_dir,
        settings={"candidates": candidates, "recalibrate": recalibrate},
        **_where(data_dir, device, run_code),
    )


def _where(data_dir: Path | None, device: str, code: bool) -> dict[str, Any]:
    """How an analysis comes by its network and data."""
    load(line=True)
    from lottery.experiments import RunOptions

    return {"options": RunOptions(data_dir=data_dir, device=device), "code": code}
