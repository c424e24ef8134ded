"""A comparison on a terminal: sentences first, then tables with one column a run.

Nothing is said by colour alone, and everything fits the terminal, of 80 columns or more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from lottery.analysis.methods import comparison_rows
from lottery.analysis.methods.types import RunComparison
from lottery.analysis.text import WIDTH, bare_table, bullet_list, plain_text

_FIRST_COLUMN = 26
_COLUMN = 18
"""Columns of the terminal that names, and that a run's numbers, take."""


def comparison_text(comparison: RunComparison, *, width: int = WIDTH) -> str:
    """The comparison as plain text, without colours.

    Args:
        comparison: what to print.
        width: columns of the terminal, 60 or more.
    """
    return plain_text(_view(comparison, (width - _FIRST_COLUMN) // _COLUMN), width=width)


def _view(comparison: RunComparison, beside: int) -> RenderableType:
    """Everything, in tables of at most so many runs beside each other."""
    parts: list[RenderableType] = [Text(comparison.paragraph)]
    for title, items in (
        ("Not comparable without care", comparison.warnings),
        (comparison_rows.findings_title(comparison), comparison.findings),
    ):
        if items:
            parts += [Text(), Text(title), bullet_list(items, "-")]
    for measure in comparison_rows.shown_measures(comparison):
        lines = comparison_rows.measure_rows(comparison, measure)
        if lines:
            title = comparison_rows.table_title(comparison, measure)
            parts += _tables(comparison, title, "Density %", lines, beside)
    parts += [Text(), *(Text(note) for note in comparison_rows.notes(comparison))]
    if lines := comparison_rows.cost_rows(comparison):
        parts += _tables(comparison, comparison_rows.COST_TITLE, "Density %", lines, beside)
        parts += [Text(), *(Text(note) for note in comparison_rows.cost_notes(comparison))]
    parts += _tables(comparison, "The runs", "", comparison_rows.run_rows(comparison), beside)
    lines = comparison_rows.setting_rows(comparison)
    if lines:
        parts += _tables(comparison, "Settings in which they differ", "", lines, beside)
    if comparison.caveats:
        parts += [Text(), Text("Keep in mind"), bullet_list(comparison.caveats, "-")]
    return Group(*parts)


def _tables(
    comparison: RunComparison,
    title: str,
    corner: str,
    lines: Sequence[comparison_rows.TextRow],
    beside: int,
) -> list[RenderableType]:
    """The lines in as many tables as it takes; each begins with the first run."""
    parts: list[RenderableType] = [Text(), Text(title)]
    for number, places in enumerate(_portions(len(comparison.methods), max(beside, 2))):
        table = bare_table(2)
        table.add_column(corner, max_width=_FIRST_COLUMN, overflow="fold")
        for place in places:
            label = Text(comparison.methods[place].label)
            table.add_column(label, justify="right", overflow="fold")
        for name, cells in lines:
            table.add_row(Text(_broken(name)), *(Text(cells[place]) for place in places))
        parts += [Text(), table] if number else [table]
    return parts


def _broken(name: str) -> str:
    """A setting's name that is too long for its column, in lines that end at its dots."""
    head, dot, _ = name[:_FIRST_COLUMN].rpartition(".")
    if len(name) <= _FIRST_COLUMN or not head.strip("."):
        return name
    return f"{head}{dot}\n{_broken(name[len(head) + 1 :])}"


def _portions(methods: int, beside: int) -> Iterator[list[int]]:
    others = list(range(1, methods))
    for start in range(0, len(others), beside - 1):
        yield [0, *others[start : start + beside - 1]]
