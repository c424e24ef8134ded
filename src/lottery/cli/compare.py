"""``lottery compare``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lottery.cli import options
from lottery.cli.analyse import progress_line
from lottery.cli.loading import load
from lottery.cli.output import echo

_Runs = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN",
        help="Two or more runs, each by its directory, its name, or how its name begins. All are "
        "compared with the first.",
    ),
]


def compare(
    runs: _Runs,
    report: options.Report = None,
    margin: options.Margin = None,
    confidence: options.Confidence = None,
    tolerance: Annotated[
        float,
        typer.Option(
            metavar="X",
            parser=options.number,
            help="Densities are compared whose ratio is at most 1 + this.",
        ),
    ] = 0.02,
    cost: Annotated[
        bool,
        typer.Option(
            "--cost",
            help="What it cost to come to a ticket too: all trainings that it took, in "
            "multiplications and seconds.",
        ),
    ] = False,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Compare runs side by side.

    Accuracy and early stop at each density, what tests confirm, settings and cost.

    \b
    Examples:
      lottery compare magnitude random
      lottery compare magnitude random --report compare.html
      lottery compare iterative snip --cost
      lottery compare demo-12ab34cd demo-56ef78ab --json
    """
    del debug
    load()
    from lottery.analysis import compare_runs, comparison_text, to_json
    from lottery.analysis.text import WIDTH
    from lottery.cli.tables import terminal_width
    from lottery.experiments import open_run

    with progress_line(silent=as_json) as progress:
        opened = []
        for number, run in enumerate(runs):
            progress(f"reading run {number + 1} of {len(runs)}: {run}")
            opened.append(open_run(run, out))
        progress("comparing")
        found = compare_runs(
            opened, margin=margin, confidence=confidence, tolerance=tolerance, cost=cost
        )
    if report is not None:
        from lottery.report import write_comparison

        write_comparison(found, report)
    if as_json:
        echo(json.dumps(to_json(found), indent=2))
        return
    echo(comparison_text(found, width=max(WIDTH, terminal_width())).rstrip())
    if report is None:
        echo("\nWith --report FILE.html the same is written as a page with figures.")
    else:
        echo(f"\nreport: {report}")
