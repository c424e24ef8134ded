"""Reading untrusted files: regular files only, of limited size, without following links."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lottery.errors import StoreError

MOST_JSON = 2**24
"""Largest size in bytes of a JSON file whose size no manifest states."""

# Without the last, opening a pipe waits for somebody to write to it.
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
)


_IS_LINK = "{} is a link; links in a run are not followed"


def read_plain(path: Path, *, most: int) -> bytes:
    """The contents of a regular file; links are not followed, pipes and devices not read.

    Args:
        path: the file.
        most: its largest allowed size in bytes.

    Raises:
        StoreError: it cannot be read, is not a regular file, or is larger.
    """
    try:
        with open(path, "rb", opener=lambda name, _: os.open(name, _FLAGS)) as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise StoreError(f"{path} is {_kind(state.st_mode)}; expected a plain file")
            if state.st_size > most:
                raise StoreError(f"{path} has {state.st_size:,} bytes; expected {most:,} at most")
            return file.read(state.st_size)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise StoreError(_IS_LINK.format(path)) from error
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    except MemoryError as error:
        raise StoreError(f"cannot read {path}: it does not fit the memory") from error


def read_json(path: Path) -> Any:
    """The contents of a JSON file; NaN and infinities are refused.

    Raises:
        StoreError: it cannot be read, or is not JSON.
    """
    try:
        return json.loads(read_plain(path, most=MOST_JSON), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"cannot read {path}: {error}") from error


def names_in(folder: Path) -> list[str]:
    """What there is in a folder, but for what begins with a dot; empty without the folder.

    Raises:
        StoreError: it is no directory, or cannot be read.
    """
    if problem := why_no_directory(folder):
        raise StoreError(problem)
    try:
        return sorted(one.name for one in folder.iterdir() if not one.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"cannot read {folder}: {error.strerror}") from error


def why_no_directory(path: Path) -> str:
    """Why a path is not a directory, in words; empty if it is one, or does not exist."""
    return _why_not(path, stat.S_ISDIR, "a directory")


def why_no_file(path: Path) -> str:
    """Why a path is not a regular file, in words; empty if it is one, or does not exist."""
    return _why_not(path, stat.S_ISREG, "a plain file")


def _why_not(path: Path, is_so: Callable[[int], bool], expected: str) -> str:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"cannot read {path}: {error.strerror}"
    if stat.S_ISLNK(mode):
        return _IS_LINK.format(path)
    return "" if is_so(mode) else f"{path} is {_kind(mode)}; expected {expected}"


def _kind(mode: int) -> str:
    kinds = {stat.S_ISREG: "a file", stat.S_ISDIR: "a directory", stat.S_ISFIFO: "a pipe"}
    return next((kind for holds, kind in kinds.items() if holds(mode)), "a device or socket")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
