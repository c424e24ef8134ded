"""Batches of the user's own, for criteria that look at data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lottery.core.criteria.batches import example_count
from lottery.errors import UsageError


def take_batches(source: Any, examples: int) -> list[Any]:
    """Batches up to a number of examples, the last one whole.

    Args:
        source: an iterable of batches that can be gone through again, such as a list or a
            DataLoader; or a function without arguments that gives one.
        examples: how many are enough, 1 or more.

    Raises:
        UsageError: the source is an iterator, which is used up after once, or no iterable.
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
