"""Common parts of the figures of analyses: reading their tables, choosing level and replicate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from lottery.analysis import formatting
from lottery.inside import Table
from lottery.inside.mask_sentences import WHOLE
from lottery.report.data import ReportData
from lottery.report.figure import DrawnFigure, Plot, choice, choices, figure_text

SECTION: Final = "Inside the tickets"
Row = Mapping[str, Any]
"""A row of a table, by column."""
SHARED: Final = ("level", "replicate")
"""Attributes that are chosen for all figures of the section together."""


def densities(data: ReportData) -> dict[int, float]:
    """Level -> density."""
    return {level.level: level.density for level in data.verdict.levels}


def chosen_level(data: ReportData, levels: Iterable[int]) -> int:
    """The level that is shown at first: that of the verdict, or else the sparsest."""
    there = sorted(levels)
    return data.verdict.level if data.verdict.level in there else there[-1]


def level_choice(data: ReportData, levels: Iterable[int]) -> Plot:
    """Buttons for levels, by their densities."""
    there, known = sorted(set(levels)), densities(data)
    shown = chosen_level(data, there)
    return choice(
        "level",
        "Level to show",
        [
            {
                "value": level,
                "label": formatting.percent(known[level]) if level in known else f"level {level}",
                "on": level == shown,
            }
            for level in there
        ],
        single=True,
    )


def replicate_choice(replicates: Iterable[int]) -> Plot:
    """Buttons for replicates."""
    there = sorted(set(replicates))
    return choice(
        "replicate",
        "Replicate to show",
        [
            {"value": number, "label": f"Replicate {number}", "on": number == there[0]}
            for number in there
        ],
        single=True,
    )


def layer_label(name: str) -> str:
    """A layer's name in figures."""
    bare = name.strip("()")
    return "all layers" if bare == WHOLE else figure_text(bare)


def layer_choice(labels: Sequence[str]) -> Plot:
    """Buttons for layers by their places in a list, the first pressed."""
    return choice(
        "layer",
        "Layer to show",
        [
            {"value": place, "label": layer_label(label), "on": place == 0}
            for place, label in enumerate(labels)
        ],
        single=True,
    )


def rows_of(data: ReportData, analysis: str, table: str) -> Iterator[dict[str, Any]]:
    """The rows of an analysis' table, by column; none where it was not made."""
    measured = data.inside.get(analysis)
    found: Sequence[Table] = measured.tables if measured else ()
    return (row for one in found if one.name == table for row in one.records())


def layer_names(data: ReportData, rows: Sequence[Row]) -> list[str]:
    """`WHOLE`, then the layers, from input to output where that order is known."""
    there = dict.fromkeys(row["layer"] for row in rows)
    return [WHOLE, *([n for n in data.layers if n in there] or [n for n in there if n != WHOLE])]


def shared_choices(figures: Sequence[DrawnFigure]) -> list[tuple[Plot, list[str]]]:
    """The rows of buttons that stand once, above the section, with the figures that they act on."""
    found = []
    for attribute in SHARED:
        rows = {
            drawn.figure.name: row
            for drawn in figures
            if drawn.section == SECTION
            for row in choices(drawn.content)
            if row["attribute"] == attribute
        }
        options = {option["value"]: option for row in rows.values() for option in row["options"]}
        if rows:
            first = next(iter(rows.values()))
            found.append((first | {"options": [options[at] for at in sorted(options)]}, [*rows]))
    return found
