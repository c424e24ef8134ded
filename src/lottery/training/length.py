"""A length of training, as written in a config."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from lottery.errors import UsageError

MAX_AMOUNT: Final = 10**9
"""The longest length, in either unit: far beyond any training, and any array of its iterations."""

LENGTH_FORMS: Final = (
    "a whole number of iterations, a string such as '3 epochs', or a table with amount, unit"
)
"""How a length can be written."""

# A comma or an underscore stands before three digits, so that "1,5 epochs" is no length.
_TEXT = re.compile(r"([0-9]{1,18}(?:[,_][0-9]{3}){0,6})\s*(?:(iteration|epoch)s?)?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Length:
    """A length of training, in iterations or epochs."""

    amount: int
    """How many, from 0 to 1,000,000,000. The whole table can also be written as a number of
    iterations, or as a string such as ``"3 epochs"``."""
    unit: Literal["iterations", "epochs"] = "iterations"
    """One optimizer step, or one pass over the training examples."""

    @classmethod
    def of(cls, value: object) -> Length:
        """A length from any of its forms in a config except a table.

        >>> Length.of(300) == Length(amount=300), str(Length.of("3 epochs"))
        (True, '3 epochs')

        Raises:
            UsageError: the value is no length.
        """
        if isinstance(value, Length):
            return value
        table = length_table(value)
        if table is None:
            raise UsageError(f"expected a Length, {LENGTH_FORMS}; got {value!r}")
        return cls(**table)

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        if 0 <= self.amount <= MAX_AMOUNT:
            return []
        return [f"amount: must be between 0 and {MAX_AMOUNT:,}, got {self.amount}"]

    # What was once written must be within the same bounds to be read.
    limits = problems

    def iterations(self, steps_per_epoch: int) -> int:
        """The length in iterations.

        >>> Length(amount=2, unit="epochs").iterations(917)
        1834
        """
        return self.amount * (steps_per_epoch if self.unit == "epochs" else 1)

    def __str__(self) -> str:
        return f"{self.amount:,} {self.unit if self.amount != 1 else self.unit[:-1]}"


def length_table(value: object) -> Mapping[str, Any] | None:
    """The table that the short forms of a length stand for; None for anything else.

    >>> length_table(300), length_table("1 epoch"), length_table("a while")
    ({'amount': 300}, {'amount': 1, 'unit': 'epochs'}, None)
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return {"amount": value}
    matched = _TEXT.fullmatch(value.strip()) if isinstance(value, str) else None
    if matched is None:
        return None
    digits, unit = matched.groups()
    amount = {"amount": int(digits.replace(",", "").replace("_", ""))}
    return amount | {"unit": f"{unit}s"} if unit else amount


def take_lengths(config: object, *names: str, arrays: Sequence[str] = ()) -> None:
    """Convert fields of a frozen dataclass from any form of a length; for its ``__post_init__``.

    Args:
        config: the dataclass.
        names: its fields that hold a length.
        arrays: its fields that hold an array of lengths.

    Raises:
        UsageError: a value is no length.
    """
    for name in (*names, *arrays):
        value = getattr(config, name)
        try:
            if name in arrays and not isinstance(value, list | tuple):
                raise UsageError(f"expected an array of lengths; got {value!r}")
            taken = tuple(map(Length.of, value)) if name in arrays else Length.of(value)
        except UsageError as error:
            raise UsageError(f"{name}: {error}") from error
        object.__setattr__(config, name, taken)
