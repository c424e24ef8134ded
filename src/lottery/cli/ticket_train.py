"""``lottery ticket train``: tickets of one task, trained on another."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lottery.cli import options
from lottery.cli.analyse import RunCode
from lottery.cli.loading import load
from lottery.cli.output import echo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lottery.experiments import Experiment, ExperimentConfig, RunOptions, RunSummary
    from lottery.tickets import Ticket


def train(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Ticket files, one a replicate; or a run, whose tickets are taken.",
        ),
    ],
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="RECIPE|FILE",
            help="The experiment to train them in; if not given, that of the run.",
        ),
    ] = None,
    level: Annotated[
        int | None,
        options.whole(
            help="Of a run, which level; if not given, the smallest that is confirmed, or matches."
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=C", help="Change one value of the experiment."),
    ] = None,
    replicates: Annotated[
        int | None,
        options.whole(help="If not given, as many as tickets; with more they take them in turn."),
    ] = None,
    found_there: Annotated[
        bool, typer.Option(help="Find tickets there too, at the same density, to compare with.")
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be trained; write nothing.")
    ] = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Everything, tiny: seconds instead of hours.")
    ] = False,
    run_code: RunCode = False,
    out: options.Out = Path("runs"),
    data_dir: options.DataDir = None,
    device: options.Device = "auto",
    engine: options.Engine = "auto",
    jobs: options.Jobs = "auto",
    checkpoint_seconds: options.CheckpointSeconds = 30.0,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train tickets on another task than their own.

    Other data, another optimizer, loss or length, against the dense network there, the tickets
    reinitialized and shuffled, and tickets found there. The same command again goes on.

    \b
    Examples:
      lottery ticket train demo --set data.split=1 --dry-run
      lottery ticket train demo --set data.name=fashion-mnist
      lottery ticket train a.safetensors --recipe demo
    """
    del debug
    load(line=True, silent=quiet or as_json)
    from lottery.analysis import judge_transfer, to_json, transfer_text
    from lottery.cli.run import SMOKE_NOTE, make_options
    from lottery.errors import JobsFailedError
    from lottery.experiments import bind, open_run, prepare_transfer
    from lottery.experiments import smoke as shrink
    from lottery.store.ticket_file import ticket_sha256

    tickets, values = _sources(sources, recipe, level, out, code=run_code)
    config = _config(values, overrides or [], replicates or len(tickets), recipe or sources[0])
    # One that is named more than once is one ticket, which replicates take in turn.
    tickets = list({ticket_sha256(ticket): ticket for ticket in tickets}.values())
    if smoke:
        enough, config = len(tickets) <= config.replicates, shrink(config)
        tickets = tickets[: config.replicates] if enough else tickets
    run_options = make_options(out, data_dir, device, engine, jobs, checkpoint_seconds, True)
    if dry_run:
        _print_plan(config, tickets, run_options, found_there=found_there, as_json=as_json)
        return
    bound = bind(config, run_options)
    transfer = prepare_transfer(bound, tickets, out, found_there=found_there)
    given = _run(transfer.given, run_options, silent=quiet or as_json)
    found = transfer.found and _run(transfer.found, run_options, silent=quiet or as_json)
    there = open_run(given.run)
    verdict = judge_transfer(
        there,
        open_run(found.run) if found else None,
        source=_words(tickets),
        target=" with ".join(filter(None, (there.facts.title, ", ".join(overrides or [])))),
        before=_leads(tickets, there.config.replicates),
        new_layers=transfer.new_layers,
    )
    if as_json:
        echo(json.dumps(to_json(verdict), indent=2))
    else:
        echo(transfer_text(verdict))
        echo(f"\nruns: {', '.join(str(one.run) for one in (given, found) if one)}")
        if smoke:
            echo(SMOKE_NOTE)
    failed = given.failed + (found.failed if found else 0)
    if failed:
        raise JobsFailedError(
            f"{failed} of the jobs diverged, collapsed or could not be run; lottery show says which"
        )


def _sources(
    sources: Sequence[str], recipe: str | None, level: int | None, out: Path, *, code: bool
) -> tuple[list[Ticket], dict[str, Any]]:
    """The tickets, and the plain config that they are trained by."""
    from lottery.cli.configs import base_values
    from lottery.errors import UsageError
    from lottery.tickets import Ticket

    if all(Path(source).is_file() for source in sources):
        if recipe is None:
            raise UsageError(
                "a ticket file does not say how to train: name an experiment by --recipe, such as "
                "--recipe lenet-300-100/mnist"
            )
        return [Ticket.load(source) for source in sources], base_values(recipe, out)
    if len(sources) > 1:
        missing = next(source for source in sources if not Path(source).is_file())
        raise UsageError(f"expected ticket files, or one run, got '{missing}', which is no file")
    if sources[0].endswith(".safetensors"):
        raise UsageError(f"there is no file {sources[0]}")
    tickets, values = _of_run(sources[0], level, out, code=code or recipe is not None)
    return tickets, values if recipe is None else base_values(recipe, out)


def _of_run(
    name: str, level: int | None, out: Path, *, code: bool
) -> tuple[list[Ticket], dict[str, Any]]:
    from lottery.errors import UsageError
    from lottery.experiments import ExperimentConfig, open_run, to_plain
    from lottery.inside.subject import check_trusted
    from lottery.store import MAIN, JobKey

    run = open_run(name, out)
    config = run.config
    if not isinstance(config, ExperimentConfig):
        raise UsageError(f"{run.name} is of a loop of your own; train its tickets in a loop")
    check_trusted(run, config, code=code)
    first = run.ticket(level)
    level = first.provenance["level"]
    numbers = [n for n in range(config.replicates) if JobKey(n, MAIN, level) in run.results]
    return [run.ticket(level, number) for number in numbers], to_plain(config)


