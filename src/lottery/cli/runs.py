"""Verbs that read a finished or unfinished run: show, verdict, report, verify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lottery.cli import options
from lottery.cli.analyse import progress_line
from lottery.cli.loading import load
from lottery.cli.output import echo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lottery.analysis.score_format import ScoreFormat
    from lottery.experiments import Run
    from lottery.score import Score
    from lottery.store import JobResult


def show(
    run: options.RunName,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print every training as CSV, one a line.")
    ] = False,
    as_latex: Annotated[
        bool, typer.Option("--latex", help="Print a LaTeX table: densities by kinds of training.")
    ] = False,
    debug: options.Debug = False,
) -> None:
    """Show how far a run is, and its results.

    \b
    Examples:
      lottery show lenet-300-100-mnist
      lottery show runs/demo-12ab34cd --json
      lottery show demo --latex > table.tex
    """
    del debug
    load()
    from dataclasses import asdict

    from lottery.errors import UsageError
    from lottery.experiments import plan, unfinished_trainings
    from lottery.store import lock_holder

    if as_csv + as_latex + as_json > 1:
        raise UsageError("expected --csv, --latex or --json, got several: choose one")
    opened = _open(run, out)
    if as_csv:
        from lottery.report import replicates_csv

        echo(replicates_csv(opened).replace("\r\n", "\n"), nl=False)
        return
    if as_latex:
        from lottery.report import latex_table

        echo(latex_table(opened), nl=False)
        return
    jobs = plan(opened.config)
    results = [opened.results[key] for key in jobs if key in opened.results]
    under_way = unfinished_trainings(
        opened.store, opened.config, opened.experiment["data"].get("training_examples")
    )
    owner = lock_holder(opened.store.path)
    if as_json:
        shown = {
            "experiment": opened.experiment,
            "planned": len(jobs),
            "begun": [
                asdict(one.key)
                | {"iteration": one.iteration, "last": one.last, "at_most": one.at_most}
                for one in under_way
            ],
            "owner": owner,
            "results": [asdict(result) for result in results],
        }
        echo(json.dumps(shown, indent=2))
        return
    _print_head(opened, len(results), len(jobs))
    for one in under_way:
        echo(f"begun: {one}")
    if owner:
        echo(f"being worked on by {owner}")
    elif len(results) < len(jobs):
        echo("nobody works on it now; the command it was begun with goes on")
    if results:
        trains_on = opened.config.method.rewinding == "drawn"
        _print_results(results, opened.facts.score, trains_on=trains_on)


def _print_head(run: Run, done: int, planned: int) -> None:
    """What a run is, and what is notable of it."""
    from lottery.analysis.verdict_sentences import updates_caveat
    from lottery.cli.tables import wrapped
    from lottery.errors import printable

    environment = run.experiment["environment"]
    echo(f"{run.store.path}")
    echo(
        f"{printable(run.label)}: {printable(run.facts.title)}, {done} of {planned} trainings done"
    )
    began = (
        f"begun {run.experiment['begun']} with lottery {environment['lottery']}, torch "
        f"{environment['torch']}, engine {environment['engine']} on {environment['device']}"
    )
    echo(wrapped(began))
    if run.experiment["command"]:
        echo(f"command: {run.experiment['command']}")
    changing = updates_caveat(run.facts.mask_updates)
    if changing:
        echo(changing)
    for path in run.store.corrupt():
        echo(f"set aside as damaged: {path}")


def verdict(
    run: options.RunName,
    margin: options.Margin = None,
    confidence: options.Confidence = None,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Test the lottery ticket hypothesis on a run.

    \b
    Examples:
      lottery verdict lenet-300-100-mnist
      lottery verdict runs/demo-12ab34cd --margin 0.01
      lottery verdict demo --json
    """
    del debug
    load()
    from lottery.analysis import judge_run, to_json, verdict_text

    judged = judge_run(_open(run, out), margin=margin, confidence=confidence)
    echo(json.dumps(to_json(judged), indent=2) if as_json else verdict_text(judged).rstrip())


