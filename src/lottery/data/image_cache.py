"""Images decoded once, into a file of the user's cache that is mapped into memory.

The file holds the pixels of all images, training images first and in the order in which they are
shared out between training and validation, so that each split is one stretch of it; then the
classes as 64-bit integers; then a description as JSON, its length and `MAGIC`. All numbers are
little-endian. It appears whole or not at all, and is checked before it is used: one that is
damaged is made anew.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
import secrets
import sys
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import torch
from torch import Tensor

from lottery.data.decoding import decode_all
from lottery.data.known import cache_folder
from lottery.data.parts import new_part, remove_leftovers
from lottery.data.progress import say
from lottery.data.request import MAX_SIDE
from lottery.data.sources import ImageSource
from lottery.data.splits import Rows, shuffled
from lottery.data.turns import turn
from lottery.errors import DataError

MAGIC: Final = b"lottery images 1"
_MOST_TEXT: Final = 2**24
_MOST_IMAGES: Final = 2**32
# Linux then reserves no memory for the copies that a change of a value would make.
_NO_RESERVE: Final = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a cache file says of itself.

    Args:
        train: number of training images, the validation images among them.
        test: number of test images.
        height: of every image, in pixels.
        width: of every image, in pixels.
        classes: their names.
        histogram: how often each of three channels has each value in the training images.
    """

    train: int
    test: int
    height: int
    width: int
    classes: list[str]
    histogram: list[list[int]]

    @property
    def image_bytes(self) -> int:
        """Bytes of all images."""
        return (self.train + self.test) * 3 * self.height * self.width


@dataclass(frozen=True, kw_only=True)
class CachedImages:
    """Decoded images: uint8 ``[N, 3, H, W]``, mapped, and their classes, int64 ``[N]``."""

    description: Description
    images: Tensor
    targets: Tensor


def cached_images(source: ImageSource, size: int, *, progress: bool) -> CachedImages:
    """A source's images from the cache, decoded first where it does not have them.

    Where another process is decoding the same images, its work is waited for.

    Args:
        source: the images.
        size: side of the squares they are brought to; 0 to leave them as they are.
        progress: show a bar while decoding, and say that another process is waited for.

    Raises:
        DataError: images are damaged or differ in size, or the cache cannot be written.
    """
    path = cache_path(source, size)
    found = _read(path, source)
    if found is None:
        waiting = f"{source.what}: another process is decoding these images; waiting for it"
        with turn(path, lambda: say(waiting, progress)):
            found = _read(path, source)
            if found is None:
                _make(path, source, size, progress)
                found = _read(path, source)
    if found is None:
        raise DataError(f"{path}: was written just now, and is damaged. Check the disk.")
    return found


def _read(path: Path, source: ImageSource) -> CachedImages | None:
    """What a cache file holds, if it is shared out as the source is.

    A file of the same source can be of another release, which shared out other images.
    """
    found = read_cache(path)
    if found is None:
        return None
    about, targets = found.description, torch.from_numpy(_targets(source, _order(source)))
    counts = len(source.train), len(source.test)
    same = (about.train, about.test) == counts and about.classes == list(source.classes)
    return found if same and torch.equal(found.targets, targets) else None


def cache_path(source: ImageSource, size: int) -> Path:
    """Where the decoded images of a source lie."""
    name = hashlib.sha256(f"{MAGIC!r} {source.identity} {size}".encode()).hexdigest()[:32]
    return cache_folder() / "images" / f"{name}.images"


