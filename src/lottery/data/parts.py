"""Files that are still being written beside their place, and what killed processes left of them.

A process holds such a file by a lock from before its first byte until the file has its name. The
operating system lets go of it however the process ends.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextmanager
def new_part(part: Path) -> Iterator[None]:
    """Make an empty file and hold it as its only process for the time of a ``with`` block.

    Raises:
        OSError: it is there already, or cannot be made.
    """
    part.touch(exist_ok=False)
    with ExitStack() as stack:
        # Where there are no locks, nobody takes it for a leftover either.
        with suppress(OSError):
            stack.enter_context(held(part, waiting=True))
        yield


def remove_leftovers(folder: Path) -> None:
    """Remove every file ``.NAME.part`` that no process holds; what cannot be removed stays.

    An empty one stays too: it may be about to be held.
    """
    for part in folder.glob(".*.part"):
        with suppress(OSError), held(part, waiting=False):
            if part.stat().st_size:
                part.unlink()


@contextmanager
def held(part: Path, *, waiting: bool) -> Iterator[None]:
    """Hold a plain file as its only process for the time of a ``with`` block.

    Raises:
        OSError: another process does and this one is not to wait, or there are no locks here.
    """
    if sys.platform == "win32":  # It removes no file that is open.
        yield
        return
    with open(part, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if waiting else fcntl.LOCK_NB))
        yield
