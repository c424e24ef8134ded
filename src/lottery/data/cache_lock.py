"""The user's cache, and a lock so that one process makes a file while others wait for it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


def cache_folder() -> Path:
    """Where downloads and decoded images are kept: ``lottery`` in the user's cache directory.

    That is ``$XDG_CACHE_HOME``, else ``~/.cache``; for a user without a home directory, as in some
    containers, the directory for temporary files.
    """
    # The XDG specification has a relative path ignored.
    candidates = (os.environ.get("XDG_CACHE_HOME", ""), os.path.expanduser("~/.cache"))
    cache = next(filter(os.path.isabs, candidates), None) or tempfile.gettempdir()
    return Path(cache) / "lottery"


@contextmanager
def cache_lock(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Inside the ``with`` block, no other process makes the same file.

    The lock is the operating system's, so it is freed however a process ends; the empty lock file
    stays. Where locking is not possible, because the system has no locks or their folder cannot be
    written, each process makes the file for itself.

    Args:
        path: of the file; no other file in the cache has its name.
        on_wait: called once before waiting for another process that is making it.
    """
    folder = cache_folder() / "locks"
    lock = FileLock(folder / f"{path.name}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            on_wait()
            lock.acquire()
    except (OSError, NotImplementedError):  # filelock raises the latter where there are no locks
        yield
        return
    try:
        yield
    finally:
        lock.release()
