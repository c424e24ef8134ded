"""Timing within one process. Only the standard library, since every interpreter imports it."""

from __future__ import annotations

import time
from collections.abc import Callable


def seconds(action: Callable[[], object]) -> float:
    """The wall-clock seconds that ``action`` takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def step_seconds(
    train: Callable[[int], object], *, unit: int, repeats: int, at_least: float = 1.0
) -> tuple[float, ...]:
    """The seconds of one step of a training that does more than its steps.

    How much longer 3n steps take than n: what comes before the first step and after the last
    (set-up, compilation, evaluation, results) takes part in both and drops out.

    Args:
        train: trains for that many steps from the beginning.
        unit: n is a multiple of it; an epoch, so that what an epoch costs is in the steps.
        repeats: how many times to measure.
        at_least: how many seconds the 2n steps should take together.

    Returns:
        One figure a repeat.
    """

    def difference(n: int) -> float:
        short = seconds(lambda: train(n))
        return (seconds(lambda: train(3 * n)) - short) / (2 * n)

    train(unit)  # compiles, and fills caches
    rough = max(difference(unit), 1e-7)
    n = unit * min(20, max(1, round(at_least / (2 * unit * rough))))
    return tuple(difference(n) for _ in range(repeats))


def call_seconds(call: Callable[[], object], *, blocks: int, calls: int) -> tuple[float, ...]:
    """The seconds of one call, in blocks of ``calls`` after one block that is not counted."""

    def block() -> None:
        for _ in range(calls):
            call()

    block()
    return tuple(seconds(block) / calls for _ in range(blocks))
