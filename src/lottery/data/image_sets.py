"""Datasets of image files: in class folders, in a tar file of them, or in a table of them."""

from __future__ import annotations

from typing import Final

from lottery.data.dataset import Dataset, Split
from lottery.data.image_cache import cached_images
from lottery.data.request import Request
from lottery.data.sources import ImageSource
from lottery.data.splits import (
    Scale,
    check_scale,
    check_validation,
    exchanges,
    scale_of_histogram,
)

LARGE: Final = 2**32
"""Bytes of images from which on they stay on disk, and go to a GPU batch by batch."""


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
        request: how many to hold out, what size to bring them to.
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
