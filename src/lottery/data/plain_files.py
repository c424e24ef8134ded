"""Files from elsewhere: only plain ones are opened, and whatever is wrong is one error."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from lottery.errors import DataError, describe_error

MOST_TIMES = 200
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
    return max(_ALWAYS, MOST_TIMES * packed)


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
