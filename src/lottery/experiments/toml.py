"""TOML: files and options read as plain values, and plain configs written."""

from __future__ import annotations

import codecs
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lottery.errors import UsageError

_MAX_FILE_BYTES: Final = 1_000_000
_MAX_DEPTH: Final = 20
"""Tables and arrays inside one another; a config has five at most."""
_MAX_DOTS: Final = 200
"""In a key or a line; a hundred densities have as many."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# Of two encodings that begin alike, the longer mark comes first.
_OTHER_MARKS: Final = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, which may begin with a byte order mark.

    Raises:
        UsageError: it is missing, no regular file, not UTF-8 or not TOML; says where.
    """
    try:
        # To open a pipe would wait for somebody to write to it.
        if path.exists() and not path.is_file():
            raise UsageError(f"cannot read {path}: expected a file")
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > _MAX_FILE_BYTES:
        raise UsageError(f"{path} is over {_MAX_FILE_BYTES:,} bytes: not a config")
    try:
        return _parsed(_decoded(content))
    except ValueError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error


def parse_override(text: str) -> dict[str, Any]:
    """One ``key.path=value`` as nested tables; the value is TOML, or else taken as a string.

    >>> parse_override("training.length.amount=1000")
    {'training': {'length': {'amount': 1000}}}
    >>> parse_override("model=mlp-30")
    {'model': 'mlp-30'}

    Raises:
        UsageError: there is no ``=``, the key is not a key path, or the value is too large or too
            deep for a config.
    """
    key, equals, value = text.partition("=")
    # A quoted key may itself hold '=', but the first form that parses is the one meant.
    for document in (text, f"{key} = {_string(value.strip())}") if equals else ():
        try:
            return _parsed(document)
        except tomllib.TOMLDecodeError:
            continue
        except ValueError as error:
            raise UsageError(f"--set {key}: {error}") from error
    short = text if len(text) <= 200 else f"{text[:197]}..."
    raise UsageError(
        f"--set {short}: expected KEY.PATH=VALUE, such as --set training.batch_size=100"
        + ("" if equals else "; there is no '='")
    )


def _decoded(content: bytes) -> str:
    """Text of UTF-8; a ValueError in words for anything else."""
    for mark, name in _OTHER_MARKS.items():
        if content.startswith(mark):
            raise ValueError(f"it is {name} text; save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"it is not UTF-8 text (byte {error.start}, line {line}); save it as UTF-8"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(
            f"there is a NUL byte in line {line}, as in a binary file or in UTF-16; save it as "
            "UTF-8 text"
        )
    if "\r" in text.replace("\r\n", ""):
        raise ValueError("its lines end with a carriage return alone; save it with LF or CR LF")
    return text


def _parsed(text: str) -> dict[str, Any]:
    """The values of a TOML document; a ValueError in words for what is none."""
    # The parser takes a time that grows with the square of a key's parts.
    if any(piece.count(".") > _MAX_DOTS for piece in re.split("[=\n]", text)):
        raise ValueError(f"a line has more than {_MAX_DOTS} dots: no key is that deep")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError as error:
        raise ValueError(f"values lie more than {_MAX_DEPTH} deep inside one another") from error
    except ValueError as error:
        # Python reads numbers of some thousand digits at most.
        raise ValueError("a number has too many digits") from error
    _check_depth(values)
    return values


def _check_depth(values: Mapping[str, Any]) -> None:
    """Refuse what would be too deep for the recursion of others."""
    inside: list[Any] = [values]
    for _ in range(_MAX_DEPTH):
        inside = [
            item
            for value in inside
            if isinstance(value, Mapping | list)
            for item in (value.values() if isinstance(value, Mapping) else value)
        ]
    if inside:
        raise ValueError(f"values lie more than {_MAX_DEPTH} deep inside one another")


def to_toml(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> str:
    """Nested tables of numbers, strings, booleans, and arrays, as TOML text.

    >>> print(to_toml({"a": 1, "b": {"c.d": [0.5]}}), end="")
    a = 1
    <BLANKLINE>
    [b]
    "c.d" = [0.5]
    """
    plain = {key: value for key, value in values.items() if not isinstance(value, Mapping)}
    tables = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    text = "".join(f"{_key(key)} = {toml_value(value)}\n" for key, value in plain.items())
    for key, table in tables.items():
        inside = (*path, _key(key))
        text += f"\n[{'.'.join(inside)}]\n{to_toml(table, inside)}"
    return text


def toml_value(value: Any) -> str:
    """A number, string, boolean, array or table as TOML, in one line."""
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(k)} = {toml_value(v)}' for k, v in value.items())} }}"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    # TOML's basic strings take JSON's escapes, except that DEL must be escaped as well.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
