"""Which images are learned from, which measure, and of which class they are, by their folders."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Hashable, Iterable, Mapping
from operator import itemgetter
from typing import Final, NamedTuple

from lottery.data.names import folder_words, parts_by_name, shown, some
from lottery.errors import DataError

TRAIN_FOLDERS: Final = ("train", "training")
"""Folders whose images are learned from, in small letters."""
TEST_FOLDERS: Final = ("test", "testing", "val", "valid", "validation")
"""Folders beside that one whose images measure: the first that is there, and no other."""
TEST_SHARE: Final = 0.1
"""Share of the images that measure where there is no folder of them."""

_LAYOUT: Final = "train/CLASS/IMAGE and test/CLASS/IMAGE, or CLASS/IMAGE"
_ADVICE: Final = (
    f"Arrange images as {_LAYOUT}; 'training' does for 'train', and "
    f"{', '.join(map(repr, TEST_FOLDERS[1:]))} for 'test', in small or large letters."
)


class Arranged(NamedTuple):
    """Names of images, shared out and in order; see `ImageSource`."""

    classes: tuple[str, ...]
    train: tuple[str, ...]
    test: tuple[str, ...]
    class_of: dict[str, int]


def arrange(what: str, names: Iterable[str]) -> Arranged:
    """Share images out by the folders they lie in.

    Either ``train/CLASS/...`` with one of `TEST_FOLDERS` beside it, or ``train/CLASS/...`` alone,
    or ``CLASS/...``; in the last two cases about a tenth of the images is held out to measure, see
    `tenth`. All of it may lie in one more folder, and large letters do for small ones. What lies
    beside ``train`` and the folder that measures is passed over.

    Args:
        what: where they lie, for messages.
        names: with ``/`` between folders.

    Raises:
        DataError: they are not arranged so, a folder looks like a part of the data but would not
            be used as one, or there are fewer than two classes.
    """
    parts = {name: _parts(name) for name in names}
    if not parts:
        raise DataError(f"{what}: expected images as {_LAYOUT}, but found none. Check the path.")
    if _wrapped(parts.values()):
        parts = {name: below[1:] for name, below in parts.items()}
    tops = sorted({below[0] for below in parts.values() if len(below) > 1})
    learned = [top for top in tops if top.lower() in TRAIN_FOLDERS]
    measured = _measuring(tops)
    _check_folders(what, tops, learned, measured)
    train, test = parts, {}
    if learned:
        train = {name: below[1:] for name, below in parts.items() if below[0] in learned}
        test = {name: below[1:] for name, below in parts.items() if below[0] in measured}
    if not test:
        paths = {"/".join(below): below[0] for below in train.values()}
        measures = tenth(paths)
        test = {name: below for name, below in train.items() if "/".join(below) in measures}
        train = {name: below for name, below in train.items() if name not in test}
    return _arranged(what, train, test)


def _wrapped(images: Collection[tuple[str, ...]]) -> bool:
    """Whether all of it lies in one more folder."""
    top, *others = {below[0] for below in images}
    if others or min(map(len, images)) < 3:
        return False
    inner = {below[1] for below in images}
    if not is_part(top):
        return True
    learned = any(folder.lower() in TRAIN_FOLDERS for folder in inner)
    return learned and len(parts_by_name(inner)) == len(inner)


def _measuring(tops: list[str]) -> list[str]:
    """The folder that measures: none, or one, or several that differ in large letters alone."""
    found = ([top for top in tops if top.lower() == folder] for folder in TEST_FOLDERS)
    return next(filter(None, found), [])


def _check_folders(what: str, tops: list[str], learned: list[str], measured: list[str]) -> None:
    """No folder is a part of the data by its name and used as anything else.

    Beside a folder that measures there may be others that could.
    """
    if not learned and measured:
        raise DataError(
            f"{what}: expected a folder 'train' beside '{shown(measured[0])}', but there is none. "
            f"{_ADVICE} Rename it if it is a class."
        )
    strange = parts_by_name(tops)
    if learned:
        words = {top: folder_words(top) for top in tops if top not in (learned[0], *measured[:1])}
        strange = [
            top
            for top, found in words.items()
            if found.trains or top in measured or (found.measures and not measured)
        ]
    if strange:
        beside = f" beside '{shown(learned[0])}'" if learned else ""
        raise DataError(
            f"{what}: it cannot be told which images to learn from, since {some(strange)}{beside} "
            f"{'looks' if len(strange) == 1 else 'look'} like a part of the data but would be "
            f"{'left out' if learned else 'classes'}. {_ADVICE} Rename or move what is meant "
            "otherwise."
        )


def tenth(classes: Mapping[str, Hashable]) -> set[str]:
    """The examples that measure where nothing says which: about a tenth, by a hash of their names.

    Of each class at least one example does not measure, and one does if there are two.

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


def is_part(folder: str) -> bool:
    """Whether a folder of this name is one of images that are learned from, or that measure."""
    return folder.lower() in (*TRAIN_FOLDERS, *TEST_FOLDERS)


def _hash(name: str) -> int:
    """A number below 2^64 that follows from a name alone."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")


def _arranged(
    what: str, train: dict[str, tuple[str, ...]], test: dict[str, tuple[str, ...]]
) -> Arranged:
    loose = sorted(name for name, below in {**train, **test}.items() if len(below) < 2)
    if loose:
        raise DataError(
            f"{what}: expected every image in the folder of its class, but {some(loose)} "
            f"{'is' if len(loose) == 1 else 'are'} in none. Arrange images as {_LAYOUT}."
        )
    classes = sorted({below[0] for below in train.values()})
    unknown = sorted({below[0] for below in test.values()} - set(classes))
    if unknown:
        raise DataError(
            f"{what}: expected the classes of the training images among the test images, but "
            f"{some(unknown)} {'does' if len(unknown) == 1 else 'do'} not occur in training."
        )
    if len(classes) < 2 or not test:
        raise DataError(
            f"{what}: expected images of at least 2 classes, and some to test, as {_LAYOUT}; got "
            f"{len(classes)} classes and {len(test)} test images. Add some, or check the path."
        )
    numbers = {name: number for number, name in enumerate(classes)}
    return Arranged(
        classes=tuple(map(shown, classes)),
        train=tuple(sorted(train)),
        test=tuple(sorted(test)),
        class_of={name: numbers[below[0]] for name, below in {**train, **test}.items()},
    )


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part for part in name.split("/") if part not in ("", "."))
