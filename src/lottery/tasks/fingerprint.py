"""Fingerprints of the user's functions, as plain JSON: their code and the values it refers to.

Covered are the code of the function and of the user's own functions and classes that it uses;
globals, closures, defaults and arguments that are numbers, strings, tensors, arrays, models, or
containers and plain objects of these. What is not covered, such as the contents of files, is listed
where it is noticed. Libraries are identified by name alone.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import logging
import math
import re
import types
from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from lottery.errors import UsageError
from lottery.tasks.code import class_members, code_of, is_library, names_used

Plain = Any

_NOT_COVERED: Final = "not covered: "
_LONGEST: Final = 200
"""Characters of a description that is longer are replaced by their hash."""


def read_told(fingerprint: Any) -> Plain:
    """A fingerprint that the user tells, as it comes back from a file.

    Raises:
        UsageError: it is no plain JSON.
    """
    try:
        return json.loads(json.dumps(fingerprint, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"fingerprint: expected texts, numbers, and lists and dicts of these; {error}"
        ) from error


def describe(function: Any) -> Plain:
    """The fingerprint of a function: all that its result depends on, as far as that can be known.

    Args:
        function: a function, method, ``functools.partial`` or object that can be called.

    Returns:
        ``is``: what it is; ``code``: name of a function or class -> its ``source`` (a hash, without
        comments and docstrings; ``bytecode`` where the source cannot be had), and what it ``uses``,
        by name. Strings are hashed, since they may be secrets.
    """
    walk = _Walk()
    return {"is": walk.describe(function), "code": walk.code}


def not_covered(description: Plain) -> list[str]:
    """The objects of a fingerprint whose contents are not part of it, in words; each once.

    >>> not_covered({"is": "function train", "code": {"train": {"uses": {"f": "not covered: IO"}}}})
    ['f (IO)']
    """
    found: dict[str, None] = {}

    def look(name: str, value: Plain) -> None:
        if isinstance(value, str) and _NOT_COVERED in value:
            for part in value.split(_NOT_COVERED)[1:]:
                found[f"{name} ({part.split(',')[0].rstrip(')}]')})"] = None
        elif isinstance(value, Mapping):
            for key, one in value.items():
                look(name if key in ("is", "code", "uses") else key, one)

    look("", description)
    return list(found)


def difference(old: Mapping[str, Plain], new: Mapping[str, Plain]) -> list[str]:
    """What changed between two fingerprints of a task, one phrase each.

    Args:
        old: part of the task, such as ``train`` -> what `describe` returned, or any plain value.
        new: the same, of the code at hand.

    >>> now = {"train": {"is": "function fit", "code": {"fit": {"source": "a", "uses": {"lr": 2}}}}}
    >>> old = {"train": {"is": "function fit", "code": {"fit": {"source": "a", "uses": {"lr": 1}}}}}
    >>> difference(old, now)
    ['train: lr, which fit uses, was 1 and is 2']
    """
    found = []
    for part in sorted({*old, *new}):
        before, now = old.get(part), new.get(part)
        if before == now:
            continue
        phrases: list[str] = []
        if _is_description(before) and _is_description(now):
            phrases = _changes(before, now)
        elif all(len(json.dumps(value)) <= 60 for value in (before, now)):
            phrases = [f"was {before!r} and is {now!r}"]
        found += [f"{part}: {one}" for one in phrases or ["changed"]]
    return found


def _is_description(value: Plain) -> bool:
    return isinstance(value, Mapping) and value.keys() == {"is", "code"}


def _changes(old: Plain, new: Plain) -> list[str]:
    found = [] if old["is"] == new["is"] else [f"it was {old['is']} and is {new['is']}"]
    for name in sorted({*old["code"], *new["code"]}):
        before, now = old["code"].get(name), new["code"].get(name)
        if before is None or now is None:
            found.append(f"{name} is {'used now' if before is None else 'no longer used'}")
            continue
        if {**before, "uses": None} != {**now, "uses": None}:
            found.append(f"the code of {name} changed")
        for key in sorted({*before["uses"], *now["uses"]}):
            one, other = before["uses"].get(key), now["uses"].get(key)
            if one != other:
                found.append(f"{key}, which {name} uses, {_changed(one, other)}")
    return found


def _changed(old: Plain, new: Plain) -> str:
    # Of anything longer than a number there is a hash, which tells nobody anything.
    numbers = all(value is None or isinstance(value, int | float) for value in (old, new))
    return f"was {old!r} and is {new!r}" if numbers else "changed"


def digest(*parts: bytes | str) -> str:
    """The first 16 hex digits of the SHA-256 of the concatenated parts."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.encode() if isinstance(part, str) else part)
    return whole.hexdigest()[:16]


