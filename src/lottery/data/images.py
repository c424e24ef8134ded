"""One image file as pixels: decoded by Pillow, resized, within limits.

An image is untrusted input: its size is checked before its pixels are decoded, and only raster
formats are read, none that could run a program.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from lottery.data.idx import Bytes
from lottery.data.request import MAX_SIDE
from lottery.data.sources import MAX_FILE

MAX_PIXELS: Final = 2**26
"""Pixels of one image, at most: a guard against decompression bombs."""

_FORMATS: Final = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
_MODES: Final = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
# What Pillow is known to raise on files that are damaged in one way or another.
_DAMAGE: Final = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OverflowError,
    MemoryError,
    struct.error,
)
_BOMB: Final = (Image.DecompressionBombError, Image.DecompressionBombWarning)


@contextmanager
def ignore_size_warnings() -> Iterator[None]:
    """Inside the ``with`` block Pillow does not warn of large images, which are an error here.

    This applies to all threads of the process.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


class BadImageError(Exception):
    """An image that cannot be used; the message says why, without a full stop."""


def decode(contents: bytes, size: int) -> Bytes:
    """The pixels of an image in RGB.

    Grey and palette images become RGB, and transparency is dropped. The orientation in a camera's
    metadata is ignored. Of an animation, this is the first frame.

    Args:
        contents: an image file's bytes.
        size: side of the square that the image becomes, in pixels: its shorter side is resized with
            Pillow's bilinear filter, which averages when it shrinks an image, and its longer side
            is cropped in the middle. 0 leaves the image as it is.

    Returns:
        uint8 ``[3, height, width]``.

    Raises:
        BadImageError: it is no image, damaged, too large, or of more than 8 bits a channel.
    """
    if len(contents) > MAX_FILE:
        raise BadImageError(f"{len(contents):,} bytes; expected {MAX_FILE:,} at most")
    try:
        with Image.open(io.BytesIO(contents), formats=_FORMATS) as image:
            _check(image, size)
            pixels = np.asarray(_square(_coloured(image), size))
    except UnidentifiedImageError as error:
        # What Pillow says names an object in memory.
        known = ", ".join(_FORMATS)
        raise BadImageError(f"damaged, or no image of a known format ({known})") from error
    except _BOMB as error:  # what Pillow says by itself, before the size is known here
        raise BadImageError(f"too large; expected {MAX_PIXELS:,} pixels at most") from error
    except _DAMAGE as error:
        raise BadImageError(
            f"damaged, or no image ({str(error) or type(error).__name__})"
        ) from error
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _check(image: ImageFile.ImageFile, size: int) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS or width < 1 or height < 1:
        raise BadImageError(f"{width} x {height} pixels; expected {MAX_PIXELS:,} at most")
    if not size and max(width, height) > MAX_SIDE:
        reason = f"{width} x {height} pixels; expected {MAX_SIDE} a side at most"
        raise BadImageError(f"{reason}, or data.image_size to say what to bring it to")
    if image.mode not in _MODES:
        raise BadImageError(f"pixels of kind {image.mode}; expected 8 bits a channel")
    if _is_deep(image):
        raise BadImageError("more than 8 bits a channel; expected 8")


def _is_deep(image: ImageFile.ImageFile) -> bool:
    """Whether Pillow would cut the values of colours to 8 bits; it says so of grey ones only."""
    for _, _, _, found in image.tile:
        kind, *others = found if isinstance(found, tuple) else (found,)
        if re.search(";16[BLN]", str(kind)):
            return True
        if image.format == "PPM" and others and others[0] > 255:
            return True
    return False


def _coloured(image: Image.Image) -> Image.Image:
    """The image with the channels red, green and blue."""
    # From a palette with transparency Pillow goes to colours only by way of RGBA.
    if "transparency" in image.info or image.mode in ("LA", "PA"):
        image = image.convert("RGBA")
    return image.convert("RGB")


def _square(image: Image.Image, size: int) -> Image.Image:
    """The image brought to ``size`` x ``size``; as it is for 0."""
    if not size or image.size == (size, size):
        return image
    width, height = image.size
    shorter = min(width, height)
    width, height = round(width * size / shorter), round(height * size / shorter)
    # A strip of one pixel by millions would become larger than any limit.
    if width * height > MAX_PIXELS:
        raise BadImageError(f"{image.width} x {image.height} pixels; too long for its height")
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - size) // 2, (height - size) // 2
    return image.crop((left, top, left + size, top + size))
