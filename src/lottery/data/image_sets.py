"""Datasets of image files: in class folders, in a tar file of them, or in a table of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from lottery.data.dataset import Dataset, Split
from lottery.data.image_cache import cached_images
from lottery.data.info import DatasetInfo
from lottery.data.names import shown
from lottery.data.request import Request
from lottery.data.sources import ImageSource, folder_source, tar_source
from lottery.data.splits import (
    Scale,
    check_scale,
    check_validation,
    exchanges,
    scale_of_histogram,
)
from lottery.errors import DataError

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
    check_validation(name, request.validation, len(source.train))
    cached = cached_images(source, request.image_size, progress=request.progress)
    about = cached.description
    scale = scale or scale_of_histogram(np.array(about.histogram))
    check_scale(name, scale)

    images, targets = cached.images, cached.targets
    for pair in exchanges(targets[: about.train].numpy(), request.validation):
        # In the memory of this process alone: the file stays as it is.
        for values in (images, targets):
            values[[*pair]] = values[[*reversed(pair)]]

    def split(first: int, end: int | None) -> Split:
        return Split(images[first:end], targets[first:end], mapped=about.image_bytes > LARGE)

    return Dataset(
        name=name,
        train=split(request.validation, about.train),
        validation=split(0, request.validation),
        test=split(about.train, None),
        classes=len(about.classes),
        mean=scale.mean,
        deviation=scale.deviation,
        variant=variant,
        class_names=source.classes,
        notes=source.notes,
    )


def load_image_folder(name: str, folder: Path, request: Request) -> Dataset:
    """The images in a folder of class folders; see `lottery.data.sources.arrange`."""
    return load_images(name, folder_source(folder), request)


def load_image_tar(name: str, path: Path, request: Request) -> Dataset:
    """The images in a tar file of class folders; see `lottery.data.sources.arrange`."""
    return load_images(name, tar_source(path), request)


def describe_image_folder(folder: Path, image_size: int) -> DatasetInfo:
    """A folder's facts from its files' names; of the images, the first one is read."""
    return _described(f"images in {shown(str(folder))}", folder_source(folder), image_size)


def describe_image_tar(path: Path, image_size: int) -> DatasetInfo:
    """A tar file's facts from its members' names; of the images, the first one is decoded."""
    return _described(f"images in {shown(str(path))}", tar_source(path), image_size)


def _described(description: str, source: ImageSource, size: int) -> DatasetInfo:
    shape = (3, size, size) if size else _first_shape(source)
    return DatasetInfo(
        description=description,
        input_shape=shape,
        classes=len(source.classes),
        training_examples=len(source.train),
        test_examples=len(source.test),
    )


def _first_shape(source: ImageSource) -> tuple[int, ...]:
    from lottery.data.images import BadImageError, decode, quiet

    first = next(source.read())
    try:
        if first.contents is None:
            raise BadImageError(first.trouble)
        with quiet():
            return decode(first.contents, 0).shape
    except BadImageError as error:
        raise DataError(f"{first.name}: {error}. Replace or delete it.") from error
