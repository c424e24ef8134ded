"""``lottery teach``: what the tickets of a run teach, put to the test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lottery.cli import options
from lottery.cli.analyse import RunCode
from lottery.cli.loading import load
from lottery.cli.output import echo

if TYPE_CHECKING:
    from lottery.experiments import RunOptions, RunSummary
    from lottery.inside.teaching import Lesson


def teach(
    run: options.RunName,
    level: Annotated[
        int | None,
        options.whole(
            help="Which level; if not given, the smallest that is confirmed, or else matches."
        ),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            metavar="WHICH",
            help="The survivors' weights that an initialization is learned from: initial, those "
            "that tickets start from, or trained.",
        ),
    ] = "initial",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be trained; write nothing.")
    ] = False,
    out: options.Out = Path("runs"),
    data_dir: options.DataDir = None,
    device: options.Device = "auto",
    engine: options.Engine = "auto",
    jobs: options.Jobs = "auto",
    checkpoint_seconds: options.CheckpointSeconds = 30.0,
    run_code: RunCode = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train what tickets teach, and judge it.

    Two things are learned from the tickets of a level: a smaller dense network, as large layer by
    layer as they are, and an initialization of the whole dense network, drawn from the survivors'
    weights by layer and sign. Each is trained in a run of its own beside the first, with its seeds,
    and compared with its tickets and dense networks. The same command again goes on.

    \b
    Examples:
      lottery teach demo --dry-run
      lottery teach demo --level 2
      lottery teach demo --level 2 --weights trained
    """
    del debug
    load(line=True, silent=quiet or as_json)
    from lottery.analysis import judge_run
    from lottery.analysis.ticket_of_run import pick_level
    from lottery.cli.run import make_options
    from lottery.experiments import ExperimentConfig, find_run, open_run
    from lottery.inside.subject import check_trusted
    from lottery.inside.teaching import lesson

    directory = find_run(run, out)
    # The path of a run that one stands in does not say its name.
    found = open_run(directory if directory.name not in ("", "..") else directory.resolve())
    picked = level if level is not None else pick_level(judge_run(found))[0]
    taught = lesson(found, picked, weights)  # type: ignore[arg-type]
    if isinstance(found.config, ExperimentConfig):
        check_trusted(found, found.config, code=run_code)
    beside = found.store.path.parent
    how = make_options(beside, data_dir, device, engine, jobs, checkpoint_seconds, True)
    if not (as_json or quiet):
        _print_lesson(taught)
    if dry_run:
        _print_plan(taught, beside, as_json=as_json)
        return
    found.store.write_measurement(taught.file, taught.to_json())
    summaries = _train(taught, how, silent=quiet or as_json)
    _judge(found, taught, summaries, as_json=as_json)


def _train(taught: Lesson, how: RunOptions, *, silent: bool) -> dict[str, RunSummary]:
    from lottery.cli.progress import progress_listener
    from lottery.cli.signals import stop_on_signals
    from lottery.experiments import run_experiment

    made = {}
    for name, config in taught.configs.items():
        with stop_on_signals() as stop, progress_listener(config, silent=silent) as listener:
            made[name] = run_experiment(config, how, listener=listener, stop=stop)
    return made


def _judge(run: Any, taught: Lesson, made: dict[str, RunSummary], *, as_json: bool) -> None:
    from lottery.analysis import to_json
    from lottery.analysis.teaching import judge_teaching, teaching_text
    from lottery.errors import JobsFailedError
    from lottery.experiments import open_run

    runs: Any = {name: open_run(summary.run) for name, summary in made.items()}
    verdict = judge_teaching(run, taught.level, runs)
    if as_json:
        where = {name: str(summary.run) for name, summary in made.items()}
        lesson = taught.to_json() | {"no_small": taught.no_small, "runs": where}
        echo(json.dumps({**to_json(verdict), "lesson": lesson}, indent=2))
    else:
        echo(f"\n{teaching_text(verdict, taught.no_small)}\n")
        for summary in made.values():
            echo(f"run: {summary.run}")
    if failed := sum(summary.failed for summary in made.values()):
        raise JobsFailedError(f"{failed} of the trainings diverged; `lottery show` says which")


def _print_lesson(taught: Lesson) -> None:
    from lottery.cli.tables import print_table

    n, small = len(taught.replicates), taught.small
    echo(f"Learned from the tickets of level {taught.level}, {n} replicate{'s'[: n != 1]}:")
    if small is not None:
        echo(f"A smaller dense network, {small.model}, with about as many weights in each layer:")
        print_table(
            [
                {
                    "layer": layer,
                    "ticket keeps": f"{kept:,.0f}",
                    "units alive": f"{alive:,.1f}" if alive is not None else "-",
                    "units": width,
                    "weights": f"{weights:,}",
                }
                for layer, kept, alive, width, weights in zip(
                    [*(f"fc{i}" for i in range(1, len(small.widths) + 1)), "output"],
                    small.kept,
                    [*small.alive, None],
                    [*map(str, small.widths), "-"],
                    small.weights,
                    strict=True,
                )
            ]
        )
    else:
        echo(f"No smaller dense network: {taught.no_small}.")
    layers = taught.learned.layers
    echo(f"An initialization with the distribution of the {taught.weights} weights that they keep:")
    print_table(
        [{"layer": name, "positive": f"{one.positive:.1%}"} for name, one in layers.items()]
    )


def _print_plan(taught: Lesson, out: Path, *, as_json: bool) -> None:
    from lottery.experiments import plan, run_directory
    from lottery.store import Store

    planned = []
    for name, config in taught.configs.items():
        directory = run_directory(out, config)
        there = sum(map(Store(directory).is_finished, plan(config)))
        said = {"model": config.model, "initialization": config.initialization}
        planned.append(
            {"lesson": name, "run": str(directory), **said, "trainings": config.replicates}
            | {"finished": there, "length": str(config.training.length)}
        )
    if as_json:
        echo(json.dumps({"lesson": taught.to_json(), "planned": planned}, indent=2))
        return
    for one in planned:
        echo(
            f"{one['run']}: {one['trainings']} trainings of {one['model']} for {one['length']}, "
            f"initialization {one['initialization']}; {one['finished']} of them are there already"
        )
