"""Which images are for training, which for testing, and of which class they are, by folder."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Mapping
from operator import itemgetter
from typing import Final, NamedTuple

from lottery.data.plain_files import first_names, one_line
from lottery.errors import DataError

TRAIN_FOLDERS: Final = ("train", "training")
"""Names of a folder of training images, in lower case."""
TEST_FOLDERS: Final = ("test", "testing", "val", "valid", "validation")
"""Names of a folder of test images beside it, in lower case: the first that is there counts."""
TEST_SHARE: Final = 0.1
"""Share of the images that become the test set where there is no folder of test images."""

_LAYOUT: Final = "train/CLASS/IMAGE and test/CLASS/IMAGE, or CLASS/IMAGE"
_ADVICE: Final = (
    f"Arrange images as {_LAYOUT}; 'train' may also be 'training', and 'test' "
    f"{', '.join(map(repr, TEST_FOLDERS[1:]))}, in small or large letters."
)

_Below = dict[str, tuple[str, ...]]
"""Name of each image -> the parts of its path below the folder of its split."""


class ClassFolders(NamedTuple):
    """Images by split and class.

    Args:
        classes: their names, in the order of their numbers.
        train: name of each training image, sorted -> the number of its class.
        test: the same for the test images.
        notes: see `lottery.data.Dataset`.
    """

    classes: tuple[str, ...]
    train: dict[str, int]
    test: dict[str, int]
    notes: tuple[str, ...]


def class_folders(what: str, names: Iterable[str]) -> ClassFolders:
    """Divide images into training and test set, and into classes, by their folders.

    Either ``train/CLASS/...`` with one of `TEST_FOLDERS` beside it, or ``train/CLASS/...`` alone,
    or ``CLASS/...``; in the last two cases about a tenth of the images becomes the test set, see
    `hashed_tenth`. All of it may lie in one more folder, and capital letters do not matter. Other
    folders beside ``train`` and the test folder are ignored, which a note says.

    Args:
        what: where the images lie, for messages.
        names: their names, with ``/`` between folders.

    Raises:
        DataError: they are not arranged like this, or there are fewer than two classes.
    """
    paths = {name: tuple(p for p in name.split("/") if p not in ("", ".")) for name in names}
    if not paths:
        raise DataError(f"{what}: expected images as {_LAYOUT}, but found none. Check the path.")
    top, *more = {below[0] for below in paths.values()}
    if not more and not is_split(top) and min(map(len, paths.values())) > 2:
        paths = {name: below[1:] for name, below in paths.items()}
    tops = sorted({below[0] for below in paths.values() if len(below) > 1})
    learned, measuring = (_named(what, tops, kind) for kind in (TRAIN_FOLDERS, TEST_FOLDERS))
    if measuring and not learned:
        raise DataError(
            f"{what}: expected a folder 'train' beside '{one_line(measuring)}', but there is none. "
            f"{_ADVICE} Rename it if it is a class."
        )
    notes: tuple[str, ...] = ()
    train, test = paths, {}
    if learned:
        train = {name: below[1:] for name, below in paths.items() if below[0] == learned}
        test = {name: below[1:] for name, below in paths.items() if below[0] == measuring}
        others = [top for top in tops if top not in (learned, measuring)]
        if others:
            notes = (f"{what}: passed over beside '{one_line(learned)}': {first_names(others)}",)
    elif all(any(word in top.lower() for top in tops) for word in ("train", "test")):
        notes = (f"{what}: {first_names(tops)} are taken for classes, not for parts of the data",)
    if not test:
        folders = {"/".join(below): below[0] for below in train.values()}
        measures = hashed_tenth(folders)
        test = {name: below for name, below in train.items() if "/".join(below) in measures}
        train = {name: below for name, below in train.items() if name not in test}
    return _numbered(what, train, test, notes)


def is_split(folder: str) -> bool:
    """Whether a folder of this name holds training images or test images, not a class."""
    return folder.lower() in (*TRAIN_FOLDERS, *TEST_FOLDERS)


def _named(what: str, tops: list[str], spellings: tuple[str, ...]) -> str:
    """The folder with the first of some names that is there; empty if there is none."""
    for spelling in spellings:
        found = [top for top in tops if top.lower() == spelling]
        if len(found) > 1:
            raise DataError(f"{what}: expected one of {first_names(found)}. {_ADVICE}")
        if found:
            return found[0]
    return ""


def hashed_tenth(classes: Mapping[str, Hashable]) -> set[str]:
    """Names of about a tenth of the examples, chosen by a hash of the name: a fixed test set.

    Of each class at least one example is not chosen, and one is if there are two or more.

    Args:
        classes: name of each example -> its class.
    """
    found = {name for name in classes if _hash(name) < TEST_SHARE * 2**64}
    names_of: dict[Hashable, list[str]] = {}
    for name, label in sorted(classes.items(), key=itemgetter(0)):
        names_of.setdefault(label, []).append(name)
    for names in names_of.values():
        measuring = found.intersection(names)
        if len(measuring) == len(names):
            found.remove(names[0])
        elif not measuring and len(names) > 1:
            found.add(min(names, key=_hash))
    return found


def _hash(name: str) -> int:
    """A number below 2^64 that follows from a name alone."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")


def _numbered(what: str, train: _Below, test: _Below, notes: tuple[str, ...]) -> ClassFolders:
    every = {**train, **test}
    loose = sorted(name for name, below in every.items() if len(below) < 2)
    if loose:
        raise DataError(
            f"{what}: expected every image in the folder of its class, but {first_names(loose)} "
            f"{'is' if len(loose) == 1 else 'are'} in none. Arrange images as {_LAYOUT}."
        )
    classes = sorted({below[0] for below in train.values()})
    unknown = sorted({below[0] for below in test.values()} - set(classes))
    if unknown:
        raise DataError(
            f"{what}: expected the classes of the training images among the test images, but "
            f"{first_names(unknown)} {'does' if len(unknown) == 1 else 'do'} not occur in training."
        )
    if len(classes) < 2 or not test:
        raise DataError(
            f"{what}: expected images of at least 2 classes, and some to test, as {_LAYOUT}; got "
            f"{len(classes)} classes and {len(test)} test images. Add some, or check the path."
        )
    numbers = {name: number for number, name in enumerate(classes)}
    train_classes, test_classes = (
        {name: numbers[below[0]] for name, below in sorted(part.items())} for part in (train, test)
    )
    return ClassFolders(tuple(map(one_line, classes)), train_classes, test_classes, notes)
