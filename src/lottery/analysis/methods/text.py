"""A comparison on a terminal: words first, then tables with one column a run.

Nothing is said by colour alone, and everything fits 80 columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from lottery.analysis.methods import facts
from lottery.analysis.methods.types import MEASURES, RunComparison
from lottery.analysis.text import WIDTH, bare_table, listed, printed

_MOST_COLUMNS = 3
_FIRST_COLUMN = 26


def comparison_text(comparison: RunComparison, *, width: int = WIDTH) -> str:
    """The comparison as plain text, without colours.

    Args:
        comparison: what to print.
        width: columns of the terminal, 60 or more.
    """
    return printed(_view(comparison), width=width)


def _view(comparison: RunComparison) -> RenderableType:
    parts: list[RenderableType] = [Text(comparison.paragraph)]
    for title, items in (
        ("Not comparable without care", comparison.warnings),
        (facts.findings_title(comparison), comparison.findings),
    ):
        if items:
            parts += [Text(), Text(title), listed(items, "-")]
    titles = facts.titles(comparison)
    for measure in MEASURES:
        lines = facts.measured(comparison, measure)
        if lines:
            parts += _tables(comparison, titles[measure], "Density %", lines)
    parts += [Text(), *(Text(note) for note in facts.notes(comparison))]
    if lines := facts.costs(comparison):
        parts += _tables(comparison, facts.COST_TITLE, "Density %", lines)
        parts += [Text(), Text(facts.COST_NOTE)]
    parts += _tables(comparison, "The runs", "", facts.runs(comparison))
    lines = facts.settings(comparison)
    if lines:
        parts += _tables(comparison, "Settings in which they differ", "", lines)
    if comparison.caveats:
        parts += [Text(), Text("Keep in mind"), listed(comparison.caveats, "-")]
    return Group(*parts)


def _tables(
    comparison: RunComparison, title: str, corner: str, lines: Sequence[facts.Line]
) -> list[RenderableType]:
    """The lines in as many tables as it takes; each begins with the first run."""
    parts: list[RenderableType] = [Text(), Text(title)]
    for number, places in enumerate(_portions(len(comparison.methods))):
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


def _portions(methods: int) -> Iterator[list[int]]:
    others = list(range(1, methods))
    for start in range(0, len(others), _MOST_COLUMNS - 1):
        yield [0, *others[start : start + _MOST_COLUMNS - 1]]
