"""Augmentation of training batches: flips and crops of a whole batch at once, on its device.

Random numbers are drawn on the CPU, a few for each image, from a given generator, so that a batch
is the same on every device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lottery.data.request import MAX_SIDE

CENTER_SHARE = 0.875
"""Share of an image's shorter side that evaluation sees where training sees random crops."""
_ATTEMPTS = 10
"""How many crops of random area and shape are tried before the largest one is taken."""


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """What is done to training batches; validation and test are never augmented."""

    flip: bool = False
    """Mirror half of the images, left to right."""
    crop_padding: int = 0
    """Pad images with as many pixels of the mean colour on each side, and crop them at random back
    to their size; 0 to leave it out."""
    resized_crop: int = 0
    """Crop a random part of each image and resize it to a square of this side, in pixels; 0 to
    leave it out. Of validation and test images it is the middle 7/8, resized to the same."""
    least_area: float = 0.08
    """The smallest share of an image's area that ``resized_crop`` takes, above 0, at most 1."""
    most_stretch: float = 4 / 3
    """How much wider than high, or higher than wide, that part may be, from 1 to 4096."""

    @property
    def active(self) -> bool:
        """Whether anything is done."""
        return self.flip or self.crop_padding > 0 or self.resized_crop > 0

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        found = [
            f"{name}: must be from 0 to {MAX_SIDE}, got {value}"
            for name, value in (
                ("crop_padding", self.crop_padding),
                ("resized_crop", self.resized_crop),
            )
            if not 0 <= value <= MAX_SIDE
        ]
        if self.crop_padding > 0 and self.resized_crop > 0:
            found.append("crop_padding: goes without resized_crop; set one of them to 0")
        if not 0 < self.least_area <= 1:
            found.append(f"least_area: must be above 0 and at most 1, got {self.least_area}")
        if not 1 <= self.most_stretch <= MAX_SIDE:
            found.append(f"most_stretch: must be from 1 to {MAX_SIDE}, got {self.most_stretch}")
        return found


def augment(inputs: Tensor, config: AugmentationConfig, generator: torch.Generator) -> Tensor:
    """Crop and then flip each image of a batch at random, independently of the others.

    Args:
        inputs: normalized images ``[B, C, H, W]``, so that 0 is the mean colour; not changed.
        config: what to do.
        generator: a CPU generator; each kind of change draws once for the whole batch.

    Returns:
        ``[B, C, H, W]``, or ``[B, C, size, size]`` with ``resized_crop``.
    """
    count, (height, width) = len(inputs), inputs.shape[-2:]
    flips = torch.rand(count, generator=generator) < (0.5 if config.flip else 0.0)
    if config.resized_crop:
        boxes = random_boxes(count, height, width, config, generator)
        inputs = resize_boxes(inputs, boxes.to(inputs.device), config.resized_crop)
    offsets = torch.randint(0, 2 * config.crop_padding + 1, (count, 2), generator=generator)
    device = inputs.device
    return crop_and_flip(inputs, offsets.to(device), flips.to(device), config.crop_padding)


def crop_and_flip(inputs: Tensor, offsets: Tensor, flips: Tensor, padding: int) -> Tensor:
    """Pad each image with zeros, crop it back to its size, and flip some of them.

    Args:
        inputs: ``[B, C, H, W]``.
        offsets: row and column at which each crop begins in the padded image, int64 ``[B, 2]`` in
            [0, 2 * padding].
        flips: which are flipped left to right, bool ``[B]``.
        padding: pixels on each side.
    """
    count, channels, height, width = inputs.shape
    device = inputs.device
    padded = F.pad(inputs, [padding] * 4) if padding else inputs
    rows = torch.arange(height, device=device) + offsets[:, :1]
    forth = torch.arange(width, device=device)
    columns = torch.where(flips[:, None], width - 1 - forth, forth) + offsets[:, 1:]
    places = rows[:, :, None] * (width + 2 * padding) + columns[:, None, :]
    places = places.view(count, 1, -1).expand(-1, channels, -1)
    return padded.flatten(2).gather(2, places).view(count, channels, height, width)


