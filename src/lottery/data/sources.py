"""Where images lie: folders of class folders, and tar files of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from lottery.data.arrange import Arranged, arrange
from lottery.data.names import is_image, shown
from lottery.data.tars import read_tar, tar_sizes
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
    """

    what: str
    identity: str
    classes: tuple[str, ...]
    train: tuple[int, ...]
    test: tuple[int, ...]
    read: Callable[[], Iterator[Encoded]]


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
                yield Encoded(number, shown(path), contents)
            except OSError as error:
                yield Encoded(number, shown(path), None, str(error.strerror or error))

    return _source(str(folder), digest.hexdigest(), arranged, read)


def tar_source(path: Path) -> ImageSource:
    """The images in a tar file of class folders; see `arrange`.

    Raises:
        DataError: it cannot be read or is damaged, or its images are not arranged so.
    """
    sizes = {name: size for name, size in tar_sizes(path).items() if is_image(name)}
    state = os.stat(path)
    place = os.fsencode(os.path.realpath(path)) + f"\0{state.st_size} {state.st_mtime_ns}".encode()
    arranged = arrange(str(path), sizes)
    numbers = {name: n for n, name in enumerate((*arranged.train, *arranged.test))}

    def read() -> Iterator[Encoded]:
        large = [name for name in numbers if sizes[name] > MAX_FILE]
        for name in large:
            reason = f"{sizes[name]:,} bytes; expected {MAX_FILE:,} at most"
            yield Encoded(numbers[name], f"{path}: {shown(name)}", None, reason)
        wanted = {name: sizes[name] for name in numbers if sizes[name] <= MAX_FILE}
        for name, contents in read_tar(path, wanted):
            yield Encoded(numbers[name], f"{path}: {shown(name)}", contents)

    return _source(str(path), hashlib.sha256(place).hexdigest(), arranged, read)


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
            elif is_image(entry.name) and entry.is_file():
                state = entry.stat()
                yield name, state.st_size, state.st_mtime_ns
