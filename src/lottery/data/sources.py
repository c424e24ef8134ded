"""Where images lie: folders of class folders, and tar files of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from lottery.data.tars import read_tar, tar_sizes
from lottery.errors import DataError

SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}
)
"""What the name of an image ends in; files of other names are passed over, and hidden ones."""
TEST_FOLDERS: Final = ("test", "val", "valid", "validation")
"""Folders beside ``train`` whose images measure; the first one that is there, and no other."""
TEST_SHARE: Final = 0.1
"""Share of the images that measure where there is no folder of them."""
MAX_FILE: Final = 2**25
"""Bytes of one image file, at most."""

_LAYOUT: Final = "train/CLASS/IMAGE and test/CLASS/IMAGE, or CLASS/IMAGE"


class Encoded(NamedTuple):
    """One image as it lies in its file.

    Args:
        number: which: the training images from 0, and the test images after them.
        name: for messages.
        contents: the file's bytes; None if it cannot be read.
        trouble: why it cannot be read, without a full stop.
    """

    number: int
    name: str
    contents: bytes | None
    trouble: str = ""


@dataclass(frozen=True, kw_only=True)
class ImageSource:
    """Images with their classes, encoded.

    Args:
        what: where they lie, for messages.
        identity: changes when the images do: names, sizes and times of files.
        classes: their names, in the order of their numbers.
        train: class of each training image.
        test: class of each test image.
        read: all of them once, in any order.
    """

    what: str
    identity: str
    classes: tuple[str, ...]
    train: tuple[int, ...]
    test: tuple[int, ...]
    read: Callable[[], Iterator[Encoded]]


class Arranged(NamedTuple):
    """Names of images, shared out and in order; see `ImageSource`."""

    classes: tuple[str, ...]
    train: tuple[str, ...]
    test: tuple[str, ...]
    class_of: dict[str, int]


def folder_source(folder: Path) -> ImageSource:
    """The images in a folder of class folders; see `arrange`.

    Raises:
        DataError: it cannot be read, or its images are not arranged so.
    """
    digest = hashlib.sha256(os.fsencode(os.path.realpath(folder)))
    try:
        found = sorted(_walk(os.fspath(folder), "", 0))
    except OSError as error:
        raise DataError(
            f"{folder}: expected a folder of class folders, but it cannot be read "
            f"({error.strerror or error}). Check the path after 'folder:'."
        ) from error
    for name, size, time in found:
        digest.update(os.fsencode(name) + f"\0{size} {time}\0".encode())
    arranged = arrange(str(folder), (name for name, _, _ in found))

    def read() -> Iterator[Encoded]:
        for number, name in enumerate((*arranged.train, *arranged.test)):
            path = os.path.join(folder, name)
            try:
                with open(path, "rb") as file:
                    contents = file.read(MAX_FILE + 1)
                yield Encoded(number, _shown(path), contents)
            except OSError as error:
                yield Encoded(number, _shown(path), None, str(error.strerror or error))

    return _source(str(folder), digest.hexdigest(), arranged, read)


def tar_source(path: Path) -> ImageSource:
    """The images in a tar file of class folders; see `arrange`.

    Raises:
        DataError: it cannot be read or is damaged, or its images are not arranged so.
    """
    sizes = {
        name: size for name, size in tar_sizes(path).items() if _is_image(name.rpartition("/")[2])
    }
    state = os.stat(path)
    place = os.fsencode(os.path.realpath(path)) + f"\0{state.st_size} {state.st_mtime_ns}".encode()
    arranged = arrange(str(path), sizes)
    numbers = {name: n for n, name in enumerate((*arranged.train, *arranged.test))}

    def read() -> Iterator[Encoded]:
        large = [name for name in numbers if sizes[name] > MAX_FILE]
        for name in large:
            reason = f"{sizes[name]:,} bytes; expected {MAX_FILE:,} at most"
            yield Encoded(numbers[name], f"{path}: {_shown(name)}", None, reason)
        wanted = {name: sizes[name] for name in numbers if sizes[name] <= MAX_FILE}
        for name, contents in read_tar(path, wanted):
            yield Encoded(numbers[name], f"{path}: {_shown(name)}", contents)

    return _source(str(path), hashlib.sha256(place).hexdigest(), arranged, read)


def arrange(what: str, names: Iterable[str]) -> Arranged:
    """Share images out by the folders they lie in.

    Either ``train/CLASS/...`` with one of `TEST_FOLDERS` beside it, or ``train/CLASS/...`` alone,
    or ``CLASS/...``; in the last two cases about a tenth of the images is held out to measure, by
    a hash of their names. All of it may lie in one more folder. What lies beside ``train`` and the
    test folder is passed over.

    Args:
        what: where they lie, for messages.
        names: with ``/`` between folders.

    Raises:
        DataError: they are not arranged so, or there are fewer than two classes.
    """
    parts = {name: _parts(name) for name in names}
    if not parts:
        raise DataError(f"{what}: expected images as {_LAYOUT}, but found none. Check the path.")
    tops = {below[0] for below in parts.values()}
    if len(tops) == 1 and not tops & {"train", *TEST_FOLDERS} and min(map(len, parts.values())) > 2:
        parts = {name: below[1:] for name, below in parts.items()}
        tops = {below[0] for below in parts.values()}
    measured = next((folder for folder in TEST_FOLDERS if folder in tops), None)
    if "train" in tops:
        train = {name: below[1:] for name, below in parts.items() if below[0] == "train"}
        test = {name: below[1:] for name, below in parts.items() if below[0] == measured}
    elif measured:
        raise DataError(
            f"{what}: expected a folder 'train' beside '{measured}', but there is none. "
            f"Arrange images as {_LAYOUT}."
        )
    else:
        train, test = parts, {}
    if not test:
        test = {name: below for name, below in train.items() if held_out("/".join(below))}
        train = {name: below for name, below in train.items() if name not in test}
    return _arranged(what, train, test)


def held_out(name: str) -> bool:
    """Whether an image measures where no folder says so: a fixed tenth of all names."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") < TEST_SHARE * 2**64


