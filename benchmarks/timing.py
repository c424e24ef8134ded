"""Timing within one process. Only the standard library, since every interpreter imports it."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Final

_MOST_UNITS: Final = 20


def seconds(action: Callable[[], object]) -> float:
    """The wall-clock seconds that ``action`` takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def step_seconds(
    train: Callable[[int], object], *, unit: int, repeats: int, at_least: float
) -> tuple[float, ...]:
    """The seconds of one step of a training that does more than its steps.

    How much longer 3n steps take than n: what comes before the first step and after the last
    (set-up, compilation, evaluation, results) takes part in both and drops out.

    Args:
        train: trains for that many steps from the beginning.
        unit: n is a multiple of it; an epoch, so that what an epoch costs is in the steps.
        repeats: how many times to measure.
        at_least: how many seconds the 2n steps should take together; n grows until they do, so
            that the noise of all else stays small beside them.

    Returns:
        One figure a repeat.
    """

    def difference(n: int) -> float:
        short = seconds(lambda: train(n))
        return (seconds(lambda: train(3 * n)) - short) / (2 * n)

    train(unit)  # compiles, and fills caches
    n, most = unit, _MOST_UNITS * unit
    while True:
        samples = tuple(difference(n) for _ in range(repeats))
        took = 2 * n * max(statistics.median(samples), 1e-9)
        if took >= at_least or n == most:
            return samples
        n = min(most, n * math.ceil(at_least / took))


def call_seconds(call: Callable[[], object], *, blocks: int, calls: int) -> tuple[float, ...]:
    """The seconds of one call, in blocks of ``calls`` after one block that is not counted."""

    def block() -> None:
        for _ in range(calls):
            call()

    block()
    return tuple(seconds(block) / calls for _ in range(blocks))
