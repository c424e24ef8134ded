"""Datasets of image files: decoded once, into a file of the cache that is then memory-mapped.

It is a safetensors file: ``histogram``, ``targets`` and, at its end, ``images``: first training
images, in the order in which they are divided into training and validation, so that each split is
one contiguous part. The file is written atomically, and a damaged one is made again.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lottery.data.cache_lock import cache_folder, cache_lock
from lottery.data.dataset import Dataset, Split
from lottery.data.decoding import decode_all
from lottery.data.loading_progress import print_line
from lottery.data.partial_files import atomic_write
from lottery.data.request import Request
from lottery.data.sources import EncodedImages, ImageSource
from lottery.data.splits import (
    Rows,
    Scale,
    check_scale,
    check_validation,
    exchanges,
    scale_of_histogram,
    shuffled_rows,
)
from lottery.errors import DataError

LARGE: Final = 2**32
"""Bytes of images from which on they stay on disk, and are moved to a GPU batch by batch."""
_VERSION: Final = "lottery images 2"
"""To be changed with the format, and with how images are shared out or decoded."""
# Linux then reserves no memory for the copies that a change of a value would make.
_NO_RESERVE: Final = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)


def load_images(
    name: str,
    source: ImageSource,
    request: Request,
    *,
    scale: Scale | None = None,
    variant: str = "",
) -> Dataset:
    """A dataset of a source's images, decoded once into the cache.

    Args:
        name: what it is called in configs and reports.
        source: the images.
        request: how many to hold out, what size to resize them to.
        scale: what to standardize with; ``None`` computes it from all training images, the
            validation images among them.
        variant: see `Dataset`.

    Raises:
        DataError: images are damaged or differ in size, or too many are to be held out.
    """
    cached = cached_images(source, request.image_size, progress=request.progress)
    check_validation(name, request.validation, cached.train)
    scale = scale or scale_of_histogram(cached.histogram)
    check_scale(name, scale)

    images, targets = cached.images, cached.targets
    for pair in exchanges(targets[: cached.train].numpy(), request.validation):
        # In the memory of this process alone: the file stays as it is.
        for values in (images, targets):
            values[[*pair]] = values[[*reversed(pair)]]

    def split(first: int, end: int | None) -> Split:
        return Split(images[first:end], targets[first:end], mapped=images.nbytes > LARGE)

    return Dataset(
        name=name,
        train=split(request.validation, cached.train),
        validation=split(0, request.validation),
        test=split(cached.train, None),
        classes=len(cached.classes),
        mean=scale.mean,
        deviation=scale.deviation,
        variant=variant,
        class_names=cached.classes,
        notes=cached.notes,
    )


@dataclass(frozen=True, kw_only=True)
class CachedImages:
    """Decoded images.

    Args:
        images: uint8 ``[N, 3, H, W]``, memory-mapped; changes of them are not written to the file.
        targets: their classes, int64 ``[N]``.
        train: how many of them are training images, the validation images among them.
        histogram: how often each channel has each value in the training images, ``[3, 256]``.
        classes: names of the classes.
        notes: see `EncodedImages`.
    """

    images: Tensor
    targets: Tensor
    train: int
    histogram: Rows
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def cached_images(source: ImageSource, size: int, *, progress: bool) -> CachedImages:
    """A source's images from the cache, decoded into it first if it does not have them.

    If another process is decoding the same images, this one waits for it.

    Args:
        source: the images.
        size: side of the squares they are resized to, in pixels; 0 to leave them as they are.
        progress: show a progress bar while decoding, and a line while waiting.

    Raises:
        DataError: images are damaged or differ in size, or the cache cannot be written.
    """
    path = cache_path(source, size)
    found = read_cache(path)
    if found is None:
        waiting = f"{source.what}: another process is decoding these images; waiting for it"
        with cache_lock(path, lambda: print_line(waiting, visible=progress)):
            found = read_cache(path)
            if found is None:
                _make(path, source, size, progress)
                found = read_cache(path)
    if found is None:
        raise DataError(f"{path}: was written just now, and is damaged. Check the disk.")
    return found


def cache_path(source: ImageSource, size: int) -> Path:
    """Where the decoded images of a source lie."""
    name = hashlib.sha256(f"{_VERSION} {source.identity} {size}".encode()).hexdigest()[:32]
    return cache_folder() / "images" / f"{name}.safetensors"


def read_cache(path: Path) -> CachedImages | None:
    """The images in a cache file; None if there is no file, or it is damaged.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with open(path, "rb") as plain, safe_open(path, framework="numpy") as file:
            pixels = file.get_slice("images")
            if pixels.get_dtype() != "U8":
                return None
            about = json.loads(file.metadata()["lottery"])
            targets = torch.from_numpy(file.get_tensor("targets"))
            histogram = file.get_tensor("histogram")
            train, classes, notes = about["train"], tuple(about["classes"]), tuple(about["notes"])
            images = _mapped(plain, pixels.get_shape())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}). Check that you may read it, or "
            "delete it."
        ) from error
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if len(targets) != len(images) or targets.min() < 0 or targets.max() >= len(classes):
        return None
    return CachedImages(
        images=images,
        targets=targets,
        train=train,
        histogram=histogram,
        classes=classes,
        notes=notes,
    )


