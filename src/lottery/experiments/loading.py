"""Loading configs from plain values: strictly, with every problem reported at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from reprlib import Repr
from types import GenericAlias, NoneType, UnionType
from typing import Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

from lottery.errors import ConfigError
from lottery.experiments.config import ExperimentConfig, OwnConfig, PlanConfig, to_plain
from lottery.experiments.guesses import (
    OLD_TABLES,
    hints_and_defaults,
    keys_meant,
    kinds_of,
    kinds_with,
    option_meant,
)
from lottery.experiments.old_configs import current_form
from lottery.experiments.toml import toml_value
from lottery.methods import METHODS, Iterative
from lottery.training import LENGTH_FORMS, Length, length_table

T = TypeVar("T")
_Config = TypeVar("_Config", bound=PlanConfig)

_WHOLE_NUMBERS: Final = range(-(2**63), 2**63)
"""Those that TOML promises to hold, and that arrays of whole numbers can."""
_MAX_TEXT: Final = 4096
"""As long as the longest path; names are shorter."""
_MAX_PROBLEMS: Final = 50
_MAX_PROBLEM: Final = 2000


def load_config(values: Mapping[str, Any], *, source: str = "the config") -> ExperimentConfig:
    """Build a config from plain values; what is absent keeps its default.

    Raises:
        ConfigError: listing every unknown key, wrong type and value out of range.
    """
    return _load(ExperimentConfig, values, source, _Reader())


def load_recorded_config(values: Mapping[str, Any], *, source: str) -> PlanConfig:
    """Build the config that a run was made from, even if it would be refused today.

    Rules become stricter, and a run that was made before them can still be read. Types, and the
    limits without which nothing could be read, hold for it as well.

    Raises:
        ConfigError: listing every unknown key, wrong type and value beyond such a limit.
    """
    kind = OwnConfig if "task" in values else ExperimentConfig
    return _load(kind, current_form(values), source, _Reader(rules=False))


def config_problems(config: PlanConfig) -> list[str]:
    """What is wrong with a config that was made in Python, one sentence each."""
    reader = _Reader()
    reader.dataclass(type(config), to_plain(config), "")
    return reader.problems


def _load(kind: type[_Config], values: Mapping[str, Any], source: str, reader: _Reader) -> _Config:
    config = reader.dataclass(kind, values, "")
    if reader.problems or isinstance(config, _Wrong):
        # What a file says may hold anything, and is printed.
        told = [_printable(problem) for problem in reader.problems]
        more = len(told) - _MAX_PROBLEMS
        raise ConfigError(
            [*told[:_MAX_PROBLEMS], *([f"and {more:,} more"] if more > 0 else [])], source=source
        )
    return config


def _printable(problem: str) -> str:
    short = problem if len(problem) <= _MAX_PROBLEM else f"{problem[:_MAX_PROBLEM]}..."
    return "".join(c if c.isprintable() else "\ufffd" for c in short)


def merge(
    below: Mapping[str, Any], above: Mapping[str, Any], *, emptying: bool = False
) -> dict[str, Any]:
    """The values of ``below``, overridden by those of ``above``, table by table.

    Args:
        below: plain values.
        above: plain values that take precedence.
        emptying: whether an empty table of ``above`` empties that of ``below``, as in
            ``--set prune.fractions={}``; else it changes nothing, like a bare heading in a file.

    >>> merge({"a": {"b": 1}}, {"a": {}}), merge({"a": {"b": 1}}, {"a": {}}, emptying=True)
    ({'a': {'b': 1}}, {'a': {}})
    """
    merged = dict(with_kind(below, above)[0])
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(value, Mapping) and value and value.keys() <= _LENGTH_KEYS:
            # So that the unit of "3 epochs" stays where its amount is changed.
            old = length_table(old) or old
        if isinstance(old, Mapping) and isinstance(value, Mapping) and (value or not emptying):
            merged[key] = merge(old, value, emptying=emptying)
        else:
            merged[key] = value
    return merged


def with_kind(
    below: Mapping[str, Any], above: Mapping[str, Any]
) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Plain values without the method settings that a new kind of method does not have.

    Args:
        below: plain values.
        above: plain values that may name another kind of method.

    Returns:
        ``below`` without these settings, and key -> value of those dropped that differ from their
        defaults.
    """
    old, new = below.get("method", {}), above.get("method")
    kind = str(new.get("kind", "")) if isinstance(new, Mapping) else ""
    then = str(old.get("kind", Iterative.kind)) if isinstance(old, Mapping) else ""
    if kind == then or kind not in METHODS or then not in METHODS:
        return below, {}
    kept, dropped = _fitting(old, to_plain(METHODS[then]()), METHODS[kind](), "method.")
    return {**below, "method": kept}, dropped


