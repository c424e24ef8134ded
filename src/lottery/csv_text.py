"""CSV that a spreadsheet takes for text and numbers, never for a formula."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping

Cell = str | int | float | bool | None

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a cell begins with that spreadsheets would run."""


def csv_text(rows: Iterable[Mapping[str, Cell]]) -> str:
    r"""Rows that share their keys as CSV, with a head; lines end in ``\r\n`` (RFC 4180).

    Numbers have all their digits; None and what is not finite are empty. A text that a spreadsheet
    would take for a formula gets an apostrophe before it.

    >>> csv_text([{"name": "=1+1", "value": -0.5}])
    "name,value\r\n'=1+1,-0.5\r\n"
    """
    out = io.StringIO()
    writer = csv.writer(out)
    for i, row in enumerate(rows):
        if not i:
            writer.writerow([_written(key) for key in row])
        writer.writerow([_written(cell) for cell in row.values()])
    return out.getvalue()


def safe_text(text: str) -> str:
    """A text that no spreadsheet takes for a formula, without unprintable characters.

    >>> safe_text("=1+1"), safe_text("fc1.weight")
    ("'=1+1", 'fc1.weight')
    """
    text = "".join(
        c if c.isprintable() or c in "\t\n" else "\N{REPLACEMENT CHARACTER}" for c in text
    )
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def _written(cell: Cell) -> str:
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    return safe_text(cell) if isinstance(cell, str) else repr(cell)
