"""The user's cache, where one process at a time makes a file and others wait for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


def cache_folder() -> Path:
    """Where downloads go: ``$XDG_CACHE_HOME/lottery``, else ``~/.cache/lottery``."""
    # The XDG specification has a relative path ignored.
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return Path(cache if os.path.isabs(cache) else os.path.expanduser("~/.cache")) / "lottery"


@contextmanager
def cache_lock(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Be the only process that makes a file, for the time of a ``with`` block.

    The lock is the operating system's, so it is freed however a process ends; its file, which is
    empty, stays. Where it cannot be had, because there are no locks or their folder cannot be
    written, each process makes the file for itself.

    Args:
        path: of the file; its name is that of no other in the cache.
        on_wait: called once if another process is making it, before it is waited for.
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
    except (OSError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        lock.release()
