"""Which input pixels survive, as small pictures.

Pictures are PNG files inside the page, one for light and one for dark, so they need no script.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lottery.report import words
from lottery.report.palette import blend

MOST_PICTURES = 8

_LIGHT_SCALE = ("#f1f5f9", "#7db4dd", "#0a5c96", "#003354")
_DARK_SCALE = ("#10161e", "#0d4a78", "#56b4e9", "#dff2ff")


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One level's input, ready for the page."""

    light: str
    dark: str
    label: str
    note: str
    description: str


def input_pixels(mask: Tensor, input_shape: Sequence[int]) -> NDArray[np.float64] | None:
    """The share of a fully connected first layer's weights that is kept at each input pixel.

    Args:
        mask: which weights are kept (outputs, inputs).
        input_shape: of one example (channels, height, width).

    Returns:
        Shares in [0, 1], mean over outputs and channels (height, width); None where the layer does
        not read such an image pixel by pixel.

    >>> import torch
    >>> input_pixels(torch.tensor([[True, False], [True, True]]), (1, 1, 2))
    array([[1. , 0.5]])
    """
    if mask.ndim != 2 or len(input_shape) != 3 or 0 in mask.shape:
        return None
    channels, height, width = input_shape
    if mask.shape[1] != channels * height * width:
        return None
    share = mask.cpu().numpy().astype(np.float64).mean(axis=0)
    return np.asarray(share.reshape(channels, height, width).mean(axis=0))


def pictures(
    pixels: Mapping[int, Tensor | NDArray[np.floating[Any]]],
    densities: Mapping[int, float],
    always: int | None,
) -> list[Picture]:
    """One picture for each of at most eight levels, evenly spread.

    The dense level is left out where there are others: it keeps everything.

    Args:
        pixels: level -> shares (height, width).
        densities: level -> density.
        always: a level to show in any case.
    """
    return [
        _picture(level, densities.get(level), np.asarray(pixels[level], dtype=np.float64))
        for level in _spread([n for n in sorted(pixels) if n or len(pixels) == 1], always)
    ]


def scale() -> Picture:
    """The colour scale itself, from nothing to the most."""
    ramp = np.linspace(0, 1, 256)[None, :]
    light, dark = (_png(ramp, anchors) for anchors in (_LIGHT_SCALE, _DARK_SCALE))
    return Picture(light=light, dark=dark, label="", note="", description="colour scale")


def _picture(level: int, density: float | None, share: NDArray[np.float64]) -> Picture:
    share = np.nan_to_num(share.reshape(share.shape[0], -1)).clip(0, 1)
    peak = float(share.max(initial=0.0))
    scaled = share / peak if peak > 0 else share
    cut = int((share == 0).sum())
    label = f"Level {level}" if density is None else words.density(density)
    note = f"up to {words.density(peak)} kept"
    lost = f"{words.plural(cut, 'pixel')} of {share.size:,} cut off" if cut else "every pixel read"
    return Picture(
        light=_png(scaled, _LIGHT_SCALE),
        dark=_png(scaled, _DARK_SCALE),
        label=label,
        note=f"{note}; {lost}",
        description=f"Input pixels at level {level}: {note} at one pixel, {lost}",
    )


def _spread(levels: list[int], always: int | None) -> list[int]:
    if len(levels) <= MOST_PICTURES:
        return levels
    at = np.linspace(0, len(levels) - 1, MOST_PICTURES).round().astype(int)
    chosen = [levels[i] for i in at]
    if always in levels and always not in chosen:
        nearest = min(chosen[1:-1], key=lambda level: abs(level - always))
        chosen[chosen.index(nearest)] = always
    return sorted(chosen)


def _png(share: NDArray[np.float64], anchors: tuple[str, ...]) -> str:
    """An image with a palette of 256 colours, as a data URI."""
    height, width = share.shape
    palette = b"".join(bytes.fromhex(blend(anchors, i / 255)[1:]) for i in range(256))
    pixels = np.round(share * 255).astype(np.uint8)
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels], axis=1)
    file = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            (b"PLTE", palette),
            (b"IDAT", zlib.compress(rows.tobytes(), 9)),
            (b"IEND", b""),
        )
    )
    return "data:image/png;base64," + base64.b64encode(file).decode("ascii")
