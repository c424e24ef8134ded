"""Batches of the user's, for criteria that evaluate the network on data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lottery.core.criteria.batches import example_count
from lottery.errors import UsageError


def take_batches(source: Any, examples: int) -> list[Any]:
    """The first batches that hold as many examples as asked for; the last one is not cut.

    Args:
        source: batches that can be iterated over more than once, such as a list or a DataLoader;
            or a function without arguments that returns them.
        examples: how many examples are enough, 1 or more.

    Returns:
        The batches; all of them if the source holds fewer examples.

    Raises:
        UsageError: the source is an iterator, which can be used only once, or no iterable.
    """
    iterable = source() if callable(source) else source
    if not isinstance(iterable, Iterable) or (iterable is source and iterable is iter(iterable)):
        raise UsageError(
            f"batches: expected a list, a DataLoader or a function that gives one, got "
            f"{type(source).__name__}: batches are gone through again at every level"
        )
    taken: list[Any] = []
    for batch in iterable:
        taken.append(batch)
        examples -= example_count(batch)
        if examples <= 0:
            break
    return taken
