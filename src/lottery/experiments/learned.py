"""Initializations from files: ``initialization = "learned:FILE"``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lottery.errors import StoreError, UsageError, unknown_name
from lottery.models import INITIALIZATIONS
from lottery.models.learned import LearnedInitialization, SignedQuantiles
from lottery.store.files import read_json
from lottery.store.hashes import check_record
from lottery.store.jobs import SHARE
from lottery.store.schema import TABLE, Kind, number, one_of, schema_problems, whole

PREFIX: Final = "learned:"
FORMAT: Final = 1
"""Version of the file."""
_MOST_POINTS: Final = 10_000
_LARGEST: Final = 3.4e38
_VALUE: Final = number(-_LARGEST, _LARGEST)
_WHOLE: Final = {
    "learned": whole(FORMAT, FORMAT),
    "usual": one_of(INITIALIZATIONS),
    "layers": TABLE,
}


def _quantiles(sign: int) -> Kind:
    side = "above" if sign > 0 else "below"

    def fits(values: Any) -> bool:
        return (
            isinstance(values, list)
            and len(values) <= _MOST_POINTS
            and all(_VALUE.fits(value) and sign * value >= 0 for value in values)
            and values == sorted(values)
        )

    return Kind(f"up to {_MOST_POINTS:,} rising numbers, none {_OTHER[side]} 0", fits)


_OTHER: Final = {"above": "below", "below": "above"}
_LAYER: Final = {"positive": SHARE, "below": _quantiles(-1), "above": _quantiles(1)}


def initialization_problem(name: str) -> str | None:
    """What is wrong with an initialization's name, or None; no file is opened."""
    is_file = name.startswith(PREFIX) and name != PREFIX and name.isprintable()
    if name in INITIALIZATIONS or is_file:
        return None
    return unknown_name("initialization", name, [*INITIALIZATIONS, f"{PREFIX}FILE"])


def find_initialization(name: str, out: Path) -> LearnedInitialization | None:
    """Read the initialization that a config names, if it is a file; None if it is built in.

    Args:
        name: the config's ``initialization``.
        out: the directory of runs, which the file's path is relative to.

    Raises:
        UsageError: there is no such initialization.
        StoreError: the file is missing or its contents are wrong; says what is wrong.
    """
    problem = initialization_problem(name)
    if problem:
        raise UsageError(f"initialization: {problem}")
    return read_learned(out / name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None


def read_learned(path: Path) -> LearnedInitialization:
    """Read a learned initialization; the file may come from anyone.

    Raises:
        StoreError: it is missing or its contents are wrong; says what is wrong.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise StoreError(f"{path} is no learned initialization: expected a table")
    check_record(content, path)
    wrong = schema_problems(content, _WHOLE)
    if not wrong:
        wrong = [f"{name}: {what}" for name, of in content["layers"].items() for what in _wrong(of)]
    if wrong:
        raise StoreError(f"{path} is no learned initialization: {'; '.join(wrong[:5])}")
    layers = {name: _read(of) for name, of in content["layers"].items()}
    return LearnedInitialization(content["usual"], layers)


def _wrong(layer: Any) -> list[str]:
    if not isinstance(layer, dict):
        return ["expected a table"]
    found = schema_problems(layer, _LAYER)
    if not found:
        shares = {"below": 1 - layer["positive"], "above": layer["positive"]}
        found = [
            f"{side}: expected quantiles exactly where weights are {side} 0, a share of {share:g}"
            for side, share in shares.items()
            if bool(layer[side]) != (share > 0)
        ]
    return found


def _read(layer: Mapping[str, Any]) -> SignedQuantiles:
    below, above = (tuple(map(float, layer[side])) for side in ("below", "above"))
    return SignedQuantiles(positive=float(layer["positive"]), below=below, above=above)
