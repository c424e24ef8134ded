"""How much of a run is done, and how long the rest will take."""

from __future__ import annotations

from collections.abc import Mapping

from lottery.store import JobKey


class Pace:
    """Counts the iterations of all trainings that are left, and those made since the start.

    Args:
        spans: job -> the iteration it goes on from, and the one it ends at.
        now: seconds of some clock.
    """

    def __init__(self, spans: Mapping[JobKey, tuple[int, int]], now: float) -> None:
        self._spans, self._began = spans, now
        self._at: dict[JobKey, int] = {}
        self._over = set[JobKey]()

    def update(self, key: JobKey, iteration: int) -> None:
        """A job is at this iteration."""
        self._at[key] = iteration

    def ended(self, key: JobKey) -> None:
        """A job is done, or will never be."""
        self._at.pop(key, None)
        self._over.add(key)

    def running(self) -> Mapping[JobKey, tuple[int, int]]:
        """The jobs that run: the iteration each is at, and the one it ends at."""
        return {
            key: (self._at[key], last) for key, (_, last) in self._spans.items() if key in self._at
        }

    def last(self, key: JobKey) -> int:
        """The iteration that a job ends at."""
        return self._spans[key][1]

    def iterations(self) -> tuple[int, int]:
        """How many iterations have been made since the start, and how many there were to make."""
        made = whole = 0
        for key, (first, last) in self._spans.items():
            at = last if key in self._over else self._at.get(key, first)
            made += max(0, min(at, last) - first)
            whole += last - first
        return made, whole

    def seconds_left(self, now: float) -> float | None:
        """How long the rest will take at the speed so far; None before there is one."""
        made, whole = self.iterations()
        return (now - self._began) * (whole - made) / made if made else None


def duration(seconds: float) -> str:
    """A time span in words.

    >>> duration(0.31), duration(42.3), duration(600), duration(9_000)
    ('0.3 s', '42 s', '10 min', '2.5 h')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5_400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
