"""Names of image files and of the folders they lie in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from lottery.errors import printable

SUFFIXES: Final = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif"),
        *(".ppm", ".pgm", ".tif", ".tiff", ".webp"),
    }
)
"""What the name of an image ends in; files of other names are passed over, and hidden ones."""

_TRAIN_WORDS: Final = frozenset({"train", "training"})
_TEST_WORDS: Final = frozenset(
    {"test", "testing", "val", "valid", "validation", "eval", "evaluation", "dev"}
)
_FILLERS: Final = ("set", "data", "dataset", "images", "image", "imgs", "img", "split", "part")
_GLUED: Final = re.compile(
    f"({'|'.join(sorted(_TRAIN_WORDS | _TEST_WORDS))})({'|'.join(_FILLERS)})"
)


def is_image(path: str) -> bool:
    """Whether a path is that of an image by its name, with nothing hidden on the way to it.

    >>> is_image("./train/cat/1.JPG"), is_image("cat/.ipynb_checkpoints/1.jpg")
    (True, False)
    """
    if os.path.splitext(path)[1].lower() not in SUFFIXES:
        return False
    return not any(part.startswith(".") for part in path.split("/") if part not in (".", ".."))


class FolderWords(NamedTuple):
    """What a folder's name says of the part of the data that may lie in it.

    Args:
        trains: whether a word is of training.
        measures: whether a word is of testing or validation.
        others: the other words, in order.
    """

    trains: bool
    measures: bool
    others: tuple[str, ...]


def folder_words(name: str) -> FolderWords:
    """The words of a folder's name.

    They end where small letters become large ones or letters digits, and at any other sign.

    >>> folder_words("seg_trainSet2")
    FolderWords(trains=True, measures=False, others=('seg', 'set', '2'))
    >>> folder_words("trainer"), folder_words("valley").measures
    (FolderWords(trains=False, measures=False, others=('trainer',)), False)
    """
    words: list[str] = []
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    for word in re.findall(r"[^\W\d_]+|\d+", apart):
        glued = _GLUED.fullmatch(word)
        words += glued.groups() if glued else [word]
    return FolderWords(
        trains=not _TRAIN_WORDS.isdisjoint(words),
        measures=not _TEST_WORDS.isdisjoint(words),
        others=tuple(word for word in words if word not in _TRAIN_WORDS | _TEST_WORDS),
    )


def parts_by_name(names: Iterable[str]) -> list[str]:
    """Those of some folders that are parts of the data by their names, and hardly classes.

    A folder is one if its name says nothing else, as ``Eval`` and ``train_images2``, or if the name
    of another differs from it in this alone.

    >>> parts_by_name(["seg_train", "seg_test", "train station", "test tube", "Eval", "valley"])
    ['Eval', 'seg_test', 'seg_train']
    """
    words = {name: folder_words(name) for name in sorted(names)}
    trained = {found.others for found in words.values() if found.trains}
    measured = {found.others for found in words.values() if found.measures}
    return [
        name
        for name, found in words.items()
        if (found.trains or found.measures)
        and (
            found.others in trained & measured
            or all(word in _FILLERS or word.isdecimal() for word in found.others)
        )
    ]


def shown(name: str) -> str:
    r"""A name in one line, with nothing in it that cannot be printed.

    >>> shown("cat\x1b[2J\n").isprintable()
    True
    """
    return printable(name).replace("\n", "\ufffd")


def some(names: list[str]) -> str:
    """Five names at most, and how many more there are."""
    text = ", ".join(map(shown, names[:5]))
    return text if len(names) <= 5 else f"{text} and {len(names) - 5:,} more"
