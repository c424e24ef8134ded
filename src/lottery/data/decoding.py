"""Decoding all images of a source, several at a time, with one error for all damaged ones."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from typing import Final

from lottery.data.idx import Bytes
from lottery.data.loading_progress import progress_bar
from lottery.data.sources import Encoded, EncodedImages
from lottery.errors import DataError

_AT_ONCE: Final = 64
"""Images in memory at a time."""
_MOST_NAMED: Final = 20


def decode_all(
    what: str, source: EncodedImages, size: int, *, progress: bool
) -> Generator[tuple[int, Bytes], None, None]:
    """Every image with its number, as uint8 ``[3, H, W]``.

    Damaged images are an error at the end, which lists them; images of different sizes are an error
    at once.

    Args:
        what: where the images lie, for messages.
        source: the images.
        size: side of the squares they are resized to, in pixels; 0 to leave them as they are.
        progress: show a progress bar.

    Raises:
        DataError: some are damaged or differ in size, or the source cannot be read.
    """
    # Pillow is slow to import.
    from lottery.data.images import BadImageError, decode, ignore_size_warnings

    def decoded(image: Encoded) -> Bytes | str:
        if image.contents is None:
            return image.trouble
        try:
            return decode(image.contents, size)
        except BadImageError as trouble:
            return str(trouble)

    usable = getattr(os, "sched_getaffinity", None)
    threads = min(8, len(usable(0)) if usable else os.cpu_count() or 1)
    bad: list[str] = []
    first: tuple[str, tuple[int, ...]] | None = None
    total = len(source.train) + len(source.test)
    with ExitStack() as stack:
        stack.enter_context(ignore_size_warnings())
        # Pillow gives Python's lock free while it decodes.
        pool = stack.enter_context(ThreadPoolExecutor(threads))
        advance = stack.enter_context(progress_bar(what, total, visible=progress))
        images = source.read()
        while chunk := _next_images(images, what):
            for image, found in zip(chunk, pool.map(decoded, chunk), strict=True):
                advance(1)
                if isinstance(found, str):
                    bad.append(f"{image.name}: {found}")
                    continue
                first = first or (image.name, found.shape)
                if found.shape != first[1]:
                    raise DataError(
                        f"{what}: expected images of one size, but {first[0]} is "
                        f"{_size(first[1])} pixels and {image.name} {_size(found.shape)}. Set "
                        "data.image_size to the side of the squares to bring them to."
                    )
                yield image.number, found
    if bad:
        raise _cannot_be_used(what, bad, total)


def _next_images(images: Iterator[Encoded], what: str) -> list[Encoded]:
    try:
        return list(islice(images, _AT_ONCE))
    except OSError as error:
        raise DataError(
            f"{what}: cannot be read ({error.strerror or error}). Check that it is still there and "
            "that you may read it."
        ) from error


def _cannot_be_used(what: str, bad: list[str], total: int) -> DataError:
    more = len(bad) - _MOST_NAMED
    lines = [*bad[:_MOST_NAMED], *([f"and {more:,} more"] if more > 0 else [])]
    return DataError(
        f"{what}: {len(bad):,} of {total:,} images cannot be used. Replace or delete them.\n"
        + "\n".join(f"  - {line}" for line in lines)
    )


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[2]} x {shape[1]}"
