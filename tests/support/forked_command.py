"""``lottery`` in forks of one process that has imported all of it, so that each starts at once.

To start Python and import torch takes longer than a small run. Everything else is as in a process
that was started by itself: its session, signals, and the processes that it starts.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path


class Forked:
    """A process that `Forks` started, with as much of ``subprocess.Popen`` as tests use."""

    def __init__(self, forks: Forks, arguments: Sequence[str]) -> None:
        read, write = os.pipe()
        self._forks = forks
        self.pid = forks.ask(list(arguments), write)
        self.returncode: int | None = None
        os.close(write)
        self.stderr = os.fdopen(read)

    def poll(self) -> int | None:
        """The exit code, minus the number of the signal that ended it; None while it runs."""
        return self._ended(os.WNOHANG)

    def wait(self) -> int:
        """Wait for the end; the exit code."""
        code = self._ended(0)
        assert code is not None
        return code

    def _ended(self, options: int) -> int | None:
        if self.returncode is None and (status := self._forks.ask([self.pid, options])) >= 0:
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def kill(self) -> None:
        """End it as a killed process ends."""
        # Until somebody waits for it, its number is nobody else's.
        os.kill(self.pid, signal.SIGKILL)


class Forks:
    """The process that forks; `start` as many as there are to be, and `close` it."""

    def __init__(self) -> None:
        self._connection, theirs = socket.socketpair()
        command = [sys.executable, __file__, str(theirs.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()

    def start(self, arguments: Sequence[str]) -> Forked:
        """``lottery`` with these arguments, in a session of its own; nobody reads its output."""
        return Forked(self, arguments)

    def ask(self, question: Sequence[object], *descriptors: int) -> int:
        """One question to the process, and its answer."""
        socket.send_fds(self._connection, [json.dumps(question).encode()], descriptors)
        return int(self._connection.recv(100))

    def close(self) -> None:
        """End it; what it started has ended before."""
        self._connection.close()
        self._process.wait()


def serve(connection: socket.socket) -> list[str] | None:
    """Answer questions until there are no more; in a fork return what it is to run."""
    while True:
        content, descriptors, _, _ = socket.recv_fds(connection, 100_000, 1)
        if not content:
            return None
        question = json.loads(content)
        if not descriptors:
            pid, options = question
            ended, status = os.waitpid(pid, options)
            answer = status if ended else -1
        elif answer := os.fork():
            os.close(descriptors[0])
        else:
            os.setsid()
            os.dup2(descriptors[0], 2)
            os.close(descriptors[0])
            connection.close()
            return list(question)
        connection.send(str(answer).encode())


if __name__ == "__main__":
    import torch

    # What is imported here need not be in every process.
    for module in ("analysis", "cli.main", "cli.run", "report", "training.engines.sparse_cpu"):
        import_module(f"lottery.{module}")
    torch.optim.Adam(torch.nn.Linear(1, 1).parameters())
    asked = serve(socket.socket(fileno=int(sys.argv[1])))
    if asked is not None:
        sys.argv, nothing = ["lottery", *asked], Path(os.devnull)
        # New ones, since those of before know what they were opened for.
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        with nothing.open() as sys.stdin, nothing.open("w") as sys.stdout:
            runpy.run_module("lottery", run_name="__main__", alter_sys=True)
