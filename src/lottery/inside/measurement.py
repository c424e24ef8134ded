"""The result of an analysis: tables of plain values, which are stored, printed and drawn."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lottery.csv_text import safe_text
from lottery.errors import StoreError
from lottery.store.schema import TABLE, TEXT, Kind, is_whole, schema_problems

Cell = str | int | float | bool | None
"""A value of a table; None where there is none."""

_LIST = Kind("a list", lambda value: isinstance(value, list))
_NUMBERS = Kind(
    "a list of whole numbers",
    lambda value: isinstance(value, list) and all(map(is_whole, value)),
)
_LARGEST = 1e100
"""The largest size of a number in a table; larger ones could not be drawn."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of plain values.

    Args:
        name: its name in files and on a page: small letters, digits, ``-`` and ``_``.
        title: its heading.
        note: how to read it, and what would be found by chance.
        columns: names of the columns, as in JSON and CSV, such as ``level``, ``overlap``.
        rows: as many values each as there are columns.
    """

    name: str
    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def records(self) -> Iterator[dict[str, Cell]]:
        """Each row by the names of its columns."""
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)

    def column(self, name: str) -> list[Cell]:
        """The values of one column."""
        at = self.columns.index(name)
        return [row[at] for row in self.rows]

    def csv(self) -> str:
        r"""The table as a CSV file's text: a head and the rows; lines end in ``\r\n`` (RFC 4180).

        None is empty. A text that a spreadsheet would take for a formula gets an apostrophe before
        it, since names of layers may be somebody else's.
        """
        text = io.StringIO(newline="")
        csv.writer(text).writerows(
            [safe_text(cell) if isinstance(cell, str) else cell for cell in row]
            for row in (self.columns, *self.rows)
        )
        return text.getvalue()


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The result of an analysis of a run.

    Args:
        analysis: its name.
        settings: levels, replicates and the analysis' own settings, as plain JSON.
        found: sentences that say what the tables show, the most important first.
        tables: the numbers, with how many replicates they are from and how much these differ.
        made_from: each job that it read -> SHA-256 of its contents; also ``verdict`` -> its
            settings, where these were used, and ``task`` -> the fingerprint of the user's own code.
    """

    analysis: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    found: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    made_from: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Table:
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)

    def to_json(self) -> dict[str, Any]:
        """The measurement as plain JSON."""
        return {
            "analysis": self.analysis,
            "settings": dict(self.settings),
            "found": list(self.found),
            "tables": [
                {
                    "name": table.name,
                    "title": table.title,
                    "note": table.note,
                    "columns": list(table.columns),
                    "rows": [list(row) for row in table.rows],
                }
                for table in self.tables
            ],
            "made_from": dict(self.made_from),
        }


# It is part of the names of files that a reader asks for.
_NAME = Kind(
    "a name of up to 40 small letters, digits, '-' and '_'",
    lambda value: isinstance(value, str) and bool(re.fullmatch(r"[a-z0-9_-]{1,40}", value)),
)
_WHOLE = {"analysis": TEXT, "settings": TABLE, "found": _LIST, "tables": _LIST, "made_from": TABLE}
_TABLE = {"name": _NAME, "title": TEXT, "note": TEXT, "columns": _LIST, "rows": _LIST}


def read_measurement(content: object, source: str) -> Measurement:
    """A measurement from plain JSON, which is checked completely.

    Args:
        content: from a file, which may be by anyone.
        source: where it is from, for messages.

    Raises:
        StoreError: it is no measurement.
    """
    whole = _fields(content, _WHOLE, source)
    if not all(isinstance(one, str) for one in (*whole["found"], *whole["made_from"].values())):
        raise StoreError(f"{source}: found, made_from: expected text alone")
    if not all(_NUMBERS.fits(whole["settings"].get(of)) for of in ("levels", "replicates")):
        raise StoreError(f"{source}: levels, replicates: expected {_NUMBERS.expected} each")
    return Measurement(
        analysis=whole["analysis"],
        settings=whole["settings"],
        found=tuple(whole["found"]),
        tables=tuple(_table(one, source) for one in whole["tables"]),
        made_from=whole["made_from"],
    )


def _table(content: object, source: str) -> Table:
    table = _fields(content, _TABLE, f"{source}: a table")
    columns, rows = table["columns"], table["rows"]
    if not all(isinstance(name, str) for name in columns) or not all(
        _is_row(row, columns) for row in rows
    ):
        raise StoreError(f"{source}: tables: expected rows of {len(columns)} plain values each")
    return Table(**(table | {"columns": tuple(columns), "rows": tuple(map(tuple, rows))}))


def _is_row(row: object, columns: Sequence[str]) -> bool:
    return isinstance(row, list) and len(row) == len(columns) and all(map(_is_cell, row))


def _is_cell(value: object) -> bool:
    if isinstance(value, int | float):
        return abs(value) <= _LARGEST
    return value is None or isinstance(value, str)


def _fields(content: object, kinds: Mapping[str, Kind], source: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise StoreError(f"{source}: expected a table")
    wrong = schema_problems(content, kinds)
    if wrong:
        raise StoreError(f"{source}: {'; '.join(wrong)}")
    return {name: content[name] for name in kinds}
