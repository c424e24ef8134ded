"""One image: every kind Pillow reads becomes the same pixels, within limits."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lottery.data import images
from lottery.data.images import BadImageError, decode

Pixels = np.typing.NDArray[np.uint8]
COLOURS: Pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("form", ["PNG", "BMP", "PPM", "TIFF"])
def test_colours_come_back_channel_by_channel(form: str) -> None:
    found = decode(encoded(Image.fromarray(COLOURS), form), 0)

    assert found.shape == (3, 6, 5)
    np.testing.assert_array_equal(found, COLOURS.transpose(2, 0, 1))
    assert found.flags.c_contiguous


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_other_kinds_become_colours(mode: str) -> None:
    image = Image.fromarray(COLOURS).convert(mode)
    form = "TIFF" if mode == "CMYK" else "PNG"

    found = decode(encoded(image, form), 0)

    np.testing.assert_array_equal(found, np.asarray(image.convert("RGB")).transpose(2, 0, 1))


def test_a_palette_with_transparency_warns_of_nothing() -> None:
    image = Image.fromarray(COLOURS).convert("P")

    found = decode(encoded(image, transparency=bytes(range(100))), 0)

    assert found.shape == (3, 6, 5)


@pytest.mark.parametrize(("width", "height"), [(8, 8), (12, 8), (8, 12), (9, 31), (4, 4), (3, 5)])
def test_the_shorter_side_is_resized_and_the_longer_cropped(width: int, height: int) -> None:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)[None, :].round()
    pixels[..., 1] = np.linspace(0, 255, height)[:, None].round()

    red, green, blue = decode(encoded(Image.fromarray(pixels)), 8)

    assert red.shape == (8, 8)
    assert not blue.any()
    # The middle of the image stays the middle, and a side that is cropped loses both ends.
    assert abs(red.mean() - 127.5) < 255 / width
    assert abs(green.mean() - 127.5) < 255 / height
    assert int(red.min()) > 0 if width > 2 * height else True
    assert int(green.min()) > 0 if height > 2 * width else True


def test_an_image_of_the_size_asked_for_is_left_alone() -> None:
    square = COLOURS[:5]

    np.testing.assert_array_equal(
        decode(encoded(Image.fromarray(square)), 5), square.transpose(2, 0, 1)
    )


def test_more_than_8_bits_a_channel_are_refused() -> None:
    deep = Image.fromarray(np.arange(30, dtype=np.uint16).reshape(5, 6) * 2_000)

    with pytest.raises(BadImageError, match="expected 8 bits a channel"):
        decode(encoded(deep), 0)


SOUND = encoded(Image.fromarray(np.tile(COLOURS, (9, 9, 1))))


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"nothing",
        SOUND[:100],
        SOUND[: len(SOUND) // 2],
        encoded(Image.fromarray(COLOURS), "JPEG")[:-40],
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    ],
    ids=["empty", "no image", "header", "half", "JPEG", "PostScript"],
)
def test_damage_is_one_error(contents: bytes) -> None:
    with pytest.raises(BadImageError, match="damaged, or no image"):
        decode(contents, 0)


def test_any_changed_byte_gives_pixels_or_one_error() -> None:
    for place in range(8, len(SOUND), max(1, len(SOUND) // 150)):
        broken = bytearray(SOUND)
        broken[place] ^= 0xFF
        with contextlib.suppress(BadImageError):
            assert decode(bytes(broken), 0).dtype == np.uint8


def bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes that says it has this size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(10_000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height"), [(9_000, 9_000), (10_000, 10_000), (60_000, 60_000), (2**31 - 1, 1)]
)
@pytest.mark.parametrize("size", [0, 8])
def test_a_decompression_bomb_is_refused_by_its_header(width: int, height: int, size: int) -> None:
    with pytest.raises(BadImageError):
        decode(bomb(width, height), size)


def test_a_side_that_is_too_long_to_be_stored() -> None:
    long = encoded(Image.fromarray(np.zeros((1, 5_000), np.uint8)))

    with pytest.raises(BadImageError, match=r"expected 4096 a side at most, or data\.image_size"):
        decode(long, 0)
    with pytest.raises(BadImageError, match="too long for its height"):
        decode(long, 4_096)
    assert decode(long, 4).shape == (3, 4, 4)


def test_a_file_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_FILE", 50)

    with pytest.raises(BadImageError, match="bytes; expected 50 at most"):
        decode(SOUND, 0)