def _config(
    values: dict[str, Any], overrides: Sequence[str], replicates: int, source: str
) -> ExperimentConfig:
    from lottery.experiments import load_config, merge, parse_override

    asked = values.get("controls", {})
    controls = {name: max(1, asked.get(name, 0)) for name in ("reinit", "random_mask")}
    values = merge(values, {"replicates": replicates, "controls": controls})
    for override in overrides:
        values = merge(values, parse_override(override), emptying=True)
    return load_config(values, source=f"the config ({source})")


def _run(config: ExperimentConfig, run_options: RunOptions, *, silent: bool) -> RunSummary:
    from lottery.cli.progress import progress_listener
    from lottery.cli.signals import stop_on_signals
    from lottery.experiments import run_experiment

    with stop_on_signals() as stop, progress_listener(config, silent=silent) as listener:
        return run_experiment(config, run_options, listener=listener, stop=stop)


def _print_plan(
    config: ExperimentConfig,
    tickets: Sequence[Ticket],
    run_options: RunOptions,
    *,
    found_there: bool,
    as_json: bool,
) -> None:
    """Say what both runs would train, and what of it is there; nothing is written or downloaded."""
    from lottery.cli.dry_run import data_at_hand
    from lottery.experiments import bind, prepare_transfer

    data, missing = data_at_hand(config, run_options)
    bound = bind(config, run_options, data=data)
    transfer = prepare_transfer(
        bound, tickets, run_options.out, found_there=found_there, write=False
    )
    runs = [
        bind(of, run_options, data=data)
        for of in (transfer.given, transfer.found)
        if of is not None
    ]
    planned = [
        _planned(one, run_options, before=runs[:number], is_known=not missing)
        for number, one in enumerate(runs)
    ]
    if as_json:
        said = {"planned": planned, "drawn_anew": transfer.new_layers, "data_missing": missing}
        echo(json.dumps(said, indent=2))
        return
    echo(f"{_words(tickets)} would be trained on {config.model} on {config.data.name}:")
    for one in planned:
        kinds = ", ".join(f"{kind}: {number}" for kind, number in one["kinds"].items())
        there = f"{one['finished']} are there already"
        there += f", {one['shared']} are those of the run above" if one["shared"] else ""
        echo(f"{one['run']}: {one['trainings']} trainings for {one['length']} ({kinds}); {there}")
    if transfer.new_layers:
        echo(f"With another number of classes, drawn anew: {', '.join(transfer.new_layers)}.")
    if missing:
        echo(f"The data are not here yet: {missing}.")


def _planned(
    experiment: Experiment, run_options: RunOptions, *, before: Sequence[Experiment], is_known: bool
) -> dict[str, Any]:
    """What one run would train.

    Args:
        experiment: of the run.
        run_options: as it would be run.
        before: the runs that are planned before it, whose trainings it shares.
        is_known: whether the data are here, which tell what of it is there.
    """
    from lottery.cli.dry_run import reusable
    from lottery.experiments import ExperimentConfig, check_against_data, plan, run_directory
    from lottery.store import MAIN
    from lottery.tasks.supervised import Supervised
    from lottery.training import resolve_device

    config, task = experiment.config, experiment.task
    assert isinstance(config, ExperimentConfig), "of own loops there is no other task"
    assert isinstance(task, Supervised), "bound to data"
    check_against_data(config, task, experiment.context)
    device = resolve_device(run_options.device).type
    there = reusable(experiment, run_options, device) if is_known else set()
    trained = {one.identity(key) for one in before for key in plan(one.config)}
    jobs = plan(config)
    shared = sum(experiment.identity(key) in trained for key in jobs if key not in there)
    names = {MAIN: "tickets"}
    kinds = Counter(
        names.get(key.kind, key.kind) if key.level else "dense networks" for key in jobs
    )
    return {
        "run": str(run_directory(run_options.out, config)),
        "trainings": len(jobs),
        "kinds": kinds,
        "levels": config.levels,
        "length": str(config.training.length),
        "finished": len(there),
        "shared": shared,
    }


def _words(tickets: Sequence[Ticket]) -> str:
    """What tickets say of where they are from."""
    said = tickets[0].provenance
    parts = [f"level {said['level']}"] if "level" in said else []
    parts += [f"{tickets[0].mask.density:.2%} of the weights"]
    from_where = said.get("experiment", "a file")
    on = f", found on {said['data']}" if "data" in said else ""
    n = len(tickets)
    return f"{n} ticket{'s'[: n != 1]} of {from_where} ({', '.join(parts)}){on},"


def _leads(tickets: Sequence[Ticket], replicates: int) -> dict[int, float]:
    """Replicate -> how far its ticket was above its dense network where it was found.

    Of tickets that several replicates share nothing is said: they would count twice.
    """
    if len(tickets) != replicates:
        return {}
    said = [ticket.provenance for ticket in tickets]
    return {
        number: one["score"] - one["dense_score"]
        for number, one in enumerate(said)
        if "score" in one and "dense_score" in one and one.get("score_name") == "accuracy"
    }