def random_boxes(
    count: int, height: int, width: int, config: AugmentationConfig, generator: torch.Generator
) -> Tensor:
    """Random boxes in an image, uniform in area and in the logarithm of the aspect ratio.

    As usual for ImageNet (arXiv:1409.4842, section 6): a box that does not fit is drawn again; if
    ten do not fit, it is the largest box of an allowed aspect ratio, in the middle.

    Args:
        count: how many.
        height: of the image.
        width: of the image.
        config: ``least_area`` and ``most_stretch`` are used.
        generator: on the CPU.

    Returns:
        Top, left, height and width in whole pixels, int64 ``[count, 4]``, inside the image.
    """
    uniform = torch.rand(4, count, _ATTEMPTS, generator=generator, dtype=torch.float64)
    area = height * width * (config.least_area + (1 - config.least_area) * uniform[0])
    ratio = torch.exp(math.log(config.most_stretch) * (2 * uniform[1] - 1))
    wide, high = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
    fits = (wide >= 1) & (wide <= width) & (high >= 1) & (high <= height)
    # The first that fits: argmax of a bool tensor's numbers is the first of the largest.
    first = fits.int().argmax(dim=1, keepdim=True)
    largest_high = min(height, round(width * config.most_stretch))
    largest_wide = min(width, round(height * config.most_stretch))
    any_fits = fits.any(dim=1)
    high = torch.where(any_fits, high.gather(1, first)[:, 0], largest_high)
    wide = torch.where(any_fits, wide.gather(1, first)[:, 0], largest_wide)
    down, right = (uniform[n].gather(1, first)[:, 0] for n in (2, 3))
    top = torch.where(any_fits, (down * (height - high + 1)).long(), (height - high) // 2)
    left = torch.where(any_fits, (right * (width - wide + 1)).long(), (width - wide) // 2)
    return torch.stack([top, left, high, wide], dim=1)


def resize_boxes(inputs: Tensor, boxes: Tensor, size: int) -> Tensor:
    """The part of each image in its box, bilinearly resized to ``size`` x ``size``.

    Coordinates are those of pixel centres (``align_corners=False``), nothing outside a box is used,
    and there is no antialiasing where a box is larger than ``size``.

    Args:
        inputs: ``[B, C, H, W]``.
        boxes: top, left, height and width, int64 ``[B, 4]``.
        size: side of the result, in pixels.
    """
    dtype = _coordinates(inputs)
    steps = (torch.arange(size, device=inputs.device, dtype=dtype) + 0.5) / size
    top, left, high, wide = (boxes[:, n, None].to(dtype) for n in range(4))
    rows = top + (steps * high - 0.5).clamp(min=0).minimum(high - 1)
    columns = left + (steps * wide - 0.5).clamp(min=0).minimum(wide - 1)
    return _sampled(inputs, rows, columns)


def center_crop(inputs: Tensor, size: int) -> Tensor:
    """The middle of each image, with objects about as large as `resize_boxes` makes them.

    As usual for ImageNet: as if the shorter side were resized to ``size / CENTER_SHARE`` pixels,
    rounded, and ``size`` x ``size`` pixels cropped in the middle. Images that have this size are
    only cropped, and the result is a view of them; others are resized bilinearly, as training
    images are.

    Args:
        inputs: ``[N, C, H, W]``.
        size: side of the result, in pixels.
    """
    height, width = inputs.shape[-2:]
    shorter, wanted = min(height, width), round(size / CENTER_SHARE)
    if shorter == wanted:
        top, left = (height - size) // 2, (width - size) // 2
        return inputs[..., top : top + size, left : left + size]
    steps = torch.arange(size, device=inputs.device, dtype=_coordinates(inputs)) + 0.5
    offsets = (steps - size / 2) * (shorter / wanted) - 0.5
    rows, columns = ((n / 2 + offsets).clamp(0, n - 1)[None] for n in (height, width))
    return _sampled(inputs, rows.expand(len(inputs), -1), columns.expand(len(inputs), -1))


def _coordinates(inputs: Tensor) -> torch.dtype:
    """What places in images are counted in: 16 bits do not hold those of a large image."""
    return torch.float32 if inputs.element_size() < 4 else inputs.dtype


def _sampled(inputs: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Each image at the crossings of its rows and columns, between pixels bilinearly.

    Args:
        inputs: ``[B, C, H, W]``.
        rows, columns: in pixels from the centre of the first, inside of the image, ``[B, size]``.
    """
    height, width = inputs.shape[-2:]
    size = rows.shape[1]
    # grid_sample counts from -1 to 1 over the whole image.
    rows, columns = (2 * rows + 1) / height - 1, (2 * columns + 1) / width - 1
    grid = torch.stack(
        [
            columns[:, None, :].expand(-1, size, -1),
            rows[:, :, None].expand(-1, -1, size),
        ],
        dim=-1,
    )
    exact = inputs.to(grid.dtype)
    # Padding matters by rounding at most; of its kinds MPS does not have all.
    found = F.grid_sample(exact, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return found.to(inputs.dtype)
