"""Tables of plain rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lottery.cli.output import echo
from lottery.errors import printable

# A dash stands for a number that is not there.
_NUMBER = re.compile(r"-|[\d,.]+%?")


def print_table(rows: Sequence[Mapping[str, Any]], *, title: str | None = None) -> None:
    """Print rows that share their keys; numbers to the right, None as a dash."""
    console = Console(highlight=False)
    if _narrowest(rows) > console.width:
        _print_each(rows, title, console.width)
        return
    table = Table(
        box=box.SIMPLE_HEAD,
        title=Text(printable(title), style="table.title") if title else None,
        title_justify="left",
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for position, name in enumerate(rows[0]):
        number = all(_NUMBER.fullmatch(_format_cell(row[name])) for row in rows)
        table.add_column(
            name, justify="right" if number else "left", overflow="fold", no_wrap=position == 0
        )
    for row in rows:
        table.add_row(*(Text(_format_cell(value)) for value in row.values()))
    console.print(table)


def wrapped(text: str) -> str:
    """A sentence in lines that the terminal has room for."""
    return fill(text, terminal_width(), break_long_words=False, break_on_hyphens=False)


def terminal_width() -> int:
    """Columns of the terminal; 80 where there is none."""
    return Console().width


def _narrowest(rows: Sequence[Mapping[str, Any]]) -> int:
    """The width that the rows take with no word broken, and nothing of the first column."""
    columns = [[name, *(_format_cell(row[name]) for row in rows)] for name in rows[0]]
    words = [
        columns[0],
        *([word for text in column for word in text.split()] for column in columns[1:]),
    ]
    return sum(max(map(len, column)) + 1 for column in words) + 1


def _print_each(rows: Sequence[Mapping[str, Any]], title: str | None, width: int) -> None:
    """Print each row in words, where a table has no room."""
    if title:
        echo(title)
    for row in rows:
        told = [
            f"{name} {_format_cell(value)}"
            for name, value in row.items()
            if value not in (None, "")
        ]
        echo(fill(", ".join(told), width, subsequent_indent="  ", break_on_hyphens=False))


def _format_cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else printable(str(value))
