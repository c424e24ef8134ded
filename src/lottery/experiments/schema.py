"""Every key of a config with its type, default and meaning, read from the dataclasses."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from lottery.experiments.config import ExperimentConfig, to_plain
from lottery.experiments.guesses import kinds_of
from lottery.training import Length


def schema_rows() -> list[dict[str, Any]]:
    """One row per key: ``key``, ``type``, ``default`` (a JSON value) and ``meaning``.

    Keys that only one kind of method has also have ``kind``, that kind.
    """
    return _rows(ExperimentConfig(), "")


def _rows(config: Any, prefix: str) -> list[dict[str, Any]]:
    hints, meanings = get_type_hints(type(config)), meanings_of(type(config))
    rows: list[dict[str, Any]] = []
    for field in fields(config):
        value = getattr(config, field.name)
        key = f"{prefix}{field.name}"
        if isinstance(value, Length):
            # What a length is for stands at the field that holds it.
            rows += [
                {**row, "meaning": f"{meanings[field.name]} {row['meaning']}"}
                for row in _rows(value, f"{key}.")
            ]
        elif kinds := kinds_of(hints[field.name]):
            rows += [
                {**row, "kind": kind}
                for kind, cls in kinds.items()
                for row in [_kind_row(key, kind, cls), *_rows(cls(), f"{key}.")[1:]]
            ]
        elif is_dataclass(value):
            rows += _rows(value, f"{key}.")
        else:
            row = {"key": key, "type": _type_name(hints[field.name]), "default": to_plain(value)}
            rows.append({**row, "meaning": meanings[field.name]})
    return rows


def _kind_row(key: str, kind: str, cls: type) -> dict[str, Any]:
    meaning = " ".join((cls.__doc__ or "").split())
    return {"key": f"{key}.kind", "type": repr(kind), "default": kind, "meaning": meaning}


def meanings_of(cls: type) -> dict[str, str]:
    """The meaning of each field of a dataclass: from its metadata, or the docstring under it."""
    said = {f.name: f.metadata["meaning"] for f in fields(cls) if "meaning" in f.metadata}
    return said or field_docstrings(cls)


def field_docstrings(cls: type) -> dict[str, str]:
    """The docstring under each field of a dataclass and its bases, in one line."""
    above = [field_docstrings(base) for base in cls.__bases__ if is_dataclass(base)]
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(definition, ast.ClassDef)
    found = {name: text for meanings in above for name, text in meanings.items()}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = " ".join(text.split())
    return found


def _type_name(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " | ".join(map(repr, get_args(hint)))
    if get_origin(hint) is tuple:
        return f"array of {_type_name(get_args(hint)[0])}"
    if get_origin(hint) is not None:
        return f"table of {_type_name(get_args(hint)[1])}"
    if is_dataclass(hint):
        return f"{{ {', '.join(field.name for field in fields(hint))} }}"
    return {int: "whole number", float: "number", str: "string", bool: "true | false"}[hint]
