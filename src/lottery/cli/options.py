"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option("--out", help="Directory that runs live in.")]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where datasets lie; before $LOTTERY_DATA and the cache."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        help="An engine's name, see lottery list engines; or auto, the fastest that can train "
        "the network.",
    ),
]
Jobs = Annotated[
    str,
    typer.Option(
        "--jobs",
        help="Trainings at once, each on one thread: a number, or auto for one per core. Results "
        "are the same for any.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress; results only.")]
CheckpointSeconds = Annotated[
    float,
    typer.Option("--checkpoint-seconds", help="Seconds between checkpoints inside a job.", min=0.0),
]
RunName = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run: its directory, its name, or how its name begins."),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")]
