"""One process at a time makes a file of the cache, and others wait for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lottery.data.known import cache_folder


@contextmanager
def turn(path: Path, waits: Callable[[], None]) -> Iterator[None]:
    """Be the only process that makes a file, for the time of a ``with`` block.

    The lock is the operating system's, so it is freed however a process ends; its file, which is
    empty, stays. Where it cannot be had, because there are no locks or their folder cannot be
    written, each process makes the file for itself.

    Args:
        path: of the file; its name is that of no other in the cache.
        waits: called once if another process is making it, before it is waited for.
    """
    folder = cache_folder() / "locks"
    lock = FileLock(folder / f"{path.name}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waits()
            lock.acquire()
    except (OSError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        lock.release()
