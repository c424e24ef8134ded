"""Printing: all text reaches the terminal through `echo`.

A run, a tar file or a lock may be somebody else's, and text from it may hold control sequences that
move the cursor, hide text or rename the window.
"""

from __future__ import annotations

import typer

from lottery.errors import printable


def echo(message: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a message that may hold text from files, as `printable` has it.

    Args:
        message: what to print.
        err: to standard error instead of standard output.
        nl: whether the line ends after it.
    """
    typer.echo(printable(str(message)), err=err, nl=nl)
