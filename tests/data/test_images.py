"""One image: every kind Pillow reads becomes the same pixels, within limits."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from lottery.data import images
from lottery.data.images import BadImageError, decode, ignore_size_warnings

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


def png_of(header: bytes, pixels: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    data = chunk(b"IDAT", zlib.compress(pixels))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def deep_png(kind: int, channels: int) -> bytes:
    rows = b"".join(b"\0" + bytes(range(2 * 4 * channels)) for _ in range(4))
    return png_of(struct.pack(">IIBBBBB", 4, 4, 16, kind, 0, 0, 0), rows)


def deep_tiff() -> bytes:
    """4 x 4 pixels of red, green and blue with 16 bits each, not packed."""
    bits_at = 8 + 2 + 12 * 8 + 4
    tags = [
        *((256, 3, 1, 4), (257, 3, 1, 4), (258, 3, 3, bits_at), (259, 3, 1, 1), (262, 3, 1, 2)),
        *((273, 4, 1, bits_at + 6), (277, 3, 1, 3), (279, 4, 1, 96)),
    ]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    start = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(4)
    return start + struct.pack("<3H", 16, 16, 16) + bytes(range(96))


@pytest.mark.parametrize(
    "contents",
    [
        lambda: deep_png(2, 3),
        lambda: deep_png(6, 4),
        lambda: deep_png(4, 2),
        deep_tiff,
        lambda: b"P6 4 4 65535\n" + bytes(range(96)),
        lambda: b"P3 1 1 1023\n1000 500 0\n",
    ],
    ids=["RGB", "RGBA", "LA", "TIFF", "PPM", "PPM of digits"],
)
def test_colours_of_more_than_8_bits_are_refused(contents: Callable[[], bytes]) -> None:
    with pytest.raises(BadImageError, match="more than 8 bits a channel"):
        decode(contents(), 0)


def test_colours_of_fewer_bits_are_not() -> None:
    assert decode(b"P6 4 4 15\n" + bytes([15] * 48), 0).min() == 255
    header = struct.pack("<IiiHHIIiiII", 40, 4, 4, 1, 16, 0, 32, 0, 0, 0, 0)
    bmp = b"BM" + struct.pack("<IHHI", 54 + 32, 0, 0, 54) + header + b"\xff\x7f" * 16
    assert decode(bmp, 0).min() == 255


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


def test_what_is_no_image_is_told_without_the_decoder_s_own_words() -> None:
    with pytest.raises(BadImageError, match=r"no image of a known format \(JPEG, PNG, .*WEBP\)$"):
        decode(b"a page of text", 0)


def test_any_changed_byte_gives_pixels_or_one_error() -> None:
    for place in range(8, len(SOUND), max(1, len(SOUND) // 150)):
        broken = bytearray(SOUND)
        broken[place] ^= 0xFF
        with contextlib.suppress(BadImageError):
            assert decode(bytes(broken), 0).dtype == np.uint8


def bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes that says it has this size."""
    return png_of(struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), bytes(10_000))


@pytest.mark.parametrize(
    ("width", "height"), [(9_000, 9_000), (10_000, 10_000), (60_000, 60_000), (2**31 - 1, 1)]
)
@pytest.mark.parametrize("size", [0, 8])
def test_a_decompression_bomb_is_refused_by_its_header(width: int, height: int, size: int) -> None:
    with pytest.raises(BadImageError, match=r"expected .* at most"):
        decode(bomb(width, height), size)


def test_a_large_image_is_an_error_and_no_warning_where_it_is_quiet() -> None:
    with (
        ignore_size_warnings(),
        pytest.raises(BadImageError, match=r"10000 x 10000 pixels; expected 67,108,864 "),
    ):
        decode(bomb(10_000, 10_000), 8)


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
