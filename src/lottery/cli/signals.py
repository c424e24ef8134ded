"""Stopping on request: SIGTERM and Ctrl-C keep a checkpoint first, once data are loaded."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from lottery.errors import Preempted
from lottery.experiments import StopRequest


@contextmanager
def stop_on_signals(where: str = "before the first training") -> Iterator[StopRequest]:
    """Yield a request that SIGTERM or SIGINT sets; a second SIGINT ends the process at once.

    Until the data are loaded, nobody looks at it: the signal is then an exception as well, and one
    that no handling of damaged data takes for its own.

    Args:
        where: it was stopped while nobody looked, in words.

    Raises:
        Preempted: the block was stopped.
    """
    stop = StopRequest()

    def ask(number: int, frame: FrameType | None) -> None:
        del frame
        if stop.is_set():
            if number == signal.SIGINT:
                _end_at_once()
            return
        stop.set()
        if not stop.under_way:
            raise KeyboardInterrupt(where)
        os.write(2, b"\nstopping; trainings under way keep a checkpoint first\n")

    numbers = (signal.SIGTERM, signal.SIGINT)
    before: dict[signal.Signals, Any] = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in numbers:
            signal.signal(number, ask)
        yield stop
    except (KeyboardInterrupt, Preempted) as error:
        # All is kept and the process is ending: one more Ctrl-C, which would kill it while Python
        # shuts down, must not change its exit code.
        before = dict.fromkeys(before, signal.SIG_IGN)
        command = " ".join(["lottery", *sys.argv[1:]])
        listed = "\n" if "\n" in str(error) else " "
        raise Preempted(
            f"{error}.{listed}Run the same command again to go on: {command}"
        ) from error
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
