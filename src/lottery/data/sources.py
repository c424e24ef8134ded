"""Where images lie: folders of class folders, and tar files of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

from lottery.data.arrange import Arranged, arrange, is_part
from lottery.data.listings import remembered_listing
from lottery.data.names import is_image, shown
from lottery.data.tars import Listing, read_tar
from lottery.errors import DataError

MAX_FILE: Final = 2**25
"""Bytes of one image file, at most."""


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
        notes: what a user should know of the choice of these images, a sentence each without a full
            stop.
    """

    what: str
    identity: str
    classes: tuple[str, ...]
    train: tuple[int, ...]
    test: tuple[int, ...]
    read: Callable[[], Iterator[Encoded]]
    notes: tuple[str, ...] = ()


def folder_source(folder: Path) -> ImageSource:
    """The images in a folder of class folders; see `arrange`.

    Raises:
        DataError: it cannot be read, or its images are not arranged so.
    """
    place = os.path.realpath(folder)
    digest = hashlib.sha256(os.fsencode(place))
    try:
        found = sorted(_walk(os.fspath(folder), "", (place,)))
    except OSError as error:
        inner = error.filename not in (None, os.fspath(folder))
        raise DataError(
            f"{folder}: expected a folder of class folders, but "
            f"{shown(os.fsdecode(error.filename)) if inner else 'it'} cannot be read "
            f"({error.strerror or error}). Check "
            f"{'that you may read it' if inner else 'the path after ' + repr('folder:')}."
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
                yield Encoded(number, shown(path), contents)
            except OSError as error:
                trouble = str(error.strerror or error)
                if os.path.islink(path):
                    trouble += f"; a link to {shown(os.readlink(path))}"
                yield Encoded(number, shown(path), None, trouble)

    return _source(str(folder), digest.hexdigest(), arranged, read)


def tar_source(path: Path) -> ImageSource:
    """The images in a tar file of class folders; see `arrange`.

    Raises:
        DataError: it cannot be read or is damaged, or its images are not arranged so.
    """
    found = remembered_listing(path)
    state = os.stat(path)
    place = os.fsencode(os.path.realpath(path)) + f"\0{state.st_size} {state.st_mtime_ns}".encode()
    arranged = arrange(str(path), filter(is_image, chain(*found)))
    numbers = {name: n for n, name in enumerate((*arranged.train, *arranged.test))}

    def read() -> Iterator[Encoded]:
        names_of: dict[str, list[str]] = {}
        for name in numbers:
            trouble = _trouble(found, name)
            if trouble:
                yield Encoded(numbers[name], f"{path}: {shown(name)}", None, trouble)
            else:
                names_of.setdefault(found.copies.get(name, name), []).append(name)
        for stored, contents in read_tar(path, {name: found.sizes[name] for name in names_of}):
            for name in names_of[stored]:
                yield Encoded(numbers[name], f"{path}: {shown(name)}", contents)

    return _source(str(path), hashlib.sha256(place).hexdigest(), arranged, read)


def _trouble(found: Listing, name: str) -> str:
    """Why an image in a tar file is not read; empty if it is."""
    if name in found.unread:
        return found.unread[name]
    size = found.sizes[found.copies.get(name, name)]
    return f"{size:,} bytes; expected {MAX_FILE:,} at most" if size > MAX_FILE else ""


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


def _walk(folder: str, prefix: str, entered: tuple[str, ...]) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of every image below a folder; 0 and 0 of a link that leads nowhere.

    Args:
        folder: its path.
        prefix: what comes before names in it.
        entered: where it and the links on the way to it really are.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name = f"{prefix}{entry.name}"
            linked = entry.is_symlink()
            if linked and not os.path.exists(entry.path):
                if is_image(name):
                    yield name, 0, 0
            elif entry.is_dir():
                if not linked:
                    yield from _walk(entry.path, f"{name}/", entered)
                elif _may_be_class(name):
                    there = os.path.realpath(entry.path)
                    passed = (*entered, os.path.realpath(folder))
                    if not any(Path(place).is_relative_to(there) for place in passed):
                        yield from _walk(entry.path, f"{name}/", (*entered, there))
            elif is_image(name) and entry.is_file():
                state = entry.stat()
                yield name, state.st_size, state.st_mtime_ns


def _may_be_class(name: str) -> bool:
    """Whether a folder is a class's or holds those of classes; links further down are passed over.

    They could lead in a circle.
    """
    *above, _ = name.split("/")
    return len(above) < 2 or (len(above) == 2 and is_part(above[1]) and not is_part(above[0]))
