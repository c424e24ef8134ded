"""Progress on standard error, which leaves standard output to results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lottery.errors import printable


@contextmanager
def counted(description: str, total: int, visible: bool) -> Iterator[Callable[[], None]]:
    """A bar of things done; what it gives is called after each."""
    # rich is slow to import and needed for a bar alone.
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not visible) as bar:
        task = bar.add_task(escape(printable(description)), total=total)
        yield lambda: bar.advance(task)


def say(line: str, visible: bool) -> None:
    """One line, if it is to be shown."""
    if visible:
        sys.stderr.write(f"{printable(line)}\n")
        sys.stderr.flush()
