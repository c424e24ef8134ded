"""A plain config as TOML: the small part of the language that configs need."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


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
    text = "".join(f"{_key(key)} = {_value(value)}\n" for key, value in plain.items())
    for key, table in tables.items():
        inside = (*path, _key(key))
        text += f"\n[{'.'.join(inside)}]\n{to_toml(table, inside)}"
    return text


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(k)} = {_value(v)}' for k, v in value.items())} }}"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def _string(text: str) -> str:
    # TOML's basic strings take JSON's escapes, except that DEL must be escaped as well.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