def _arranged(
    what: str, train: dict[str, tuple[str, ...]], test: dict[str, tuple[str, ...]]
) -> Arranged:
    loose = sorted(name for name, below in {**train, **test}.items() if len(below) < 2)
    if loose:
        raise DataError(
            f"{what}: expected every image in the folder of its class, but {_some(loose)} "
            f"{'is' if len(loose) == 1 else 'are'} in none. Arrange images as {_LAYOUT}."
        )
    classes = sorted({below[0] for below in train.values()})
    unknown = sorted({below[0] for below in test.values()} - set(classes))
    if unknown:
        raise DataError(
            f"{what}: expected the classes of the training images among the test images, but "
            f"{_some(unknown)} {'does' if len(unknown) == 1 else 'do'} not occur in training."
        )
    if len(classes) < 2 or not test:
        raise DataError(
            f"{what}: expected images of at least 2 classes, and some to test, as {_LAYOUT}; got "
            f"{len(classes)} classes and {len(test)} test images."
        )
    numbers = {name: number for number, name in enumerate(classes)}
    return Arranged(
        classes=tuple(map(_shown, classes)),
        train=tuple(sorted(train)),
        test=tuple(sorted(test)),
        class_of={name: numbers[below[0]] for name, below in {**train, **test}.items()},
    )


def _source(
    what: str, identity: str, arranged: Arranged, read: Callable[[], Iterator[Encoded]]
) -> ImageSource:
    return ImageSource(
        what=what,
        identity=identity,
        classes=arranged.classes,
        train=tuple(arranged.class_of[name] for name in arranged.train),
        test=tuple(arranged.class_of[name] for name in arranged.test),
        read=read,
    )


def _walk(folder: str, prefix: str, depth: int) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of every image below a folder.

    A split's folder or a class's may be a link; links further down could lead in a circle.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=depth < 2):
                if not entry.name.startswith("."):
                    yield from _walk(entry.path, f"{name}/", depth + 1)
            elif _is_image(entry.name) and entry.is_file():
                state = entry.stat()
                yield name, state.st_size, state.st_mtime_ns


def _is_image(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part for part in name.split("/") if part not in ("", "."))


def _shown(name: str) -> str:
    """A file's name with nothing in it that cannot be printed."""
    return os.fsencode(name).decode("utf-8", "replace")


def _some(names: list[str]) -> str:
    shown = ", ".join(map(_shown, names[:5]))
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5:,} more"
