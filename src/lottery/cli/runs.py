"""Verbs that read a finished or unfinished run: show, verdict, report, verify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lottery.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lottery.experiments import Run
    from lottery.store import JobResult


def show(
    run: options.RunName,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print every training as CSV, one a line.")
    ] = False,
    debug: options.Debug = False,
) -> None:
    """Show a run: what it is, how far it is, and every training's result."""
    del debug
    from dataclasses import asdict

    from lottery.experiments import plan

    opened = _open(run, out)
    if as_csv:
        from lottery.errors import UsageError
        from lottery.report import replicates_csv

        if as_json:
            raise UsageError("expected --csv or --json, got both: choose one")
        typer.echo(replicates_csv(opened), nl=False)
        return
    results = [opened.results[key] for key in plan(opened.config) if key in opened.results]
    if as_json:
        listed = [asdict(result) for result in results]
        typer.echo(json.dumps({"experiment": opened.experiment, "results": listed}, indent=2))
        return
    from lottery.analysis.words import updates_caveat

    environment = opened.experiment["environment"]
    typer.echo(f"{opened.store.path}")
    typer.echo(
        f"{opened.config.name}: {opened.config.model} on {opened.config.data.name}, "
        f"{len(results)} of {len(plan(opened.config))} trainings done"
    )
    typer.echo(
        f"begun {opened.experiment['begun']} with lottery {environment['lottery']}, torch "
        f"{environment['torch']}, engine {environment['engine']} on {environment['device']}"
    )
    if opened.experiment["command"]:
        typer.echo(f"command: {opened.experiment['command']}")
    changing = updates_caveat(opened.config.training.mask_updates.method)
    if changing:
        typer.echo(changing)
    for path in opened.store.corrupt():
        typer.echo(f"set aside as damaged: {path}")
    if results:
        _print_results(results, trains_on=opened.config.rewind.method == "drawn")


def verdict(
    run: options.RunName,
    margin: Annotated[
        float | None, typer.Option(help="Judge with another margin (a fraction of 1).")
    ] = None,
    confidence: Annotated[float | None, typer.Option(help="Judge with another confidence.")] = None,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Test the lottery ticket hypothesis on a run.

    Examples:

      lottery verdict lenet-300-100-mnist

      lottery verdict runs/demo-12ab34cd --margin 0.01 --json
    """
    del debug
    from lottery.analysis import judge_run, to_json, verdict_text

    judged = judge_run(_open(run, out), margin=margin, confidence=confidence)
    typer.echo(json.dumps(to_json(judged), indent=2) if as_json else verdict_text(judged).rstrip())


def report(
    run: options.RunName,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write it.")
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(
            "--figures",
            metavar="DIR",
            help="Write every figure and table into this directory instead: SVG and CSV, and PNG "
            "where a browser is found.",
        ),
    ] = None,
    out: options.Out = Path("runs"),
    debug: options.Debug = False,
) -> None:
    """Write a run's report: one HTML file that opens anywhere, offline.

    Examples:

      lottery report lenet-300-100-mnist --output report.html

      lottery report runs/demo-12ab34cd --figures figures
    """
    del debug
    from lottery.experiments import find_run
    from lottery.report import write_figures, write_report

    path = find_run(run, out)
    if figures is None or output is not None:
        typer.echo(write_report(path, output or path / "report.html"))
    if figures is not None:
        written, missing = write_figures(path, figures)
        for file in written:
            typer.echo(file)
        if missing:
            typer.echo(missing, err=True)


def verify(
    run: options.RunName,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Check every file of a run against the hashes in its manifests."""
    del debug
    from lottery.errors import StoreError
    from lottery.experiments import find_run, verify_run

    path = find_run(run, out)
    checked = verify_run(path)
    problems = [problem for found in checked.values() for problem in found]
    if as_json:
        typer.echo(json.dumps({str(key): found for key, found in checked.items()}, indent=2))
    else:
        for problem in problems:
            typer.echo(problem)
        good = sum(not found for found in checked.values())
        typer.echo(f"{path}: {good} of {len(checked)} finished trainings are whole")
    if problems:
        raise StoreError(
            "the run has damaged files; running its command again sets them aside and makes "
            "them anew"
        )


def _open(run: str, out: Path) -> Run:
    from lottery.experiments import find_run, open_run

    return open_run(find_run(run, out))


def _print_results(results: Sequence[JobResult], *, trains_on: bool) -> None:
    from lottery.cli.progress import passed_by
    from lottery.cli.tables import print_table

    print_table([_row(result) for result in results])
    for result in results:
        if result.status != "done":
            typer.echo(f"{result.key}: {result.status}, since {result.reason}")
        elif result.empty_layers:
            typer.echo(f"{result.key}: {passed_by(result)}")
        if "drawn" in result.provenance:
            at, how = result.provenance.get("drawn_at"), result.provenance["drawn"]
            on = ", trained on from there" if trains_on else ""
            typer.echo(f"{result.key}: mask drawn at iteration {at}{on}; {how}")
    typer.echo(
        "repl.: replicate; stop: iteration of lowest validation loss; "
        "acc.: test accuracy there; final: at the end; s: seconds"
    )


def _row(result: JobResult) -> dict[str, Any]:
    def percent(value: float | None) -> str | None:
        return None if value is None else f"{value:.2%}"

    return {
        "repl.": result.replicate,
        "branch": result.branch,
        "level": result.level,
        "density": percent(result.density),
        "status": result.status,
        "stop": result.early_stop_iteration,
        "acc.": percent(result.test_accuracy_at_early_stop),
        "final": percent(result.test_accuracy_final),
        "s": f"{result.seconds:.1f}",
    }