def _mapped(file: BinaryIO, shape: list[int]) -> Tensor:
    """The images at a file's end, memory-mapped; changes are not written to the file."""
    if hasattr(mmap, "MAP_PRIVATE"):
        flags = mmap.MAP_PRIVATE | _NO_RESERVE
        pages = mmap.mmap(file.fileno(), 0, flags, mmap.PROT_READ | mmap.PROT_WRITE)
    else:
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    size = math.prod(shape)
    flat = torch.frombuffer(pages, dtype=torch.uint8, count=size, offset=len(pages) - size)
    return flat.view(shape)


def _make(path: Path, source: ImageSource, size: int, progress: bool) -> None:
    images = source.open()
    try:
        with atomic_write(path) as file:
            _write(file, source.what, images, size, progress)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}). Make room or give permission, "
            "or set XDG_CACHE_HOME to a writable directory."
        ) from error


def _write(file: BinaryIO, what: str, source: EncodedImages, size: int, progress: bool) -> None:
    """Write images in the places that they have in the file, as they come."""
    order = shuffled_rows(len(source.train), "images", "validation")
    place_of: Rows = np.empty_like(order)
    place_of[order] = np.arange(len(order))
    targets = np.concatenate([np.array(source.train, "<i8")[order], np.array(source.test, "<i8")])
    histogram = np.zeros((3, 256), "<i8")
    header = b""
    # Closed, it stops decoding and its bar at once, however this ends.
    with closing(decode_all(what, source, size, progress=progress)) as images:
        for number, image in images:
            header = header or _header(source, image.shape)
            training = number < len(order)
            place = int(place_of[number]) if training else number
            file.seek(len(header) + histogram.nbytes + targets.nbytes + place * image.nbytes)
            file.write(image.tobytes())
            if training:
                histogram += np.stack([np.bincount(c.ravel(), minlength=256) for c in image])
    file.seek(0)
    file.write(header + histogram.tobytes() + targets.tobytes())


def _header(source: EncodedImages, shape: tuple[int, ...]) -> bytes:
    """How a safetensors file begins."""
    about = {"train": len(source.train), "classes": source.classes, "notes": source.notes}
    count = len(source.train) + len(source.test)
    header: dict[str, Any] = {"__metadata__": {"lottery": json.dumps(about)}}
    first = 0
    for name, kind, sides, width in (
        ("histogram", "I64", (3, 256), 8),
        ("targets", "I64", (count,), 8),
        ("images", "U8", (count, *shape), 1),
    ):
        end = first + width * math.prod(sides)
        header[name] = {"dtype": kind, "shape": sides, "data_offsets": [first, end]}
        first = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
