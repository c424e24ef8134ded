"""The command ``lottery``."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from lottery.blas import prefer_kernels
from lottery.cli import compare, configs, lists, run, runs
from lottery.cli.output import echo

_EXAMPLES = """
Examples:

  lottery demo                                  a winning ticket on bundled digits, with a report

  lottery run lenet-300-100/mnist --dry-run     what the paper's experiment will take here

  lottery run lenet-300-100/mnist --replicates 3 --set controls.reinit=1

  lottery verdict lenet --json                  every number of the verdict
"""

app = typer.Typer(
    name="lottery",
    help="Find winning tickets: sparse subnetworks that, trained from their own initialization, "
    "do as well as the dense network and get there as fast.",
    epilog=_EXAMPLES.replace("\n\n", "\n\n\n"),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
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
    debug = "--debug" in sys.argv
    try:
        app(prog_name="lottery")
    except BrokenPipeError:
        # The reader of our output has gone, as with `lottery list ... | head -1`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        from lottery.errors import LotteryError

        if isinstance(error, OSError | UnicodeEncodeError) and not debug:
            # Files of ours raise errors of ours, so this is standard output: full, or too narrow
            # for a name in it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            echo(f"error: cannot write the output: {error}", err=True)
            sys.exit(1)
        if debug or not isinstance(error, LotteryError):
            raise
        label = "stopped" if error.exit_code == 75 else "error"
        echo(f"{label}: {error}", err=True)
        sys.exit(error.exit_code)
