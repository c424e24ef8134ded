"""Whether functions of the user's can be sent to another process: tried, by sending them."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import spawn
from typing import Any, Final

_SECONDS: Final = 300
"""For a child to import what the functions need."""

_CHILD: Final = (
    "import sys; sys.path[:] = {path!r}; from lottery.tasks import sendable; sendable.receive()"
)


def why_not_sendable(functions: Sequence[Any], *, seconds: float = _SECONDS) -> str | None:
    """Why functions cannot be sent to another process, in words; None if they can.

    Pickling alone does not tell: functions of a notebook can be pickled, but not loaded elsewhere.
    So a process is started in the way worker processes are, and loads them.

    Args:
        functions: what is to be sent.
        seconds: how long the process may take to answer.
    """
    try:
        # Without the key that processes of one program know each other by: it is none of them.
        preparation = {k: v for k, v in _preparation().items() if k != "authkey"}
        content = pickle.dumps((preparation, pickle.dumps(functions)))
    except Exception as error:  # noqa: BLE001 - whatever an object's own pickling raises
        return f"they cannot be pickled: {_line(str(error))}"
    command = [sys.executable, "-c", _CHILD.format(path=sys.path)]
    try:
        child = subprocess.run(
            command, input=content, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return f"another process that was given them did not answer within {seconds:g} seconds"
    if child.returncode == 0:
        return None
    said = child.stderr.decode(errors="replace").strip().splitlines() or ["it died"]
    return f"another process could not load them: {_line(said[-1])}"


def receive() -> None:
    """Run in the child: prepare it as a worker process is prepared, and load the functions."""
    # From the process that started this one, and from nobody else.
    preparation, functions = pickle.load(sys.stdin.buffer)  # noqa: S301
    spawn.prepare(preparation)
    pickle.loads(functions)  # noqa: S301


def imported_in_child() -> bool:
    """Whether this call comes from a worker process that is just importing the main script.

    A script without ``if __name__ == "__main__":`` would start its experiment again in each worker.
    """
    if sys.modules.get("__mp_main__") is sys.modules["__main__"]:
        return False
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_globals.get("__name__") == "__mp_main__":
            return True
    return False


def _preparation() -> dict[str, Any]:
    found: dict[str, Any] = spawn.get_preparation_data("probe")
    return found


def _line(text: str) -> str:
    short = " ".join(text.split())
    return short if len(short) <= 300 else f"{short[:297]}..."
