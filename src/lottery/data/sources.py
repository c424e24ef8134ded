"""Where images lie: folders of class folders, and tar files of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from lottery.data.class_folders import ClassFolders, class_folders
from lottery.data.plain_files import is_image, one_line
from lottery.data.tars import list_tar, read_tar
from lottery.errors import DataError

MAX_FILE: Final = 2**25
"""Bytes of one image file, at most."""


class Encoded(NamedTuple):
    """One image file, not yet decoded.

    Args:
        number: of the image: training images from 0, then test images.
        name: for messages.
        contents: the file's bytes; None if it cannot be read.
        trouble: why it cannot be read, without a full stop.
    """

    number: int
    name: str
    contents: bytes | None
    trouble: str = ""


@dataclass(frozen=True, kw_only=True)
class EncodedImages:
    """Image files with their classes, not yet decoded.

    Args:
        classes: names of the classes, in the order of their numbers.
        train: class of each training image.
        test: class of each test image.
        read: yields every image once, in any order.
        notes: what a user should know about the choice of these images, a sentence each without a
            full stop.
    """

    classes: tuple[str, ...]
    train: tuple[int, ...]
    test: tuple[int, ...]
    read: Callable[[], Iterator[Encoded]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ImageSource:
    """Where images lie.

    Args:
        what: where, for messages.
        identity: a string that changes when the images do: a hash of names, sizes and times.
        open: finds all images; for a packed tar file this unpacks it once.
    """

    what: str
    identity: str
    open: Callable[[], EncodedImages]


def folder_source(folder: Path) -> ImageSource:
    """The images in a folder of class folders; see `class_folders`.

    Raises:
        DataError: it cannot be read, or, when it is opened, its images are not arranged so.
    """
    place = os.path.realpath(folder)
    digest = hashlib.sha256(os.fsencode(place))
    try:
        found = sorted(_walk(folder))
    except OSError as error:
        inner = error.filename not in (None, os.fspath(folder))
        raise DataError(
            f"{folder}: expected a folder of class folders, but "
            f"{one_line(os.fsdecode(error.filename)) if inner else 'it'} cannot be read "
            f"({error.strerror or error}). Check "
            f"{'that you may read it' if inner else 'the path after ' + repr('folder:')}."
        ) from error
    for name, size, time in found:
        digest.update(os.fsencode(name) + f"\0{size} {time}\0".encode())

    def open_folder() -> EncodedImages:
        names = class_folders(str(folder), (name for name, _, _ in found))
        return _encoded(names, lambda: _read_folder(folder, names))

    return ImageSource(what=str(folder), identity=digest.hexdigest(), open=open_folder)


def tar_source(path: Path) -> ImageSource:
    """The images in a tar file of class folders; see `class_folders`.

    Raises:
        DataError: when it is opened, it cannot be read or is damaged, or its images are not
            arranged so.
    """
    place = os.fsencode(os.path.realpath(path))
    with suppress(OSError):
        state = os.stat(path)
        place += f"\0{state.st_size} {state.st_mtime_ns}".encode()

    def open_tar() -> EncodedImages:
        sizes = list_tar(path)
        names = class_folders(str(path), filter(is_image, sizes))
        return _encoded(names, lambda: _read_tar(path, sizes, names))

    identity = hashlib.sha256(place).hexdigest()
    return ImageSource(what=str(path), identity=identity, open=open_tar)


def _encoded(names: ClassFolders, read: Callable[[], Iterator[Encoded]]) -> EncodedImages:
    return EncodedImages(
        classes=names.classes,
        train=tuple(names.train.values()),
        test=tuple(names.test.values()),
        read=read,
        notes=names.notes,
    )


def _read_folder(folder: Path, names: ClassFolders) -> Iterator[Encoded]:
    for number, name in enumerate((*names.train, *names.test)):
        path = os.path.join(folder, name)
        try:
            with open(path, "rb") as file:
                contents = file.read(MAX_FILE + 1)
            yield Encoded(number, one_line(path), contents)
        except OSError as error:
            trouble = str(error.strerror or error)
            if os.path.islink(path):
                trouble += f"; a link to {one_line(os.readlink(path))}"
            yield Encoded(number, one_line(path), None, trouble)


def _read_tar(path: Path, sizes: dict[str, int], names: ClassFolders) -> Iterator[Encoded]:
    numbers = {name: number for number, name in enumerate((*names.train, *names.test))}
    wanted = {name: sizes[name] for name in numbers if sizes[name] <= MAX_FILE}
    for name in numbers.keys() - wanted.keys():
        trouble = f"{sizes[name]:,} bytes; expected {MAX_FILE:,} at most"
        yield Encoded(numbers[name], f"{path}: {one_line(name)}", None, trouble)
    for name, contents in read_tar(path, wanted):
        yield Encoded(numbers[name], f"{path}: {one_line(name)}", contents)


def _walk(root: Path) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of every image below a folder; 0 and 0 of a link that leads nowhere."""

    def stop(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(root, onerror=stop, followlinks=True):
        prefix = "" if folder == os.fspath(root) else f"{os.path.relpath(folder, root)}/"
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and not _leads_back(Path(folder, name))
        ]
        for name in filter(is_image, files):
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                state = os.stat(path)
                yield prefix + name, state.st_size, state.st_mtime_ns
            elif not os.path.exists(path):
                yield prefix + name, 0, 0


def _leads_back(path: Path) -> bool:
    """Whether a folder is a link to one that it lies in, which would lead in a circle."""
    if not path.is_symlink():
        return False
    end = os.path.realpath(path)
    return any(Path(os.path.realpath(above)).is_relative_to(end) for above in path.parents)
