"""A word before PyTorch is imported, which takes a quarter of a minute from a cold disk."""

from __future__ import annotations

import sys

import typer

_WORDS = "loading PyTorch"


def load(*, line: bool = False, silent: bool = False) -> None:
    """Import PyTorch, and say so first.

    Args:
        line: leave a line, on a terminal or not; else the words stand on a terminal only, and go
            when they are no longer true.
        silent: say nothing.
    """
    terminal = sys.stderr is not None and sys.stderr.isatty()
    if silent or "torch" in sys.modules or not (line or terminal):
        return
    typer.echo(_WORDS, err=True, nl=line)
    import torch  # noqa: F401 - imported for those that come after

    if not line:
        typer.echo(f"\r{' ' * len(_WORDS)}\r", err=True, nl=False)
