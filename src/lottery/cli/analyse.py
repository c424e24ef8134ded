"""The verb ``analyse``: one command an analysis, which looks inside the tickets of a run."""

from __future__ import annotations

import inspect
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lottery.cli import options
from lottery.cli.loading import load
from lottery.cli.output import echo
from lottery.errors import printable

if TYPE_CHECKING:
    from lottery.inside import Measurement, Table
    from lottery.inside.subject import Progress

app = typer.Typer(
    name="analyse",
    help="Look inside the tickets of a run: each figure beside what it would be by chance.",
    short_help="Look inside the tickets of a run.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


_MOST = 10_000
"""Numbers in a range, which is more than any run has of anything that is asked for so."""


def numbers(text: str) -> tuple[int, ...]:
    """Numbers and ranges as they are typed.

    >>> numbers("0-2,5")
    (0, 1, 2, 5)
    """
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        ends = (first, last if dash else first)
        known = all(end.isdecimal() and len(end) < 13 for end in ends)
        span = range(int(ends[0]), int(ends[1]) + 1) if known else range(0)
        if not 0 < len(span) <= _MOST:
            raise typer.BadParameter(f"expected numbers such as 0-4,8, got '{text[:40]}'")
        found.update(span)
    return tuple(sorted(found))


Levels = Annotated[
    Any,
    typer.Option("--levels", metavar="N-M", parser=numbers, help="Levels such as 0-4,8; else all."),
]
Replicates = Annotated[
    Any,
    typer.Option("--replicates", metavar="N-M", parser=numbers, help="Replicates; else all."),
]
Again = Annotated[bool, typer.Option("--again", help="Compute anew what was found before.")]


def _directory(path: Path | None) -> Path | None:
    """Check, before anything is computed, that no file is where a directory is to be."""
    for place in (path, *path.parents) if path is not None else ():
        if os.path.isfile(place):
            raise typer.BadParameter(f"expected a directory, got a file: {printable(str(place))}")
    return path


CsvDir = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        metavar="DIR",
        help="Write each table as a CSV file here.",
        callback=_directory,
    ),
]
RunCode = Annotated[
    bool, typer.Option("--run-code", help="Run code that the run's config names: you trust it.")
]


