"""``lottery analyse connectivity``: it may train before it looks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lottery.cli import options
from lottery.cli.analyse import Again, CsvDir, Levels, Replicates, RunCode, measure, numbers
from lottery.cli.loading import load
from lottery.cli.run import make_options


def connectivity(
    run: options.RunName,
    at: Annotated[
        Any,
        typer.Option(
            "--at",
            metavar="N,M",
            parser=numbers,
            help="Iterations from which a copy sees its examples in another order; else those that "
            "the run has, or 0, the start.",
        ),
    ] = None,
    levels: Levels = None,
    replicates: Replicates = None,
    train: Annotated[
        bool,
        typer.Option(help="Train the copies that are missing, of every replicate of the run."),
    ] = True,
    points: Annotated[
        int,
        options.whole(help="Points on each line, ends included: 3 or more."),
    ] = 30,
    recalibrate: Annotated[
        int,
        options.whole(
            help="At every point, compute batch norm's statistics from so many training examples."
        ),
    ] = 0,
    examples: Annotated[
        int,
        options.whole(
            help="Measure on so many examples of training and test data at most; 0: all."
        ),
    ] = 10_000,
    again: Again = False,
    run_code: RunCode = False,
    out: options.Out = Path("runs"),
    data_dir: options.DataDir = None,
    device: options.Device = "auto",
    engine: options.Engine = "auto",
    jobs: options.Jobs = "auto",
    checkpoint_seconds: options.CheckpointSeconds = 30.0,
    as_json: options.Json = False,
    csv_dir: CsvDir = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Lines of low error between networks.

    And how stable trainings are to the data order. The run grows by copies of its trainings that
    see their examples in another order; Ctrl-C keeps a checkpoint, and the same command goes on.
    Then error and loss are measured on the line between each training and its copy, and between
    each level and the next.

    \b
    Examples:
      lottery analyse connectivity demo
      lottery analyse connectivity demo --at 0,50
      lottery analyse connectivity demo --no-train
    """
    del debug
    load(line=True, silent=quiet or as_json)
    how = make_options(out, data_dir, device, engine, jobs, checkpoint_seconds, True)
    from lottery.inside.connectivity import check_numbers

    settings = {"points": points, "recalibrate": recalibrate, "examples": examples}
    check_numbers(**settings)
    since = _since(run, out, at)
    if train:
        _train(run, out, since, levels, how, code=run_code, silent=quiet or as_json)
    measure(
        "connectivity",
        run,
        out,
        levels=levels,
        replicates=replicates,
        again=again,
        as_json=as_json,
        csv_dir=csv_dir,
        quiet=quiet,
        settings=settings | {"at": since},
        stopped="while lines were measured, of which those that are done are kept",
        options=how,
        code=run_code,
    )


def _since(name: str, out: Path, at: tuple[int, ...] | None) -> list[int]:
    """The iterations that are looked at."""
    from lottery.experiments import open_run

    there = open_run(name, out).config.connectivity.at
    return list(at or map(int, there or ["0"]))


def _train(
    name: str,
    out: Path,
    at: list[int],
    levels: tuple[int, ...] | None,
    how: Any,
    *,
    code: bool,
    silent: bool,
) -> None:
    """Train the copies that are missing, with the progress of `lottery run`."""
    from lottery.cli.progress import progress_listener
    from lottery.cli.signals import stop_on_signals
    from lottery.experiments import open_run
    from lottery.inside.reordered import missing_copies, train_copies

    run = open_run(name, out)
    config = missing_copies(run, at, levels)
    if config is None:
        return
    with stop_on_signals() as stop, progress_listener(config, silent=silent) as listener:
        train_copies(run, at, levels, how, code=code, listener=listener, stop=stop)
