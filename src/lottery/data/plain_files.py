"""Files that the user names: only regular files are opened, and names are printed in one line."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Final

from lottery.errors import DataError, describe_error, printable

MAX_EXPANSION = 200
"""The largest ratio of unpacked to packed size; see `unpacked_limit`."""
_ALWAYS = 2**28
_REPLACE = "Replace the file with a good copy, or delete it."


class FileError(DataError):
    """A file cannot be read, is damaged, or is not the file it should be.

    Args:
        path: the file.
        reason: what was expected of it and what was found, without a full stop.
        fix: a sentence on what to do.
    """

    def __init__(self, path: Path, reason: str, fix: str = _REPLACE) -> None:
        self.reason = reason
        super().__init__(f"{path}: {reason}. {fix}")


def unpacked_limit(packed: int) -> int:
    """The largest size in bytes that a packed file may unpack to: a guard against gzip bombs.

    256 MiB are always allowed. Images, which are compressed already, unpack to little more than the
    packed size, while gzip can reach a ratio of a thousand.

    Args:
        packed: its size in bytes.
    """
    return max(_ALWAYS, MAX_EXPANSION * packed)


@contextmanager
def open_plain(
    path: Path, kind: str, damage: tuple[type[Exception], ...]
) -> Iterator[BufferedReader]:
    """Open a regular file for reading; inside the ``with`` block errors become a `FileError`.

    Args:
        path: the file.
        kind: what it should be, such as "a tar file".
        damage: the exceptions, besides OSError, that mean that the file is damaged.
    """
    try:
        # Opening a pipe would wait for ever, so what is no plain file is never opened.
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            found = "a directory" if stat.S_ISDIR(mode) else "not a plain file"
            raise FileError(path, f"expected {kind}, but this is {found}")
        with open(path, "rb") as file:
            yield file
    except damage as error:
        raise FileError(
            path, f"expected {kind}, but it is damaged ({describe_error(error)})"
        ) from error
    except OSError as error:
        if error.errno is None:  # such as gzip.BadGzipFile, which no disk is to blame for
            raise FileError(path, f"expected {kind}, but it is damaged ({error})") from error
        fix = "Check that it is there and that you may read it."
        raise FileError(path, f"cannot be read ({error.strerror or error})", fix) from error


SUFFIXES: Final = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif"),
        *(".ppm", ".pgm", ".tif", ".tiff", ".webp"),
    }
)
"""Suffixes of image files; files of other names, and hidden files, are ignored."""


def is_image(path: str) -> bool:
    """Whether a path is that of an image by its suffix, and neither it nor a folder is hidden.

    >>> is_image("./train/cat/1.JPG"), is_image("cat/.ipynb_checkpoints/1.jpg")
    (True, False)
    """
    if os.path.splitext(path)[1].lower() not in SUFFIXES:
        return False
    return not any(part.startswith(".") for part in path.split("/") if part not in (".", ".."))


def one_line(name: str) -> str:
    r"""A name in one line, with unprintable characters replaced.

    >>> one_line("cat\x1b[2J\n").isprintable()
    True
    """
    return printable(name).replace("\n", "\ufffd")


def first_names(names: list[str]) -> str:
    """A list of at most five names, with how many more there are."""
    text = ", ".join(map(one_line, names[:5]))
    return text if len(names) <= 5 else f"{text} and {len(names) - 5:,} more"