def _of_all(
    run: options.RunName,
    levels: Levels = None,
    replicates: Replicates = None,
    again: Again = False,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
    csv_dir: CsvDir = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """The options of every analysis."""


def _of_computing(
    data_dir: options.DataDir = None, device: options.Device = "auto", run_code: RunCode = False
) -> None:
    """Those of the ones that need the network and its data."""


def verb(*, computes: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a command of a function that has an analysis' name, its settings as options, and help.

    Args:
        computes: whether it needs the network and its data, not the run's files alone.
    """

    def made(declared: Callable[..., None]) -> Callable[..., None]:
        own = _parameters(declared)
        run, *others = _parameters(_of_all)
        everything = [run, *own, *others, *(_parameters(_of_computing) if computes else [])]

        def command(**given: Any) -> None:
            del given["debug"]
            if computes:
                from lottery.experiments import RunOptions

                where = {name: given.pop(name) for name in ("data_dir", "device")}
                given |= {"options": RunOptions(**where), "code": given.pop("run_code")}
            settings = {one.name: given.pop(one.name) for one in own}
            measure(declared.__name__, **given, settings=settings)

        command.__name__, command.__doc__ = declared.__name__, declared.__doc__
        command.__annotations__ = {one.name: one.annotation for one in everything}
        command.__signature__ = inspect.Signature(everything)  # type: ignore[attr-defined]
        return command

    return made


def _parameters(function: Callable[..., None]) -> list[inspect.Parameter]:
    found = inspect.signature(function, eval_str=True).parameters.values()
    return [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in found]


def measure(
    name: str,
    run: str,
    out: Path,
    *,
    levels: tuple[int, ...] | None,
    replicates: tuple[int, ...] | None,
    again: bool,
    as_json: bool,
    csv_dir: Path | None,
    quiet: bool,
    settings: dict[str, Any] | None = None,
    stopped: str = "while the run was looked at, which changes nothing of it",
    **how: Any,
) -> None:
    """Look at a run with an analysis, and print what it found.

    Args:
        name: of the analysis.
        run: as it was typed.
        out: where runs live.
        levels: None for all.
        replicates: None for all.
        again: whether what was found before is not read.
        as_json: whether to print JSON.
        csv_dir: where each table goes as a CSV file; None: nowhere.
        quiet: whether nothing is said of how far it is; nor is it beside JSON.
        settings: the analysis' own.
        stopped: what to say of where Ctrl-C stopped it.
        **how: as for `lottery.inside.analyse`; files that the run's config names are looked for
            beside the run, whatever ``options.out`` says.
    """
    silent = quiet or as_json
    load(line=True, silent=silent)
    from lottery.cli.signals import stop_on_signals
    from lottery.experiments import RunOptions, find_run, open_run
    from lottery.inside import ANALYSES, analyse

    with stop_on_signals(stopped), progress_line(silent=silent) as progress:
        path = find_run(run, out)
        progress(f"{name}: reading {path}")
        looked_at = open_run(path)
        beside = looked_at.store.path.resolve().parent
        found = analyse(
            looked_at,
            ANALYSES[name],
            levels=levels,
            replicates=replicates,
            settings=settings,
            again=again,
            progress=progress,
            **how | {"options": replace(how.get("options", RunOptions()), out=beside)},
        )
    if csv_dir is not None:
        _write_csv(found, csv_dir)
    echo(json.dumps(found.to_json(), indent=2) if as_json else text(found))


def text(found: Measurement) -> str:
    """A measurement as text for a terminal: its sentences, then its tables."""
    parts = list(found.found)
    for table in found.tables:
        if not table.rows:
            continue
        parts += [f"\n{table.title}", table_text(table), table.note]
    return "\n".join(part for part in parts if part)


def table_text(table: Table) -> str:
    """A table as aligned columns; the middle of a long one is left out, which is said."""
    rows = [[_cell(value) for value in row] for row in table.rows]
    left_out = len(rows) - 2 * _ENDS
    if left_out > 1:
        rows = [*rows[:_ENDS], *rows[-_ENDS:]]
    heads = [name.replace("_", " ") for name in table.columns]
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    lines = [
        "  ".join(value.rjust(width) for value, width in zip(row, widths, strict=True)).rstrip()
        for row in [heads, *rows]
    ]
    if left_out > 1:
        lines.insert(_ENDS + 1, f"... {left_out:,} more rows: --csv DIR")
    return "\n".join(lines)


_ENDS = 12


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        # Counts may be means.
        return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"
    return str(value)


def _write_csv(found: Measurement, directory: Path) -> None:
    from lottery.store.commit import write_file

    for table in found.tables:
        target = directory / f"{found.analysis}-{table.name}.csv"
        write_file(target, table.csv().encode())
        echo(f"wrote {target}", err=True)


@contextmanager
def progress_line(
    *, silent: bool = False, clock: Callable[[], float] = time.monotonic
) -> Iterator[Progress]:
    """Shows what is done just now.

    On a terminal in one line that is gone afterwards; elsewhere in lines, one now and then.

    Args:
        silent: whether nothing is shown.
        clock: tells seconds.
    """
    from lottery.cli.progress import LINE_SECONDS

    shown, said = 0, -math.inf
    terminal = sys.stderr is not None and sys.stderr.isatty()

    def show(words: str) -> None:
        nonlocal shown, said
        if silent:
            return
        if terminal:
            words = printable(words)[:79]
            typer.echo(f"\r{words.ljust(shown)}", err=True, nl=False)
            shown = len(words)
        elif clock() - said >= LINE_SECONDS:
            said = clock()
            echo(words, err=True)

    try:
        yield show
    finally:
        if shown:
            typer.echo(f"\r{' ' * shown}\r", err=True, nl=False)
