"""Masks as small pictures: which input pixels survive, and the first layer itself.

Pictures are PNG files inside the page: one colour, the more opaque the more is kept, so that they
need no script, fit light and dark pages, and can be read back.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lottery.analysis import formatting
from lottery.report.data import ReportData
from lottery.report.figure import Figure, Gallery, Picture

MOST_PICTURES = 8
"""Levels that are shown; of more, an even selection."""
_COLOUR = "#2f8fd0"
FAINTEST = 16
"""Opacity of a place of which nothing is kept, of 255; a place that is none has 0."""
_MOST_SIDE = 280
"""Pixels of a picture's side; larger masks are averaged over blocks."""
SMALL_SIDE = 80
"""The same where there is a picture of every ticket."""


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


def mask_picture(mask: Tensor, side: int = _MOST_SIDE) -> tuple[NDArray[np.float64], str] | None:
    """A layer's mask as one picture of shares kept, and what it is.

    Args:
        mask: which weights are kept.
        side: that of a matrix has at most so many pixels each way, means over blocks.

    Returns:
        Of a matrix, its entries (outputs, inputs), ``matrix``; of a convolution, its filters side
        by side, each the share kept at each place over input channels, ``filters``, with nan
        between them; None of other shapes.

    >>> import torch
    >>> picture, what = mask_picture(torch.ones(4, 3, 2, 2, dtype=torch.bool))
    >>> picture.shape, what
    ((5, 5), 'filters')
    """
    if 0 in mask.shape:
        return None
    values = mask.cpu().numpy()
    if mask.ndim == 2:
        return _averaged(values.astype(np.float64), side), "matrix"
    if mask.ndim != 4 or mask.shape[2:].numel() == 1:
        return None
    kernels = values.mean(axis=1)
    columns = -int(-(len(kernels) ** 0.5) // 1)
    rows = -(-len(kernels) // columns)
    height, width = kernels.shape[1] + 1, kernels.shape[2] + 1
    picture = np.full((rows * height - 1, columns * width - 1), np.nan)
    for i, kernel in enumerate(kernels):
        y, x = i // columns * height, i % columns * width
        picture[y : y + height - 1, x : x + width - 1] = kernel
    return picture, "filters"


def _averaged(values: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Means over square blocks where there are too many values for a picture."""
    block = block_side(values.shape, side)
    rows, columns = (-(-length // block) * block for length in values.shape)
    padded = np.full((rows, columns), np.nan)
    padded[: values.shape[0], : values.shape[1]] = values
    blocks = padded.reshape(rows // block, block, columns // block, block)
    return np.asarray(np.nanmean(blocks, axis=(1, 3)))


def block_side(shape: Sequence[int], side: int = _MOST_SIDE) -> int:
    """How many weights each way a point of a matrix' picture is the mean over.

    >>> block_side((300, 784))
    3
    """
    return -(-max(shape) // side)


def pictures(
    pixels: Mapping[int, NDArray[np.floating[Any]]],
    densities: Mapping[int, float],
    always: int | None,
    *,
    most: int = MOST_PICTURES,
    point: str = "pixel",
) -> list[Picture]:
    """One picture for each of some levels, evenly spread.

    The dense level is left out where there are others: it keeps everything.

    Args:
        pixels: level -> shares (height, width), nan for nothing.
        densities: level -> density.
        always: a level to show in any case.
        most: levels.
        point: what a point of a picture is.
    """
    return [
        picture(
            np.asarray(pixels[level], dtype=np.float64),
            label=formatting.percent(densities[level]) if level in densities else f"Level {level}",
            about=f"Level {level}",
            point=point,
        )
        for level in _spread([n for n in sorted(pixels) if n or len(pixels) == 1], always, most)
    ]


def scale() -> Picture:
    """The colour scale itself, from nothing to the most."""
    ramp = np.linspace(0, 1, 256)[None, :]
    return Picture(
        data=_png(ramp),
        label="",
        note="",
        description="colour scale",
        values=ramp,
    )


def picture(
    share: NDArray[np.float64],
    *,
    label: str,
    about: str = "",
    point: str,
    meta: Mapping[str, int] | None = None,
    shown: bool = True,
) -> Picture:
    """Shares (height, width), nan for nothing, as a picture on its own scale.

    Args:
        share: in [0, 1].
        label: to stand below it.
        about: how its description begins; the label if empty.
        point: what a point of it is, in a word.
        meta: what it is chosen by.
        shown: whether it is shown at first.
    """
    share = share.reshape(share.shape[0], -1).clip(0, 1)
    peak = float(np.nanmax(share)) if share.size else 0.0
    scaled = share / peak if peak > 0 else share
    cut, size = int((share == 0).sum()), int((~np.isnan(share)).sum())
    note = f"up to {formatting.percent(peak)} kept"
    empty = f"none at {cut:,} of {size:,} {point}s" if cut else f"some at every {point}"
    return Picture(
        data=_png(scaled),
        label=label,
        note=f"{note}; {empty}",
        description=f"{about or label}: {note} at one {point}, {empty}",
        values=share,
        meta=meta or {},
        shown=shown,
    )


def _spread(levels: list[int], always: int | None, most: int) -> list[int]:
    if len(levels) <= most:
        return levels
    at = np.linspace(0, len(levels) - 1, most).round().astype(int)
    chosen = [levels[i] for i in at]
    if always in levels and always not in chosen:
        nearest = min(chosen[1:-1], key=lambda level: abs(level - always))
        chosen[chosen.index(nearest)] = always
    return sorted(chosen)


def _png(share: NDArray[np.float64]) -> str:
    """An image with a palette of 255 opacities and one entry for nothing, as a data URI."""
    height, width = share.shape
    colour = bytes.fromhex(_COLOUR[1:])
    opacities = bytes(round(FAINTEST + (255 - FAINTEST) * i / 254) for i in range(255)) + b"\0"
    pixels = np.where(np.isnan(share), 255, np.round(np.nan_to_num(share) * 254)).astype(np.uint8)
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels], axis=1)
    file = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            (b"PLTE", colour * 256),
            (b"tRNS", opacities),
            (b"IDAT", zlib.compress(rows.tobytes(), 9)),
            (b"IEND", b""),
        )
    )
    return "data:image/png;base64," + base64.b64encode(file).decode("ascii")


def _gallery(data: ReportData, shares: Mapping[int, Any], point: str) -> Gallery | None:
    densities = {level.level: level.density for level in data.verdict.levels}
    found = pictures(shares, densities, data.verdict.level, point=point)
    left_out = sum(level > 0 for level in shares) - len(found)
    return Gallery(pictures=found, scale=scale(), left_out=max(left_out, 0)) if found else None


def mask_point(what: str, block: int) -> str:
    """What a point of a mask's picture is.

    Args:
        what: as `mask_picture` says.
        block: as `block_side` says.
    """
    return "place" if what == "filters" else "block" if block > 1 else "weight"


_SCALE = (
    "The further a colour is from the background, the more is kept. Each picture has its own "
    "scale, from none to the share named below it.{% if plot.left_out %} "
    "{{ counted(plot.left_out, 'level') }} in between not shown.{% endif %}"
)
PIXELS = Figure(
    name="pixels",
    section="Which weights are left",
    title="Input pixels",
    caption="Each square is one input pixel, its colour the share kept of the weights that read "
    "it, mean over channels and replicates. " + _SCALE,
    draw=lambda data: _gallery(data, data.pixels, "pixel"),
)
MASKS = Figure(
    name="first-layer",
    section="Which weights are left",
    title="Mask of the first layer",
    caption=(
        "The first replicate's mask. {% if masks_are == 'filters' %}Each small square is one "
        "filter, its places coloured by the share kept over input channels. {% else %}Rows are the "
        "layer's units, columns its inputs{% if masks_block > 1 %}; each point is a block of "
        "{{ masks_block }} by {{ masks_block }} weights, its colour the share that is kept"
        "{% endif %}. {% endif %}" + _SCALE
    ),
    draw=lambda data: _gallery(data, data.masks, mask_point(data.masks_are, data.masks_block)),
)
