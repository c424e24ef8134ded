"""Checking the fields of JSON files that may come from anyone."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

MOST: Final = 2**53
"""The largest integer that every JSON reader represents exactly."""
MOST_INPUTS: Final = 2**30
"""The largest number of inputs of a network."""


@dataclass(frozen=True)
class Kind:
    """A kind of value that a field may have.

    Args:
        expected: its description, which follows the word "expected" in messages.
        fits: whether a value is of this kind.
    """

    expected: str
    fits: Callable[[Any], bool]


TEXT: Final = Kind("text", lambda value: isinstance(value, str))
TABLE: Final = Kind("a table", lambda value: isinstance(value, dict))


def whole(least: int = 0, most: int = MOST) -> Kind:
    """Whole numbers from ``least`` to ``most``."""
    return Kind(
        f"a whole number from {least:,} to {most:,}",
        lambda value: is_whole(value) and least <= value <= most,
    )


def number(least: float, most: float) -> Kind:
    """Finite numbers from ``least`` to ``most``."""
    return Kind(
        f"a number from {least:g} to {most:g}",
        # A whole number may be larger than any float, but can be compared with one.
        lambda value: (
            (is_whole(value) or (isinstance(value, float) and math.isfinite(value)))
            and least <= value <= most
        ),
    )


def one_of(choices: Collection[str]) -> Kind:
    """One of these strings."""
    return Kind(
        f"one of {', '.join(choices)}", lambda value: isinstance(value, str) and value in choices
    )


def shape(most: int, *, least: int = 0) -> Kind:
    """Shapes of ``least`` to 8 dimensions, each 1 or more, with a product up to ``most``."""
    return Kind(
        f"{least} to 8 whole numbers from 1, of a product up to {most:,}",
        lambda value: (
            isinstance(value, list)
            and least <= len(value) <= 8
            and all(is_whole(size) and 1 <= size <= most for size in value)
            and math.prod(value) <= most
        ),
    )


def or_null(kind: Kind) -> Kind:
    """The same kind, or null."""
    return Kind(f"{kind.expected}, or null", lambda value: value is None or kind.fits(value))


def table_of(kind: Kind) -> Kind:
    """Tables (JSON objects) whose values are all of one kind."""
    return Kind(
        f"a table whose values are each {kind.expected}",
        lambda value: isinstance(value, dict) and all(map(kind.fits, value.values())),
    )


def is_whole(value: object) -> bool:
    """Whether a JSON value is an integer; true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def schema_problems(
    values: Mapping[str, object], kinds: Mapping[str, Kind], *, optional: Collection[str] = ()
) -> list[str]:
    """The fields of a table that are missing or have wrong values, one phrase each.

    Args:
        values: the table; fields that are not in ``kinds`` are not checked.
        kinds: field -> its kind; ``a.b`` is the field ``b`` of the table ``a``.
        optional: the fields that may be missing.

    >>> kinds = {"level": whole(0, 99), "data.classes": whole(1, 9)}
    >>> schema_problems({"level": -1, "data": {}}, kinds)
    ['level: expected a whole number from 0 to 99, got -1', 'data.classes: is missing']
    """
    found = []
    for field, kind in kinds.items():
        *above, name = field.split(".")
        table: Any = values
        for part in above:
            table = table.get(part) if isinstance(table, dict) else None
        if not isinstance(table, Mapping) or name not in table:
            found += [] if field in optional else [f"{field}: is missing"]
        elif not kind.fits(table[name]):
            found.append(f"{field}: expected {kind.expected}, got {_short(table[name])}")
    return found


def _short(value: object) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of too many digits, or nested too deep
        return f"another {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."
