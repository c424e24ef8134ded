"""How busy the machine was with other work while something was measured (Linux only).

Figures taken beside other work mean little: two threads that wait for each other stand still
whenever one of them is not running.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

# Columns of the first line of /proc/stat: the time in which a core did something, for whomever;
# the last is what the hypervisor gave to other machines.
_BUSY = ("user", "nice", "system", "irq", "softirq", "steal")
_COLUMNS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A point in time, in seconds.

    Args:
        wall: the clock's.
        machine: what all cores have worked by then.
        own: what this process and its finished children have.
    """

    wall: float
    machine: float
    own: float


def moment(stat: Path = Path("/proc/stat")) -> Moment | None:
    """Now; None where the system does not say what its cores do."""
    try:
        numbers = stat.read_text(encoding="utf-8").splitlines()[0].split()[1:]
        ticks = dict(zip(_COLUMNS, map(int, numbers), strict=False))
        machine = sum(ticks[name] for name in _BUSY) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, KeyError, ValueError):
        return None
    times = os.times()
    own = times.user + times.system + times.children_user + times.children_system
    return Moment(wall=time.monotonic(), machine=machine, own=own)


def cores_elsewhere(start: Moment | None, end: Moment | None) -> float | None:
    """How many cores others kept busy in between, on average; None where that is not known."""
    if start is None or end is None or end.wall <= start.wall:
        return None
    others = (end.machine - start.machine) - (end.own - start.own)
    return round(max(0.0, others / (end.wall - start.wall)), 2)
