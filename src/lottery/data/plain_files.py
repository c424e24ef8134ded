"""Files from elsewhere: only plain ones are opened, and their names are told in one line."""

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
"""How many times larger than itself a packed file may become, at most; see `unpacked_limit`."""
_ALWAYS = 2**28
_REPLACE = "Replace the file with a good copy, or delete it."


class FileError(DataError):
    """One file cannot be read, is damaged, or is not the file it should be.

    Args:
        path: the file.
        reason: what was expected of it and what was found, without a full stop.
        fix: a sentence on what to do.
    """

    def __init__(self, path: Path, reason: str, fix: str = _REPLACE) -> None:
        self.reason = reason
        super().__init__(f"{path}: {reason}. {fix}")


def unpacked_limit(packed: int) -> int:
    """Bytes that a packed file may become: a guard against a few bytes that unpack for minutes.

    256 MiB are always allowed. Images that are packed already become little larger, and bytes of
    gzip could become a thousand times as many.

    Args:
        packed: its size in bytes.
    """
    return max(_ALWAYS, MAX_EXPANSION * packed)


@contextmanager
def open_plain(
    path: Path, kind: str, damage: tuple[type[Exception], ...]
) -> Iterator[BufferedReader]:
    """A plain file's bytes, for a ``with`` block in which whatever fails is a `FileError`.

    Args:
        path: the file.
        kind: what it should be, such as "a tar file".
        damage: what is raised, besides OSError, where the file is damaged.
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
"""What the name of an image ends in; files of other names are passed over, and hidden ones."""


def is_image(path: str) -> bool:
    """Whether a path is that of an image by its name, with nothing hidden on the way to it.

    >>> is_image("./train/cat/1.JPG"), is_image("cat/.ipynb_checkpoints/1.jpg")
    (True, False)
    """
    if os.path.splitext(path)[1].lower() not in SUFFIXES:
        return False
    return not any(part.startswith(".") for part in path.split("/") if part not in (".", ".."))


def one_line(name: str) -> str:
    r"""A name in one line, with nothing in it that cannot be printed.

    >>> one_line("cat\x1b[2J\n").isprintable()
    True
    """
    return printable(name).replace("\n", "\ufffd")


def first_names(names: list[str]) -> str:
    """Five names at most, and how many more there are."""
    text = ", ".join(map(one_line, names[:5]))
    return text if len(names) <= 5 else f"{text} and {len(names) - 5:,} more"
