"""The lock of a run: one process works on it at a time."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from lottery.errors import StoreError
from lottery.store.commit import remove_leftovers, set_aside, write_file, writing
from lottery.store.files import read_json, why_no_file


@contextmanager
def lock_run(run: Path) -> Iterator[None]:
    """Lock a run directory for a ``with`` block; it is made if it does not exist.

    The lock is the operating system's, so it is released however the process ends. Temporary files
    that a killed process left are removed.

    Raises:
        StoreError: another process has locked the run; says which. Or the directory cannot be
            written.
    """
    with writing(run):
        run.mkdir(parents=True, exist_ok=True)
        trouble = why_no_file(run / ".lock")
        if trouble:
            # Nothing tells whether another process takes it away as well, and its new lock with it.
            raise StoreError(f"{trouble}. Remove it, and run the same command again")
        lock = FileLock(run / ".lock")
        try:
            # Somebody who only looks, as `lock_holder` does, has it for less than a moment.
            lock.acquire(timeout=_MOMENT, poll_interval=_MOMENT / 10)
        except Timeout:
            raise StoreError(f"{run} is being worked on by {_owner(run)}. {_ADVICE}") from None
    try:
        owner = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "command": " ".join(sys.argv),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        _remove_leftovers(run)
        if why_no_file(run / ".owner.json"):
            set_aside(run / ".owner.json")
        write_file(run / ".owner.json", (json.dumps(owner, indent=2) + "\n").encode())
        yield
    finally:
        lock.release()


def lock_holder(run: Path) -> str | None:
    """Which process has locked a run directory, in words; None if none has, or it is not known.

    To find out, the lock is taken for an instant, which may make another process wait.
    """
    path = run / ".lock"
    # A link would be followed, and what it leads to opened to be written.
    if why_no_file(path) or not path.is_file():
        return None
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return _owner(run)
    except OSError:  # nothing may be written here
        return None
    lock.release()
    return None


_MOMENT = 0.2  # seconds
_ADVICE = "Wait for it or stop it; then run the same command again to go on"


def _remove_leftovers(run: Path) -> None:
    """Remove what killed owners were writing, in every directory that holds jobs."""
    for folder, inner, _ in os.walk(run):
        remove_leftovers(Path(folder))
        # Jobs themselves are whole, and what was set aside stays as it is.
        inner[:] = [name for name in inner if not name.startswith((".", "level-"))]


def _owner(run: Path) -> str:
    try:
        owner = read_json(run / ".owner.json")
        return (
            f"process {owner['pid']} on {owner['host']} since {owner['since']} ({owner['command']})"
        )
    except (StoreError, KeyError, TypeError):
        return "another process"
