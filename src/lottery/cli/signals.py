"""Stopping on request: SIGTERM and Ctrl-C keep a checkpoint first."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from lottery.errors import Preempted


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM or SIGINT sets; a second SIGINT ends the process at once."""
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        del frame
        if stop.is_set() and number == signal.SIGINT:
            _end_at_once()
        if not stop.is_set():
            os.write(2, b"\nstopping; trainings under way keep a checkpoint first\n")
        stop.set()

    numbers = (signal.SIGTERM, signal.SIGINT)
    before: dict[int, Any] = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield stop
    except Preempted as error:
        # All is kept and the process is ending: one more Ctrl-C, which would kill it while Python
        # shuts down, must not change its exit code.
        before = dict.fromkeys(before, signal.SIG_IGN)
        command = " ".join(["lottery", *sys.argv[1:]])
        raise Preempted(f"{error}. Run the same command again to go on: {command}") from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_at_once() -> None:
    """End without tidying up, as a kill would: what is on disk is whole at any moment.

    An exception here could come in the middle of a message to a worker, which would then wait for
    the rest of it for ever. Workers end by themselves when this process is gone.
    """
    show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
    os.write(2, f"{show_cursor}\nended at once; the last checkpoint is kept\n".encode())
    os._exit(130)
