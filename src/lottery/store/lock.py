"""One process owns a run at a time."""

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
from lottery.store.commit import write_file, writing


@contextmanager
def own(run: Path) -> Iterator[None]:
    """Own a run directory for the time of a ``with`` block.

    The lock is the operating system's, so it is freed however the process ends.

    Raises:
        StoreError: another process owns the run; says which.
    """
    with writing(run):
        run.mkdir(parents=True, exist_ok=True)
        lock = FileLock(run / ".lock")
        try:
            # Somebody who only looks, as `holder` does, has it for less than a moment.
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
        write_file(run / ".owner.json", (json.dumps(owner, indent=2) + "\n").encode())
        yield
    finally:
        lock.release()


def holder(run: Path) -> str | None:
    """Who owns a run directory now, in words; None if nobody does, or it cannot be told.

    Whoever wants to own it at this instant may have to wait for the blink of an eye.
    """
    if not (run / ".lock").is_file():
        return None
    lock = FileLock(run / ".lock")
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


def _owner(run: Path) -> str:
    try:
        owner = json.loads((run / ".owner.json").read_bytes())
        return (
            f"process {owner['pid']} on {owner['host']} since {owner['since']} ({owner['command']})"
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another process"
