"""Atomic writing: a file is written under a temporary name and renamed when it is complete.

A process locks the temporary file from before its first byte until it is renamed, and the operating
system frees the lock however the process ends; so a file without a lock is left from a process that
was killed, and can be removed.
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
    """A file to write, which gets its name when the ``with`` block ends without an error.

    Temporary files that killed processes left in the folder are removed first: they can be as large
    as a whole dataset.

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
    """Create an empty file and hold its lock inside the ``with`` block.

    Raises:
        OSError: it exists already, or cannot be created.
    """
    path.touch(exist_ok=False)
    with ExitStack() as stack:
        # Where there are no locks, nobody takes it for an abandoned one either.
        with suppress(OSError):
            stack.enter_context(file_lock(path, waiting=True))
        yield


def remove_abandoned(folder: Path) -> None:
    """Remove every file ``.NAME.part`` that no process has locked, if it can be removed.

    An empty one is kept: its process may not have locked it yet.
    """
    for partial in folder.glob(".*.part"):
        with suppress(OSError), file_lock(partial, waiting=False):
            if partial.stat().st_size:
                partial.unlink()


@contextmanager
def file_lock(path: Path, *, waiting: bool) -> Iterator[None]:
    """Hold the lock of an existing file inside the ``with`` block.

    Args:
        path: the file.
        waiting: wait while another process has the lock.

    Raises:
        OSError: another process has it and ``waiting`` is False, or locks are not supported here.
    """
    if sys.platform == "win32":  # It removes no file that is open.
        yield
        return
    with open(path, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if waiting else fcntl.LOCK_NB))
        yield
