"""Learning curves as CSV and back."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from lottery.errors import StoreError
from lottery.store.schema import whole
from lottery.training import CurvePoint, Split, value_problem
from lottery.training.curve import MOST_NAMES

_BEFORE = ("iteration", "split")
_NO_VALUES = ("loss", "accuracy")
"""The names of a curve without a point."""
_ITERATION = whole()


def pack_curve(curve: Sequence[CurvePoint]) -> bytes:
    """A curve as CSV; numbers have enough digits to be read back without loss.

    Columns are in the order in which their names first appear in the curve. A cell is empty if a
    point does not have the number.
    """
    names = list(dict.fromkeys(name for point in curve for name in point.values)) or _NO_VALUES
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*_BEFORE, *names))
    for point in curve:
        cells = (repr(float(point.values[n])) if n in point.values else "" for n in names)
        writer.writerow((point.iteration, point.split, *cells))
    return text.getvalue().encode()


def unpack_curve(content: bytes, *, source: Path) -> list[CurvePoint]:
    """Read a curve that `pack_curve` wrote.

    Raises:
        StoreError: it is not CSV with these columns, or a value is out of range.
    """
    try:
        rows = csv.reader(io.StringIO(content.decode()))
        names = _names(next(rows, []))
        return [_point(names, row, rows.line_num) for row in rows if row]
    except (ValueError, csv.Error) as error:
        raise StoreError(f"{source} is not a learning curve: {error}") from error


def _names(head: Sequence[str]) -> Sequence[str]:
    """The names of the values, from the first line."""
    names = head[len(_BEFORE) :]
    if tuple(head[: len(_BEFORE)]) != _BEFORE or not names or len(set(names)) < len(names):
        raise ValueError(
            "line 1: expected the columns iteration and split, and then names of values, each once"
        )
    if len(names) > MOST_NAMES:
        raise ValueError(f"line 1: expected {MOST_NAMES} names of values at most, got {len(names)}")
    return names


def _point(names: Sequence[str], row: Sequence[str], line: int) -> CurvePoint:
    if len(row) != len(_BEFORE) + len(names):
        raise ValueError(f"line {line}: expected {len(_BEFORE) + len(names)} cells, got {len(row)}")
    at, split, *cells = row
    iteration = int(at)
    if not _ITERATION.fits(iteration):
        raise ValueError(f"line {line}: iteration: expected {_ITERATION.expected}, got {at[:60]!r}")
    if split not in get_args(Split):
        splits = ", ".join(get_args(Split))
        raise ValueError(f"line {line}: split: expected one of {splits}, got {split[:60]!r}")
    values = {name: float(cell) for name, cell in zip(names, cells, strict=True) if cell}
    problems = [problem for name in values if (problem := value_problem(name, values[name]))]
    if problems or not values:
        raise ValueError(f"line {line}: {problems[0] if problems else 'has no number'}")
    return CurvePoint(iteration, split, values)  # type: ignore[arg-type]
