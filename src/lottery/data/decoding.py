"""Decoding all images of a source, several at a time, and saying all that is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final

from lottery.data.idx import Bytes
from lottery.data.progress import counted
from lottery.data.sources import Encoded, ImageSource
from lottery.errors import DataError, MissingPackageError

_AT_ONCE: Final = 64
"""Images in memory at a time."""
_MOST_NAMED: Final = 20


def decode_all(
    source: ImageSource, size: int, *, progress: bool
) -> Generator[tuple[int, Bytes], None, None]:
    """Every image with its number, as uint8 ``[3, H, W]``.

    All images are looked at before an error is raised, so that it names every one that is damaged.

    Args:
        source: the images.
        size: side of the squares they are brought to; 0 to leave them as they are.
        progress: show a bar.

    Raises:
        DataError: some are damaged, or differ in size.
        MissingPackageError: Pillow is not installed.
    """
    try:
        from lottery.data.images import BadImageError, decode
    except ImportError as error:
        raise MissingPackageError("decoding images", "pillow") from error

    def decoded(image: Encoded) -> Bytes | str:
        if image.contents is None:
            return image.trouble
        try:
            return decode(image.contents, size)
        except BadImageError as trouble:
            return str(trouble)

    bad: list[str] = []
    shape: tuple[int, ...] | None = None
    total = len(source.train) + len(source.test)
    # Pillow gives Python's lock free while it decodes.
    with ThreadPoolExecutor(_threads()) as pool, counted(source.what, total, progress) as advance:
        images = source.read()
        while chunk := list(islice(images, _AT_ONCE)):
            for image, found in zip(chunk, pool.map(decoded, chunk), strict=True):
                advance()
                if not isinstance(found, str):
                    shape = shape or found.shape
                    if found.shape == shape:
                        yield image.number, found
                        continue
                    found = (
                        f"{_size(found.shape)} pixels, others {_size(shape)}; set data.image_size"
                    )
                bad.append(f"{image.name}: {found}")
    if bad:
        raise _cannot_be_used(source.what, bad, total)


def _cannot_be_used(what: str, bad: list[str], total: int) -> DataError:
    more = len(bad) - _MOST_NAMED
    lines = [*bad[:_MOST_NAMED], *([f"and {more:,} more"] if more > 0 else [])]
    return DataError(
        f"{what}: {len(bad):,} of {total:,} images cannot be used. Replace or delete them.\n"
        + "\n".join(f"  - {line}" for line in lines)
    )


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[2]} x {shape[1]}"


def _threads() -> int:
    usable = getattr(os, "sched_getaffinity", None)
    return min(8, len(usable(0)) if usable else os.cpu_count() or 1)
