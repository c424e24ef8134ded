"""Lines that were measured before, kept beside a run, so that a long analysis can be continued."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from lottery.data.dataset import SplitName
from lottery.errors import StoreError
from lottery.inside.evaluation import Quality
from lottery.inside.line import Line
from lottery.store import JobKey, Store

LINES: Final = "connectivity-lines"
"""What they are kept as."""
_SECONDS: Final = 20.0
_PARTS: Final[tuple[SplitName, ...]] = ("train", "test")


class KeptLines:
    """The lines of a run, found again by the contents of both ends and the settings.

    Damaged ones count as not measured.

    Args:
        store: the run's store.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._saved = store, time.monotonic()
        try:
            content = store.read_measurement(LINES)
        except StoreError:
            content = None
        self._lines: dict[str, Any] = content if isinstance(content, dict) else {}

    def get(self, one: JobKey, other: JobKey, settings: list[int]) -> dict[SplitName, Line] | None:
        """Part of the data -> line between two trainings; None if not measured before.

        Args:
            one: the training at the beginning.
            other: the training at the end.
            settings: how lines are measured: the number of points, then anything else that counts.
        """
        found = self._lines.get(self._name(one, other, settings))
        if not isinstance(found, dict) or not found:
            return None
        lines = {part: _line(found[part], settings[0]) for part in _PARTS if part in found}
        whole = {part: line for part, line in lines.items() if line is not None}
        return whole if whole.keys() == found.keys() else None

    def add(
        self, one: JobKey, other: JobKey, settings: list[int], lines: Mapping[SplitName, Line]
    ) -> None:
        """Add what was measured; all is written if that was not done for a while."""
        self._lines[self._name(one, other, settings)] = {
            part: [[_finite(q.loss), _finite(q.error)] for q in line.measured]
            for part, line in lines.items()
        }
        if time.monotonic() - self._saved >= _SECONDS:
            self.save()

    def save(self) -> None:
        """Write all lines; of a run that cannot be written to they are measured anew next time."""
        with suppress(StoreError):
            self._store.write_measurement(LINES, self._lines)
        self._saved = time.monotonic()

    def _name(self, one: JobKey, other: JobKey, settings: list[int]) -> str:
        return json.dumps([*map(self._store.contents_hash, (one, other)), *settings])


def lines_problem(content: object) -> str:
    """What is wrong with what is kept of lines; empty where nothing is."""
    if not isinstance(content, dict):
        return "expected a table"
    for name, lines in content.items():
        whole = isinstance(lines, dict) and bool(lines) and lines.keys() <= {*_PARTS}
        points = {len(line) for line in lines.values() if isinstance(line, list)} if whole else ()
        if len(points) != 1 or any(_line(line, *points) is None for line in lines.values()):
            return f"{name[:80]}: expected a line of each part of the data"
    return ""


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _line(content: object, points: int) -> Line | None:
    """A line from plain JSON, of which nothing is believed; None where it is none."""
    if not isinstance(content, list) or len(content) != points:
        return None
    measured = []
    for pair in content:
        if not isinstance(pair, list) or len(pair) != 2 or not _is_number(pair[1]):
            return None
        if pair[0] is not None and not _is_number(pair[0]):
            return None
        measured.append(Quality(pair[0], pair[1]))
    return Line(tuple(measured))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