def report(
    run: options.RunName,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            parser=options.report_file,
            help="Where to write it, if not into the run's directory.",
        ),
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
    """Write a run's report, one HTML file.

    It opens anywhere, offline.

    \b
    Examples:
      lottery report demo
      lottery report demo --report demo.html
      lottery report demo --figures figures
    """
    del debug
    load()
    from lottery.experiments import find_run
    from lottery.report import write_figures, write_report

    path = find_run(run, out)
    if figures is None or report is not None:
        with progress_line() as progress:
            written_to = write_report(path, report or path / "report.html", progress=progress)
        echo(written_to)
    if figures is not None:
        written, missing = write_figures(path, figures)
        for file in written:
            echo(file)
        if missing:
            echo(missing, err=True)


def verify(
    run: options.RunName,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Check a run's files against their hashes.

    Those of its trainings, tickets that it was given, and what analyses keep.

    \b
    Example:
      lottery verify demo
    """
    del debug
    load()
    from lottery.errors import StoreError
    from lottery.experiments import find_run, verify_run
    from lottery.inside import kept_problems
    from lottery.store import JobKey, Store

    path = find_run(run, out)
    with progress_line(silent=as_json) as progress:
        checked = verify_run(path, progress=progress) | kept_problems(Store(path))
    # A link may stand in the way of many trainings.
    problems = list(dict.fromkeys(problem for found in checked.values() for problem in found))
    if as_json:
        echo(json.dumps({str(key): found for key, found in checked.items()}, indent=2))
    else:
        for problem in problems:
            echo(problem)
        trainings = [not found for key, found in checked.items() if isinstance(key, JobKey)]
        files = [not found for key, found in checked.items() if isinstance(key, str)]
        told = f"{path}: {sum(trainings)} of {len(trainings)} finished trainings are whole"
        if files:
            told += f", and {sum(files)} of {len(files)} files of given tickets and analyses"
        echo(told)
    if any(found for key, found in checked.items() if not isinstance(key, str)):
        raise StoreError(
            "the run has damaged files; running its command again sets them aside and makes "
            "them anew"
        )
    if problems:
        raise StoreError("the run has files that are not what was written; see above")


def _open(run: str, out: Path) -> Run:
    from lottery.experiments import open_run

    return open_run(run, out)


def _print_results(results: Sequence[JobResult], score: Score, *, trains_on: bool) -> None:
    from lottery.analysis.score_format import ScoreFormat
    from lottery.cli.progress import describe_empty_layers
    from lottery.cli.tables import print_table, wrapped

    written = ScoreFormat(score)
    print_table([_row(result, written) for result in results])
    for result in results:
        if result.status != "done":
            echo(f"{result.key}: {result.status}, since {result.reason}")
        elif result.empty_layers:
            echo(f"{result.key}: {describe_empty_layers(result)}")
        if "drawn" in result.provenance:
            at, how = result.provenance.get("drawn_at"), result.provenance["drawn"]
            on = ", trained on from there" if trains_on else ""
            echo(f"{result.key}: mask drawn at iteration {at}{on}; {how}")
    if all(result.early_stop_iteration is None for result in results):
        echo(f"repl.: replicate; final: test {written.name} at the end; s: seconds")
        return
    note = (
        "repl.: replicate; stop: iteration of lowest validation loss; "
        f"{written.short}: test {written.name} there; final: at the end; s: seconds"
    )
    echo(wrapped(note))


def _row(result: JobResult, score: ScoreFormat) -> dict[str, Any]:
    def written(value: float | None) -> str | None:
        return None if value is None else score.with_unit(value)

    return {
        "repl.": result.replicate,
        "branch": result.branch,
        "level": result.level,
        "density": f"{result.density:.2%}",
        "status": result.status,
        "stop": result.early_stop_iteration,
        score.short: written(result.score_at_early_stop),
        "final": written(result.score_final),
        "s": f"{result.seconds:.1f}",
    }