def _fitting(
    values: Mapping[str, Any], usual: Mapping[str, Any], other: Any, prefix: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is set apart from what is usual, and another config takes as well; and the rest.

    Of a table inside, in which anything is set, all is: its values mean something together.
    """
    kept: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    hints = get_type_hints(type(other))
    together = prefix != "method." and values != usual
    for key, value in values.items():
        if value == usual.get(key) and not together:
            continue
        inner = getattr(other, key, None)
        if is_dataclass(inner) and not isinstance(inner, Length) and isinstance(value, Mapping):
            kept[key], more = _fitting(value, usual.get(key, {}), inner, f"{prefix}{key}.")
            rest |= more
        elif key in hints and _reads(hints[key], value):
            kept[key] = value
        elif value != usual.get(key):
            rest[f"{prefix}{key}"] = value
    return kept, rest


_hints = cache(get_type_hints)
_LENGTH_KEYS: Final = {f.name for f in fields(Length)}


class _Wrong:
    """Stands for a value that was reported as a problem."""


_WRONG = _Wrong()


@dataclass
class _Reader:
    """Turns plain values into typed ones and gathers what is wrong on the way.

    Args:
        rules: whether values must go together, or only be within the limits of what can be read.
        problems: what is wrong so far, one sentence each.
    """

    rules: bool = True
    problems: list[str] = field(default_factory=list)

    def dataclass(self, cls: type[T], values: object, path: str) -> T | _Wrong:
        if cls is Length:
            values = length_table(values) or values
        if not isinstance(values, Mapping):
            keys = ", ".join(f.name for f in fields(cls))  # type: ignore[arg-type]
            return self._wrong(
                path,
                LENGTH_FORMS if cls is Length else f"a table with {keys}",
                values,
                self._meant(path, values),
            )
        hints = _hints(cls)  # type: ignore[arg-type]
        known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
        for key in values:
            if key not in known:
                self._unknown(path, str(key), values[key], sorted(known))
        read = {
            key: self.value(hints[key], value, _join(path, key))
            for key, value in values.items()
            if key in known
        }
        good = {key: value for key, value in read.items() if value is not _WRONG}
        required = {f.name for f in known.values() if f.default is f.default_factory is MISSING}
        self.problems += [f"{_join(path, key)}: is missing" for key in sorted(required - {*read})]
        if required - good.keys():
            return _WRONG
        made = cls(**good)
        # With a default in place of a wrong value, a problem found could be one of our making.
        if _WRONG not in read.values():
            check = getattr(made, "problems" if self.rules else "limits", list[str])
            self.problems += [_join(path, problem) for problem in check()]
        return made

    def value(self, hint: Any, value: object, path: str) -> Any:
        origin = get_origin(hint)
        if hint is Any:
            return value
        if origin is UnionType and NoneType not in get_args(hint):
            return self._kind(hint, value, path)
        if origin is UnionType:
            (given,) = (arg for arg in get_args(hint) if arg is not NoneType)
            return None if value is None else self.value(given, value, path)
        if is_dataclass(hint) and isinstance(hint, type):
            return self.dataclass(hint, value, path)
        if origin is Literal:
            choices = get_args(hint)
            if value in choices:
                return value
            near = get_close_matches(value[:100], choices, n=1) if isinstance(value, str) else []
            hint = f"did you mean '{near[0]}'?" if near else ""
            return self._wrong(path, f"one of {', '.join(map(repr, choices))}", value, hint)
        if origin is tuple:
            return self._sequence(hint, value, path)
        if origin is not None and issubclass(origin, Mapping):
            return self._table(hint, value, path)
        return self._scalar(hint, value, path)

    def _kind(self, hint: Any, value: object, path: str) -> Any:
        """A table of one of several kinds, which says itself of which."""
        kinds = kinds_of(hint)
        default = next(iter(kinds))
        kind = value.get("kind", default) if isinstance(value, Mapping) else default
        if isinstance(kind, str) and kind in kinds:
            return self.dataclass(kinds[kind], value, path)
        choices = Literal[tuple(kinds)]  # type: ignore[valid-type]
        return self.value(choices, kind, _join(path, "kind"))

    def _scalar(self, hint: Any, value: object, path: str) -> Any:
        # bool is an int to Python, but `replicates = true` is a mistake.
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if hint is int and number and isinstance(value, int) and value in _WHOLE_NUMBERS:
            return value
        if hint is float and number:
            finite = _finite(value)
            if finite is not None:
                return finite
        if hint is bool and isinstance(value, bool):
            return value
        if hint is str and _is_text(value):
            return value
        large = isinstance(value, hint) or (hint is float and number)
        expected = _WITHIN if large and not isinstance(value, bool) else _EXPECTED
        return self._wrong(path, expected[hint], value)

    def _sequence(self, hint: GenericAlias, value: object, path: str) -> Any:
        if not isinstance(value, Sequence) or isinstance(value, str):
            return self._wrong(path, "an array", value)
        (item,) = (arg for arg in get_args(hint) if arg is not Ellipsis)
        read = tuple(self.value(item, v, f"{path}[{n}]") for n, v in enumerate(value))
        return _WRONG if _WRONG in read else read

    def _table(self, hint: GenericAlias, value: object, path: str) -> Any:
        if not isinstance(value, Mapping):
            return self._wrong(path, "a table", value, self._meant(path, value))
        item = get_args(hint)[1]
        if item is Any:
            return dict(value)
        if not all(map(_is_text, value)):
            return self._wrong(path, f"a table whose names are each {_WITHIN[str]}", value)
        for key, inner in value.items():
            if isinstance(inner, Mapping):
                return self._dotted(path, key, inner)
        read = {key: self.value(item, v, f"{path}.'{key}'") for key, v in value.items()}
        return _WRONG if _WRONG in read.values() else read

    def _dotted(self, path: str, key: str, inner: Mapping[str, Any]) -> _Wrong:
        whole = f"{key}.{next(iter(inner), '...')}"
        self.problems.append(
            f"{path}.{key}: expected a value, got a table; a name with dots stands in quotes: "
            f'{path}."{whole}"'
        )
        return _WRONG

    def _wrong(self, path: str, expected: str, got: object, hint: str = "") -> _Wrong:
        text = f"{path or 'the config'}: expected {expected}, got {_SHORT.repr(got)}"
        self.problems.append(f"{text}; {hint}" if hint else text)
        return _WRONG

    def _unknown(self, table: str, key: str, value: object, known: Sequence[str]) -> None:
        path = _join(table, key)
        if path in OLD_TABLES and isinstance(value, Mapping) and value:
            for inner, given in value.items():
                self._unknown(path, str(inner), given, known)
            return
        option = option_meant(key)
        meant = f"it is an option of the command, {option}" if option else self._meant(path, value)
        if kinds := kinds_with(path):
            meant = f"method.kind = {' or '.join(map(repr, kinds))} has it"
        if not meant:
            near = get_close_matches(key[:100], known, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            meant = f"{hint}Known here: {', '.join(known)}"
        self.problems.append(f"{_join(table, key[:100])}: no such key; {meant}")

    def _meant(self, path: str, value: object) -> str:
        """How to write what somebody means who gives a value to a key that does not take it."""
        keys = keys_meant(path, value)
        fit = [(key, given) for key, given in keys if _fits(key, given)]
        named = [
            # A table is written under its own name, and a wrong value is no example.
            key if isinstance(given, Mapping) else f"{key}={toml_value(given)}"
            for key, given in fit or [(key, _example(key)) for key, _ in keys]
        ]
        return f"write {' or '.join(named[:3])}" if named else ""


_EXPECTED: Final = {
    int: "a whole number",
    float: "a number",
    str: "a string",
    bool: "true or false",
}
_WITHIN: Final = {
    int: "a whole number of at most 64 bits",
    float: "a finite number",
    str: f"a string of at most {_MAX_TEXT:,} characters, none of them a control character",
}
"""The same, for a value that is of the type but too large."""


class _Short(Repr):
    """A value in an error: what cannot be printed escaped, what is long cut."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxlist, self.maxdict, self.maxother = 3, 80, 5, 4, 80

    def repr_int(self, x: int, level: int) -> str:
        """A whole number, or how many digits it has: Python refuses to write some thousands."""
        del level
        digits = round(x.bit_length() * math.log10(2))
        return repr(x) if digits <= 40 else f"a whole number of about {digits:,} digits"


_SHORT: Final = _Short()


def _is_text(value: object) -> bool:
    """Whether a value is a string that can name something, and be printed to a terminal."""
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        return False
    return not any(c < " " or "\x7f" <= c < "\xa0" for c in value)


def _finite(value: object) -> float | None:
    """A number as a float, without the sign of zero; None for what is not finite."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        return None
    return number + 0.0 if math.isfinite(number) else None


def _fits(key: str, value: object) -> bool:
    """Whether a key takes a value, whatever the others are."""
    found = hints_and_defaults(key)
    if isinstance(value, Mapping):
        return any(is_dataclass(default) or isinstance(default, Mapping) for _, default in found)
    return any(_reads(hint, value) for hint, _ in found)


def _reads(hint: Any, value: object) -> bool:
    reader = _Reader()
    reader.value(hint, value, "")
    return not reader.problems


def _example(key: str) -> object:
    """A value that a key takes: its default."""
    default = hints_and_defaults(key)[0][1]
    return str(default) if isinstance(default, Length) else to_plain(default)


def _join(path: str, rest: str) -> str:
    return f"{path}.{rest}" if path else rest