def read_cache(path: Path) -> CachedImages | None:
    """What a cache file holds; None if there is none, or none that is whole.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            description = _described(file)
            if description is None:
                return None
            file.seek(description.image_bytes)
            targets = np.fromfile(file, "<i8", description.train + description.test)
            if targets.min() < 0 or targets.max() >= len(description.classes):
                return None
            images = _mapped(file, description)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}). Check that you may read it, or "
            "delete it."
        ) from error
    classes = torch.from_numpy(targets.astype(np.int64))
    return CachedImages(description=description, images=images, targets=classes)


def _mapped(file: BinaryIO, description: Description) -> Tensor:
    """The images in a file, read when they are looked at; changes of them stay in this process."""
    length = description.image_bytes
    if hasattr(mmap, "MAP_PRIVATE"):
        flags = mmap.MAP_PRIVATE | _NO_RESERVE
        pages = mmap.mmap(file.fileno(), length, flags, mmap.PROT_READ | mmap.PROT_WRITE)
    else:
        pages = mmap.mmap(file.fileno(), length, access=mmap.ACCESS_COPY)
    flat = torch.frombuffer(pages, dtype=torch.uint8, count=length)
    return flat.view(-1, 3, description.height, description.width)


def _described(file: BinaryIO) -> Description | None:
    """The description at a file's end, if it is credible and the file has the size it says."""
    size = file.seek(0, os.SEEK_END)
    tail = 8 + len(MAGIC)
    if size < tail:
        return None
    file.seek(size - tail)
    end = file.read(tail)
    length = int.from_bytes(end[:8], "little")
    if end[8:] != MAGIC or not 0 < length <= min(_MOST_TEXT, size - tail):
        return None
    file.seek(size - tail - length)
    try:
        found = _checked(json.loads(file.read(length)))
    except (ValueError, RecursionError):
        return None
    if found is None:
        return None
    expected = found.image_bytes + 8 * (found.train + found.test) + length + tail
    return found if size == expected else None


def _checked(value: Any) -> Description | None:
    """What JSON says, if it is a description with numbers in their ranges."""
    if not isinstance(value, dict) or set(value) != set(Description.__annotations__):
        return None
    counts = value["train"], value["test"], value["height"], value["width"]
    limits = _MOST_IMAGES, _MOST_IMAGES, MAX_SIDE, MAX_SIDE
    if not all(type(n) is int and 1 <= n <= most for n, most in zip(counts, limits, strict=True)):
        return None
    classes, channels = value["classes"], value["histogram"]
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        return None
    pixels = value["train"] * value["height"] * value["width"]
    if not isinstance(channels, list) or len(channels) != 3:
        return None
    for channel in channels:
        if not isinstance(channel, list) or len(channel) != 256:
            return None
        if not all(type(n) is int and n >= 0 for n in channel) or sum(channel) != pixels:
            return None
    return Description(**value)


def _make(path: Path, source: ImageSource, size: int, progress: bool) -> None:
    """Write the cache file beside its place, and only then rename."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Killed processes can have left as much as all images take.
        remove_leftovers(path.parent)
        with new_part(part):
            with open(part, "r+b") as file:
                _write(file, source, size, progress)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}). Make room or give permission, "
            "or set XDG_CACHE_HOME to a writable directory."
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _write(file: BinaryIO, source: ImageSource, size: int, progress: bool) -> None:
    order = _order(source)
    place_of: Rows = np.empty_like(order)
    place_of[order] = np.arange(len(order))
    counts = np.zeros((3, 256), np.int64)
    shape = (0, 0, 0)
    # Closed, it stops decoding and its bar at once, however this ends.
    with closing(decode_all(source, size, progress=progress)) as images:
        for number, image in images:
            shape = image.shape
            training = number < len(order)
            file.seek(math.prod(shape) * (int(place_of[number]) if training else number))
            file.write(image.tobytes())
            if training:
                counts += np.stack([np.bincount(c.ravel(), minlength=256) for c in image])
    description = Description(
        train=len(source.train),
        test=len(source.test),
        height=shape[1],
        width=shape[2],
        classes=list(source.classes),
        histogram=counts.tolist(),
    )
    file.seek(description.image_bytes)
    file.write(_targets(source, order).astype("<i8").tobytes())
    text = json.dumps(asdict(description)).encode()
    file.write(text + len(text).to_bytes(8, "little") + MAGIC)


def _order(source: ImageSource) -> Rows:
    """The training images in the order in which they are shared out."""
    return shuffled(len(source.train), "images", "validation")


def _targets(source: ImageSource, order: Rows) -> Rows:
    """The classes of all images in the order in which they lie in a cache file."""
    train, test = np.array(source.train, np.int64), np.array(source.test, np.int64)
    return np.concatenate([train[order], test])
