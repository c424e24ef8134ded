"""Measuring in fresh processes, one measurement after the other and again from the first."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

from benchmarks.figure import Figure
from benchmarks.rows import Measurement


class MeasurementError(Exception):
    """A measuring process failed."""


def interleaved(
    measurements: Sequence[Measurement], rounds: int
) -> Iterator[tuple[int, Measurement]]:
    """(round, measurement) in the order A B A B ...: what slows the machine down slows both."""
    return ((number, one) for number in range(rounds) for one in measurements)


def in_fresh_process(measurement: Measurement) -> Figure:
    """Take one measurement in a process of its own.

    Raises:
        MeasurementError: it failed; the message has the end of what it wrote.
    """
    command = [measurement.python, "-m", "benchmarks.measure", *measurement.arguments]
    # What takes long shows its own progress.
    stderr = None if measurement.arguments[0] == "protocol" else subprocess.PIPE
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, check=False
        )
    except OSError as error:
        raise MeasurementError(f"{measurement.label}: {error}") from error
    if done.returncode:
        end = "\n".join((done.stderr or "").strip().splitlines()[-6:])
        raise MeasurementError(f"{measurement.label} ended with {done.returncode}\n{end}".strip())
    try:
        return Figure.from_output(done.stdout)
    except ValueError as error:
        raise MeasurementError(f"{measurement.label}: {error}") from error


def take(
    measurements: Sequence[Measurement],
    rounds: int,
    *,
    measure: Callable[[Measurement], Figure] = in_fresh_process,
) -> Iterator[tuple[int, Measurement, Figure]]:
    """Take every measurement ``rounds`` times, in turn.

    Args:
        measurements: what to take.
        rounds: how often.
        measure: takes one.

    Yields:
        (round, measurement, figure) after each.

    Raises:
        MeasurementError: one failed; the others are not worth taking.
    """
    for number, one in interleaved(measurements, rounds):
        yield number, one, measure(one)


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)
