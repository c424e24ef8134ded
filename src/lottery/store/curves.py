"""Learning curves as CSV and back."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from lottery.errors import StoreError
from lottery.store.schema import LARGEST, number, whole
from lottery.training import CurvePoint

_SPLITS: Final[dict[str, Literal["validation", "test"]]] = {
    "validation": "validation",
    "test": "test",
}
_COLUMNS = ("iteration", "split", "loss", "accuracy")


def pack_curve(curve: Sequence[CurvePoint]) -> bytes:
    """A curve as CSV; numbers have as many digits as it takes to read the same ones back."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows((p.iteration, p.split, repr(p.loss), repr(p.accuracy)) for p in curve)
    return text.getvalue().encode()


def unpack_curve(content: bytes, *, source: Path) -> list[CurvePoint]:
    """The curve of `pack_curve`.

    Raises:
        StoreError: it is no CSV of these columns, or a value is out of range.
    """
    try:
        rows = csv.DictReader(io.StringIO(content.decode()))
        return [_point(row, rows.line_num) for row in rows]
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise StoreError(f"{source} is not a learning curve: {error}") from error


def _point(row: dict[str, str], line: int) -> CurvePoint:
    point = CurvePoint(
        int(row["iteration"]), _SPLITS[row["split"]], float(row["loss"]), float(row["accuracy"])
    )
    for name, kind in _KINDS.items():
        if not kind.fits(getattr(point, name)):
            raise ValueError(
                f"line {line}: {name}: expected {kind.expected}, got {row[name][:60]!r}"
            )
    return point


_KINDS = {"iteration": whole(), "loss": number(-LARGEST, LARGEST), "accuracy": number(0, 1)}