class _Walk:
    """Goes through what a function refers to; each function and class once."""

    def __init__(self) -> None:
        self.code: dict[str, Plain] = {}
        self._names: dict[int, str] = {}
        self._kept: list[Any] = []  # so that no other object gets the id of one seen
        self._open: set[int] = set()

    def describe(self, value: Any) -> Plain:
        """A value as something short and plain."""
        if value is None or type(value) in (bool, int):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else str(value)
        if isinstance(value, str | bytes | PurePath):
            text = value if isinstance(value, bytes) else str(value)
            return f"{type(value).__name__} {digest(text)}"
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if id(value) in self._open:
            return "itself"
        self._open.add(id(value))
        try:
            found = self._describe(value)
        finally:
            self._open.discard(id(value))
        text = json.dumps(found)
        return found if len(text) <= _LONGEST or _NOT_COVERED in text else f"{digest(text)}"

    def _describe(self, value: Any) -> Plain:
        if isinstance(value, Tensor):
            return f"tensor {tuple(value.shape)} {value.dtype} {tensor_digest(value)}"
        if isinstance(value, np.ndarray) and value.dtype.kind != "O":
            content = digest(np.ascontiguousarray(value).tobytes())
            return f"array {value.shape} {value.dtype} {content}"
        if isinstance(value, types.ModuleType):
            own = "" if is_library(value.__name__) else _NOT_COVERED
            return f"{own}module {value.__name__}"
        if isinstance(value, functools.partial):
            parts = [value.func, *value.args, value.keywords]
            return f"partial {self._joined(parts)}"
        if isinstance(value, types.MethodType):
            return f"method {self._joined([value.__func__, value.__self__])}"
        if callable(getattr(value, "__wrapped__", None)):
            return f"wrapped {self._joined([value.__wrapped__])}"
        plain = type(value).__module__ in ("builtins", "collections", "types")
        if plain and isinstance(value, Mapping | list | tuple | set | frozenset):
            return self._container(value)
        return self._object(value)

    def _joined(self, values: Iterable[Any]) -> str:
        return ", ".join(str(self.describe(value)) for value in values)

    def _container(self, value: Any) -> str:
        if isinstance(value, Mapping):
            listed = [f"{self.describe(k)}: {self.describe(v)}" for k, v in value.items()]
        else:
            listed = [str(self.describe(one)) for one in value]
        if isinstance(value, set | frozenset):
            listed.sort()
        return f"{type(value).__name__} of {len(listed)} ({', '.join(listed)})"

    def _object(self, value: Any) -> str:
        kind = self._class(type(value))
        if isinstance(value, nn.Module):
            state = [f"{n} {tensor_digest(v)}" for n, v in value.state_dict().items()]
            return f"model {kind} {digest(*state)}"
        if isinstance(value, logging.Logger):
            return kind
        if isinstance(value, np.generic | torch.dtype | torch.device | range | slice | re.Pattern):
            return f"{kind} {value}"
        if isinstance(value, types.BuiltinFunctionType | np.ufunc):
            return f"{value.__name__}"
        plain = isinstance(value, Namespace | types.SimpleNamespace | Dataset)
        own = not is_library(type(value).__module__)
        if hasattr(value, "__dict__") and (plain or own or dataclasses.is_dataclass(value)):
            return f"{kind} {self.describe(vars(value))}"
        return f"{_NOT_COVERED}{type(value).__qualname__}"

    def _class(self, value: type) -> str:
        if is_library(value.__module__):
            return f"class {value.__module__}.{value.__qualname__}"
        if id(value) not in self._names:
            name = self._name(value, value.__qualname__)
            self.code[name] = {"source": "class", "uses": {}}
            uses = {key: self.describe(one) for key, one in class_members(value).items()}
            uses |= {f"base {i}": self.describe(one) for i, one in enumerate(value.__bases__)}
            self.code[name]["uses"] = uses
        return f"class {self._names[id(value)]}"

    def _function(self, value: types.FunctionType) -> str:
        if id(value) in self._names:
            return f"function {self._names[id(value)]}"
        library = is_library(value.__globals__.get("__name__") or "")
        name = self._name(value, value.__qualname__)
        found: dict[str, Any] = {}
        if not library:
            found |= names_used(value)
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        found |= {key: cell.cell_contents for key, cell in cells if _is_filled(cell)}
        found |= {f"default {i}": one for i, one in enumerate(value.__defaults__ or ())}
        found |= {f"default {key}": one for key, one in (value.__kwdefaults__ or {}).items()}
        if library and not found:
            return f"{value.__module__}.{value.__qualname__}"
        self.code[name] = {**({"library": name} if library else code_of(value)), "uses": {}}
        uses = {key: self.describe(one) for key, one in found.items() if one is not value}
        self.code[name]["uses"] = uses
        return f"function {name}"

    def _name(self, value: Any, wanted: str) -> str:
        # Not with its module, which is __main__ or another name in a process beside.
        number = sum(name.partition("#")[0] == wanted for name in self._names.values())
        self._kept.append(value)
        name = self._names[id(value)] = f"{wanted}#{number + 1}" if number else wanted
        return name


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - asking is the only way to know
    except ValueError:
        return False
    return True


def tensor_digest(value: Tensor) -> str:
    """A hash of a tensor's values, 16 hex digits; it does not depend on the shape."""
    if value.is_meta:
        return "without numbers"
    plain = value.detach().cpu().contiguous()
    return digest(plain.flatten().view(torch.uint8).numpy().tobytes() if plain.numel() else b"")
