"""The command ``lottery``."""

from __future__ import annotations

import os
import sys
from difflib import get_close_matches
from io import TextIOWrapper
from typing import Annotated, Any

import typer

from lottery.blas import prefer_kernels
from lottery.cli import (
    analyse,
    analyse_connectivity,
    analyses,
    compare,
    configs,
    lists,
    run,
    runs,
    teach,
    ticket,
)
from lottery.cli.output import echo

_EXAMPLES = """\b
Examples:
  lottery demo
  lottery run lenet-300-100/mnist --dry-run
  lottery run demo --replicates 3 --set controls.reinit=1
  lottery verdict demo --json

Each command has more: lottery run --help
"""

app = typer.Typer(
    name="lottery",
    help="Find winning tickets: sparse subnetworks that, trained from their own initialization, "
    "do as well as the dense network and get there as fast.",
    epilog=_EXAMPLES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Frames leave little room for words on a narrow terminal, and wrap examples.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(run.demo)
app.command("run")(run.run)
app.command("list")(lists.list_things)
app.command("show")(runs.show)
app.command("verdict")(runs.verdict)
app.command("report")(runs.report)
app.command("compare")(compare.compare)
app.command("verify")(runs.verify)
app.command("teach")(teach.teach)
for _verb in (
    analyses.masks,
    analyses.weights,
    analyse_connectivity.connectivity,
    analyses.alignment,
    analyses.curvature,
    analyses.cka,
    analyses.pools,
    analyses.shifts,
):
    analyse.app.command()(_verb)
app.add_typer(analyse.app, name="analyse")
app.add_typer(ticket.app, name="ticket")
app.add_typer(configs.app, name="config")


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        echo(f"lottery {version('lottery')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


def main() -> None:
    """Run the command; a user's mistake is one message and an exit code, never a traceback."""
    prefer_kernels()
    for stream in (sys.stdout, sys.stderr):
        # A question mark for a letter that the terminal does not have, rather than no verdict.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    debug = "--debug" in sys.argv
    try:
        sys.exit(app(prog_name="lottery", standalone_mode=False) or 0)
    except BrokenPipeError:
        # The reader of our output has gone, as with `lottery list ... | head -1`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        from lottery.errors import LotteryError

        if isinstance(error, OSError) and error.filename is not None and not debug:
            # A path from the command line that cannot even be looked at.
            echo(f"error: cannot use {error.filename}: {error.strerror}", err=True)
            sys.exit(1)
        if isinstance(error, OSError) and not debug:
            # Files of ours raise errors of ours, so this is standard output, which is full.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            echo(f"error: cannot write the output: {error}", err=True)
            sys.exit(1)
        if hasattr(error, "format_message"):  # typer's, whose class has moved between its versions
            echo(_usage_message(error), err=True)
            sys.exit(2)
        if debug or not isinstance(error, LotteryError):
            raise
        label = "stopped" if error.exit_code == 75 else "error"
        echo(f"{label}: {error}", err=True)
        sys.exit(error.exit_code)


def _options(command: Any) -> list[str]:
    return [name for parameter in command.params for name in parameter.opts]


def _usage_message(error: Any) -> str:
    """What to tell of words on the command line that typer has no use for."""
    said = str(error.format_message())
    if said.startswith("Usage:"):  # the help, which no words at all ask for
        return said
    if error.ctx is None:
        return f"error: {said[0].lower()}{said[1:]}"
    option = getattr(error, "option_name", None)
    if option and said.startswith("No such option"):
        known = _options(error.ctx.command)
        near = get_close_matches(option, known, n=1)
        said = f"no option '{option}'" + (f"; did you mean '{near[0]}'?" if near else ".")
        if error.ctx.command.name == "demo" and option in _options(
            error.ctx.parent.command.commands["run"]
        ):
            said = f"no option '{option}': the demo is as it is; try lottery run demo {option} ..."
    usage = " ".join(error.ctx.get_usage().split())
    return f"error: {said[0].lower()}{said[1:]}\n{usage}\nhelp: {error.ctx.command_path} --help"
