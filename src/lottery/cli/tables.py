"""Tables of plain rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lottery.errors import printable

# A dash stands for a number that is not there.
_NUMBER = re.compile(r"-|[\d,.]+%?")


def print_table(rows: Sequence[Mapping[str, Any]], *, title: str | None = None) -> None:
    """Print rows that share their keys; numbers to the right, None as a dash."""
    table = Table(
        box=box.SIMPLE_HEAD,
        title=Text(printable(title), style="table.title") if title else None,
        title_justify="left",
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for position, name in enumerate(rows[0]):
        number = all(_NUMBER.fullmatch(_shown(row[name])) for row in rows)
        table.add_column(
            name, justify="right" if number else "left", overflow="fold", no_wrap=position == 0
        )
    for row in rows:
        table.add_row(*(Text(_shown(value)) for value in row.values()))
    Console(highlight=False).print(table)


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else printable(str(value))
