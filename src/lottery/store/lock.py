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
            lock.acquire(timeout=0)
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


_ADVICE = "Wait for it or stop it; then run the same command again to go on"


def _owner(run: Path) -> str:
    try:
        owner = json.loads((run / ".owner.json").read_bytes())
        return (
            f"process {owner['pid']} on {owner['host']} since {owner['since']} ({owner['command']})"
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another process"
