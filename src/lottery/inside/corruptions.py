"""Corrupted test images: noise, blur and reduced contrast, at five strengths each.

Kinds and the strengths of noise and contrast are those of Hendrycks & Dietterich (2019,
arXiv:1903.12261, appendix B). Theirs of blur are in pixels of large photographs; here they are
shares of an image's smaller side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from lottery.data.dataset import Split
from lottery.errors import UsageError
from lottery.rng import Streams

STRENGTHS: Final = (1, 2, 3, 4, 5)
_PART: Final = 1_000
"""Images that are processed together, which limits the additional memory."""


def _noise(images: Tensor, strength: int, generator: torch.Generator) -> Tensor:
    """Gaussian noise, of this deviation in shares of the range."""
    deviation = (0.08, 0.12, 0.18, 0.26, 0.38)[strength - 1]
    return images + deviation * torch.randn(images.shape, generator=generator)


def _blur(images: Tensor, strength: int, _: torch.Generator) -> Tensor:
    """A Gaussian blur, of this deviation in shares of the smaller side."""
    deviation = (0.02, 0.03, 0.04, 0.06, 0.08)[strength - 1] * min(images.shape[-2:])
    reach = min(max(1, round(3 * deviation)), min(images.shape[-2:]))
    weights = torch.exp(-(torch.arange(-reach, reach + 1.0) ** 2) / (2 * deviation**2))
    weights /= weights.sum()
    channels = images.shape[1]
    for padding, shape in (((0, 0, reach, reach), (-1, 1)), ((reach, reach, 0, 0), (1, -1))):
        kernel = weights.reshape(shape).expand(channels, 1, -1, -1 if shape[1] < 0 else 1)
        padded = functional.pad(images, padding, mode="replicate")
        images = functional.conv2d(padded, kernel, groups=channels)
    return images


def _contrast(images: Tensor, strength: int, _: torch.Generator) -> Tensor:
    """This share of the distance of every pixel from its channel's mean in the image."""
    share = (0.4, 0.3, 0.2, 0.1, 0.05)[strength - 1]
    mean = images.mean((-2, -1), keepdim=True)
    return share * (images - mean) + mean


CORRUPTIONS: Final[Mapping[str, Callable[[Tensor, int, torch.Generator], Tensor]]] = {
    "noise": _noise,
    "blur": _blur,
    "contrast": _contrast,
}
"""Name -> (images ``[N, C, H, W]`` in [0, 1], strength from 1 to 5, generator) -> worse images."""


def corrupt(split: Split, kind: str, strength: int) -> Split:
    """A copy of a split with corrupted images; the same call gives the same images.

    Args:
        split: of images, uint8 ``[N, C, H, W]``.
        kind: one of `CORRUPTIONS`.
        strength: from 1 to 5.

    Raises:
        UsageError: the examples are not images of this type and shape.
    """
    if split.inputs.dtype != torch.uint8 or split.inputs.dim() != 4:
        raise UsageError(
            "expected images as bytes, which alone can be blurred, got examples of "
            f"{split.inputs.dtype} and shape {tuple(split.inputs.shape[1:])}"
        )
    generator = Streams(0, 0).generator("corruption", kind, strength)
    worse = [
        (CORRUPTIONS[kind](part / 255, strength, generator) * 255).round().clamp(0, 255).byte()
        for part in split.inputs.split(_PART)
    ]
    return Split(torch.cat(worse), split.targets)
