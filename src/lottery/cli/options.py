"""Options that several verbs share, and how numbers are read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from lottery.cli.output import echo


def whole_number(text: str) -> int:
    """A whole number as it is typed; the library's own message would be one for programmers."""
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"expected a whole number, got '{text[:40]}'") from None


def whole(*names: str, help: str, metavar: str = "N") -> Any:
    """An option that takes a whole number; named after its parameter where no name is given."""
    return typer.Option(*names, metavar=metavar, parser=whole_number, help=help)


def number(text: str) -> float:
    """A number as it is typed, neither infinite nor undefined."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise typer.BadParameter(f"expected a number, got '{text[:40]}'")
    return value


def seconds(text: str) -> float:
    """A time span: 0 or more."""
    value = number(text)
    if value < 0:
        raise typer.BadParameter(f"expected 0 seconds or more, got '{text[:40]}'")
    return value


_HEAD_BYTES = 4096


def report_file(text: str) -> Path:
    """The file that a report is written to; of a link, the file that it leads to.

    Writing replaces what is there, so that it must be a page of this program, and no device or
    pipe. That is checked here, before hours of training.
    """
    path = Path(text)
    if path.is_symlink():
        path = path.resolve()
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a directory; expected a file in it, or another")
    if path.exists() and not path.is_file():
        raise typer.BadParameter(f"{path} is no regular file; expected one, or a new name")
    if path.is_file() and path.stat().st_size and not _is_page(path):
        raise typer.BadParameter(
            f"{path} is there already and is no page of lottery; expected such a page or a new "
            "name, or move that file away"
        )
    if not path.parent.exists():
        echo(f"note: the directory {path.parent} is not there and will be made", err=True)
    return path


def _is_page(path: Path) -> bool:
    """Whether a file is a page that this program wrote."""
    try:
        with path.open("rb") as file:
            return b'name="generator" content="lottery ' in file.read(_HEAD_BYTES)
    except OSError as error:
        raise typer.BadParameter(f"cannot read {path}: {error.strerror}") from error


Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The directory that runs live in.")]
Report = Annotated[
    Path | None,
    typer.Option(
        "--report", metavar="FILE", parser=report_file, help="Write the report to this file too."
    ),
]
Margin = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        parser=number,
        help="How much worse still matches (for accuracy, 0.01 is one percentage point), in place "
        "of the run's own.",
    ),
]
Confidence = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        parser=number,
        help="Of intervals and tests, such as 0.95, in place of the run's own.",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Where datasets lie; before $LOTTERY_DATA and the cache.",
    ),
]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda or mps.")]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="An engine's name, see lottery list engines; or auto, the fastest that can train "
        "the network.",
    ),
]
Jobs = Annotated[
    str,
    typer.Option(
        "--jobs",
        metavar="N",
        help="Trainings at once, each on one thread: a number, or auto for one per core. Results "
        "are the same for any.",
    ),
]
Seed = Annotated[
    int | None,
    whole("--seed", help="Seed of every random choice."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress; results only.")]
CheckpointSeconds = Annotated[
    float,
    typer.Option(
        "--checkpoint-seconds",
        metavar="S",
        parser=seconds,
        help="Seconds between checkpoints inside a job.",
    ),
]
RunName = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run: its directory, its name, or how its name begins."),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")]
