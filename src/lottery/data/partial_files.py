"""Files that are still being written beside their place, and what killed processes left of them.

A process locks such a file from before its first byte until the file has its name. The operating
system frees the lock however the process ends.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

if sys.platform != "win32":
    import fcntl


@contextmanager
def atomic_write(target: Path) -> Iterator[BinaryIO]:
    """A file to write, which gets its name at the end of a ``with`` block that ends well.

    What killed processes left in its folder goes first: it can be as much as a whole dataset.

    Raises:
        OSError: it cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        remove_abandoned(target.parent)
        with new_partial_file(partial):
            with open(partial, "r+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def new_partial_file(path: Path) -> Iterator[None]:
    """Make an empty file and hold its lock for the time of a ``with`` block.

    Raises:
        OSError: it is there already, or cannot be made.
    """
    path.touch(exist_ok=False)
    with ExitStack() as stack:
        # Where there are no locks, nobody takes it for an abandoned one either.
        with suppress(OSError):
            stack.enter_context(file_lock(path, waiting=True))
        yield


def remove_abandoned(folder: Path) -> None:
    """Remove every file ``.NAME.part`` that no process has locked; what cannot be removed stays.

    An empty one stays too: it may be about to be locked.
    """
    for partial in folder.glob(".*.part"):
        with suppress(OSError), file_lock(partial, waiting=False):
            if partial.stat().st_size:
                partial.unlink()


@contextmanager
def file_lock(path: Path, *, waiting: bool) -> Iterator[None]:
    """Hold the lock of a plain file that is there, for the time of a ``with`` block.

    Raises:
        OSError: another process has it and this one is not to wait, or there are no locks here.
    """
    if sys.platform == "win32":  # It removes no file that is open.
        yield
        return
    with open(path, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if waiting else fcntl.LOCK_NB))
        yield
