"""One process's figure, and its one line of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Unit = Literal["s", "steps/s", "MB"]
"""Seconds and megabytes (10^6 bytes) are better when lower, steps a second when higher."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What one measuring process found.

    Args:
        value: the figure, in ``unit``.
        unit: what it is a number of.
        samples: the measurements within the process that ``value`` is the median of.
        details: what else should be known of them, as plain JSON values.
    """

    value: float
    unit: Unit
    samples: tuple[float, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_line(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_output(cls, output: str) -> Figure:
        """The figure in the last line of a process's standard output.

        Raises:
            ValueError: the last line is not what `to_line` writes.
        """
        lines = output.strip().splitlines()
        try:
            values = json.loads(lines[-1])
            return cls(**values | {"samples": tuple(values["samples"])})
        except (IndexError, ValueError, TypeError, KeyError) as error:
            last = lines[-1] if lines else "nothing"
            raise ValueError(f"expected a figure in the last line, got {last!r}") from error
