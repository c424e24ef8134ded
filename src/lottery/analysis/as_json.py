"""A verdict of any kind, or a comparison of runs, as plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from lottery.analysis.types import Verdict

if TYPE_CHECKING:
    from lottery.analysis.methods.types import RunComparison
    from lottery.analysis.teaching import TeachVerdict
    from lottery.analysis.transfer import TransferVerdict

SCHEMA_VERSION = 2


def to_json(found: Verdict | RunComparison | TransferVerdict | TeachVerdict) -> dict[str, Any]:
    """A verdict or a comparison as plain values, ready for ``json.dumps``.

    The keys are the names of the dataclass' fields, and ``schema_version``; what is not known is
    null. Replicates and levels that are keys become strings, as JSON demands.

    Raises:
        ValueError: a number is not finite, which no function of this package gives.
    """
    return {"schema_version": SCHEMA_VERSION, **_plain(found)}


def _plain(value: object) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"expected finite numbers, got {value}")
    return value
