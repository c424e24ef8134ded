"""Names of image files, and names of files as they are told."""

from __future__ import annotations

import os
from typing import Final

from lottery.errors import printable

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
