"""Progress on standard error, which leaves standard output to results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lottery.errors import printable

Advance = Callable[[int], None]
"""Called with how much more is done."""


@contextmanager
def progress_bar(
    description: str, total: int | None, *, visible: bool, in_bytes: bool = False
) -> Iterator[Advance]:
    """A bar of things done, or of bytes; ``total`` is None where it is not known."""
    # rich is slow to import and needed for a bar alone.
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    numbers = (
        (DownloadColumn(), TransferSpeedColumn())
        if in_bytes
        else (MofNCompleteColumn(), TimeRemainingColumn())
    )
    columns = ("{task.description}", BarColumn(), *numbers)
    with Progress(*columns, console=Console(stderr=True), disable=not visible) as bar:
        task = bar.add_task(escape(printable(description)), total=total)
        yield lambda more: bar.advance(task, more)


def print_line(line: str, *, visible: bool) -> None:
    """One line, if it is to be shown."""
    if visible:
        sys.stderr.write(f"{printable(line)}\n")
        sys.stderr.flush()
