"""Stopping on request: SIGTERM and Ctrl-C keep a checkpoint first."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from lottery.errors import Preempted


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM or SIGINT sets; a second SIGINT ends the process at once."""
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        del frame
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    except Preempted as error:
        command = " ".join(["lottery", *sys.argv[1:]])
        raise Preempted(f"{error}. Run the same command again to go on: {command}") from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
