"""``lottery run`` and ``lottery demo``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lottery.cli import options
from lottery.cli.analyse import progress_line
from lottery.cli.loading import load
from lottery.cli.output import echo

if TYPE_CHECKING:
    from lottery.experiments import ExperimentConfig, Listener, RunOptions


SMOKE_NOTE: Final = "This was a smoke run: every step works, and its numbers mean nothing."


def run(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE|FILE", help="A recipe's name, or a TOML file.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=C", help="Change one value of the config."),
    ] = None,
    levels: Annotated[
        int | None,
        options.whole(help="How many times to prune."),
    ] = None,
    replicates: Annotated[
        int | None,
        options.whole(help="Repetitions with their own seeds."),
    ] = None,
    seed: options.Seed = None,
    track: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Follow it with tensorboard, wandb, trackio or mlflow; may be given again.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would take; train nothing.")
    ] = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Everything, tiny: seconds instead of hours.")
    ] = False,
    out: options.Out = Path("runs"),
    report: options.Report = None,
    data_dir: options.DataDir = None,
    device: options.Device = "auto",
    engine: options.Engine = "auto",
    jobs: options.Jobs = "auto",
    checkpoint_seconds: options.CheckpointSeconds = 30.0,
    reuse: Annotated[
        bool,
        typer.Option(
            help="Take finished trainings from other runs in --out, where they are the same."
        ),
    ] = True,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Run an experiment, or go on with it.

    The same command again goes on where it stopped, and with more replicates, levels or controls
    the run grows by what is new. At the end it writes a report into the run's directory and prints
    the verdict.

    \b
    Examples:
      lottery run lenet-300-100/mnist --dry-run
      lottery run lenet-300-100/mnist --replicates 3
      lottery run experiment.toml --set seed=1 --levels 10
      lottery run lenet-300-100/mnist --smoke
      lottery run demo --track tensorboard
    """
    del debug
    load(line=True, silent=quiet or as_json)
    from lottery.integrations.trackers import make_tracker

    short = {"levels": levels, "replicates": replicates, "seed": seed}
    config = _config(recipe, overrides or [], out=out, **short)
    trackers = [make_tracker(name) for name in track or []]
    if smoke:
        from lottery.experiments import smoke as shrink

        config = shrink(config)
    run_options = make_options(out, data_dir, device, engine, jobs, checkpoint_seconds, reuse)
    if dry_run:
        from lottery.cli.dry_run import print_dry_run

        print_dry_run(config, run_options, as_json=as_json)
        return
    _run_and_judge(config, run_options, *trackers, as_json=as_json, quiet=quiet, report=report)
    if smoke and not as_json:
        echo(SMOKE_NOTE)


def demo(
    out: options.Out = Path("runs"),
    report: options.Report = Path("report.html"),
    seed: options.Seed = None,
    device: options.Device = "auto",
    engine: options.Engine = "auto",
    jobs: options.Jobs = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Find a winning ticket on bundled digits.

    This trains on 5,000 MNIST digits for about half a minute, prints the verdict and writes a
    report.

    \b
    Examples:
      lottery demo
      lottery demo --report demo.html --seed 1
    """
    del debug
    load(line=True, silent=quiet or as_json)
    config = _config("demo", [], out=out, seed=seed)
    run_options = make_options(out, None, device, engine, jobs, 30.0, True)
    _run_and_judge(config, run_options, as_json=as_json, quiet=quiet, report=report)


def _config(
    recipe: str,
    overrides: list[str],
    *,
    out: Path,
    **short: int | None,
) -> ExperimentConfig:
    """The config that the command line asks for; ``short`` are options that set one key each."""
    from lottery.cli.configs import base_values, warn_dropped
    from lottery.experiments import load_config, merge, parse_override

    values = base_values(recipe, out)
    values = merge(values, {key: value for key, value in short.items() if value is not None})
    for asked in map(parse_override, overrides):
        warn_dropped(values, asked)
        values = merge(values, asked, emptying=True)
    return load_config(values, source=f"the config ({recipe})")


def make_options(
    out: Path,
    data_dir: Path | None,
    device: str,
    engine: str,
    jobs: str,
    seconds: float,
    reuse: bool,
) -> RunOptions:
    """How to run, as it was said on the command line."""
    from lottery.errors import UsageError
    from lottery.experiments import RunOptions

    if jobs != "auto" and not (jobs.isdecimal() and 1 <= int(jobs) <= 1024):
        raise UsageError(f"--jobs: expected auto or a number from 1 to 1024, got '{jobs}'")
    return RunOptions(
        out=out,
        data_dir=data_dir,
        device=device,
        engine=engine,
        jobs=None if jobs == "auto" else int(jobs),
        checkpoint_seconds=seconds,
        reuse=reuse,
        command=" ".join(["lottery", *sys.argv[1:]]),
    )


def _run_and_judge(
    config: ExperimentConfig,
    run_options: RunOptions,
    *trackers: Listener,
    as_json: bool,
    quiet: bool,
    report: Path | None,
) -> None:
    from lottery.analysis import judge_run, to_json, verdict_text
    from lottery.cli.progress import progress_listener
    from lottery.cli.signals import stop_on_signals
    from lottery.experiments import Listeners, open_run, run_experiment

    with stop_on_signals() as stop, progress_listener(config, silent=quiet or as_json) as progress:
        listener = Listeners(progress, *trackers)
        summary = run_experiment(config, run_options, listener=listener, stop=stop)
    verdict = judge_run(open_run(summary.run))
    if as_json:
        echo(json.dumps(to_json(verdict), indent=2))
    else:
        echo(f"{verdict_text(verdict).rstrip()}\n\nrun: {summary.run}")
    # After the verdict: what hours of training have shown is not lost with a page.
    written = _write_reports(
        summary.run,
        [summary.run / "report.html", *([report] if report else [])],
        silent=quiet or as_json,
    )
    if not as_json:
        echo(written)
    if summary.failed:
        from lottery.errors import JobsFailedError

        raise JobsFailedError(
            f"{summary.failed} of the jobs diverged, collapsed or could not be run; "
            f"`lottery show {summary.run}` says which and why"
        )


def _write_reports(run: Path, targets: list[Path], *, silent: bool) -> str:
    """Write the report to each target; what to tell the user about it."""
    from lottery.report import write_report

    with progress_line(silent=silent) as progress:
        for target in targets:
            write_report(run, target, progress=progress)
    return f"report: {targets[-1]}"
