"""From TOML and overrides to a config: strict, and with every problem reported at once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import GenericAlias
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from lottery.errors import ConfigError, UsageError
from lottery.experiments.config import ExperimentConfig

T = TypeVar("T")

_MAX_FILE_BYTES = 1_000_000


def load_config(values: Mapping[str, Any], *, source: str = "the config") -> ExperimentConfig:
    """Build a config from plain values; what is absent keeps its default.

    Raises:
        ConfigError: listing every unknown key, wrong type and value out of range.
    """
    reader = _Reader()
    config = reader.dataclass(ExperimentConfig, values, "")
    if reader.problems or isinstance(config, _Wrong):
        raise ConfigError(reader.problems, source=source)
    return config


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        UsageError: it is missing or not TOML; says where.
    """
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise UsageError(f"{path} is over {_MAX_FILE_BYTES:,} bytes: not a config")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text: byte {error.start}") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error


def parse_override(text: str) -> dict[str, Any]:
    """One ``key.path=value`` as nested tables; the value is TOML, or else taken as a string.

    >>> parse_override("training.length.amount=1000")
    {'training': {'length': {'amount': 1000}}}
    >>> parse_override("model=mlp-30")
    {'model': 'mlp-30'}

    Raises:
        UsageError: there is no ``=``, or the key is not a key path.
    """
    key, equals, value = text.partition("=")
    # A quoted key may itself hold '=', but the first form that parses is the one meant.
    quoted = '"' + value.strip().replace("\\", "\\\\").replace('"', '\\"') + '"'
    for document in (text, f"{key} = {quoted}") if equals else ():
        try:
            return tomllib.loads(document)
        except tomllib.TOMLDecodeError:
            continue
    raise UsageError(
        f"--set {text}: expected KEY.PATH=VALUE, such as --set training.batch_size=100"
        + ("" if equals else "; there is no '='")
    )


def merge(
    below: Mapping[str, Any], above: Mapping[str, Any], *, emptying: bool = False
) -> dict[str, Any]:
    """``below`` with the values of ``above`` over them, table by table.

    Args:
        below: plain values.
        above: plain values that win.
        emptying: whether an empty table of ``above`` empties that of ``below``, as somebody means
            who writes ``prune.fractions={}``; else it changes nothing, as a heading in a file does.

    >>> merge({"a": {"b": 1}}, {"a": {}}), merge({"a": {"b": 1}}, {"a": {}}, emptying=True)
    ({'a': {'b': 1}}, {'a': {}})
    """
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping) and (value or not emptying):
            merged[key] = merge(old, value, emptying=emptying)
        else:
            merged[key] = value
    return merged


class _Wrong:
    """Stands for a value that was reported as a problem."""


_WRONG = _Wrong()


@dataclass
class _Reader:
    """Turns plain values into typed ones and gathers what is wrong on the way."""

    problems: list[str] = field(default_factory=list)

    def dataclass(self, cls: type[T], values: object, path: str) -> T | _Wrong:
        if not isinstance(values, Mapping):
            keys = ", ".join(f.name for f in fields(cls))  # type: ignore[arg-type]
            return self._wrong(path, f"a table with {keys}", values)
        hints = get_type_hints(cls)
        known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
        for key in values:
            if key not in known:
                self._unknown(_join(path, str(key)), str(key), sorted(known))
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
            check = getattr(made, "problems", list[str])
            self.problems += [_join(path, problem) for problem in check()]
        return made

    def value(self, hint: Any, value: object, path: str) -> Any:
        origin = get_origin(hint)
        if is_dataclass(hint) and isinstance(hint, type):
            return self.dataclass(hint, value, path)
        if origin is Literal:
            choices = get_args(hint)
            if value in choices:
                return value
            near = get_close_matches(str(value), choices, n=1)
            return self._wrong(
                path, f"one of {', '.join(map(repr, choices))}", value, near[0] if near else None
            )
        if origin is tuple:
            return self._sequence(hint, value, path)
        if origin is not None and issubclass(origin, Mapping):
            return self._table(hint, value, path)
        return self._scalar(hint, value, path)

    def _scalar(self, hint: Any, value: object, path: str) -> Any:
        # bool is an int to Python, but `replicates = true` is a mistake.
        if hint is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
            return value
        names = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
        return self._wrong(path, names[hint], value)

    def _sequence(self, hint: GenericAlias, value: object, path: str) -> Any:
        if not isinstance(value, Sequence) or isinstance(value, str):
            return self._wrong(path, "an array", value)
        (item,) = (arg for arg in get_args(hint) if arg is not Ellipsis)
        read = tuple(self.value(item, v, f"{path}[{n}]") for n, v in enumerate(value))
        return _WRONG if _WRONG in read else read

    def _table(self, hint: GenericAlias, value: object, path: str) -> Any:
        if not isinstance(value, Mapping):
            return self._wrong(path, "a table", value)
        item = get_args(hint)[1]
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

    def _wrong(self, path: str, expected: str, got: object, near: str | None = None) -> _Wrong:
        hint = f"; did you mean '{near}'?" if near else ""
        self.problems.append(f"{path or 'the config'}: expected {expected}, got {got!r}{hint}")
        return _WRONG

    def _unknown(self, path: str, key: str, known: Sequence[str]) -> None:
        near = get_close_matches(key, known, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        self.problems.append(f"{path}: no such key; {hint}Known here: {', '.join(known)}")


def _join(path: str, rest: str) -> str:
    return f"{path}.{rest}" if path else rest
