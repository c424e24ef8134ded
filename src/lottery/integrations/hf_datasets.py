"""Datasets of images by way of the package ``datasets`` of Hugging Face.

They come from that package's cache or are downloaded by it, the way it is set up. Images are taken
as they are encoded, so that it is not the package that decodes them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lottery.errors import DataError, UsageError
from lottery.integrations.extra import import_extra

_TEST_PARTS: Final = ("test", "validation", "valid", "val")
_LARGEST_FILE: Final = 2**25


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a dataset.

    Args:
        fingerprint: changes when the data do.
        labels: class of each example.
        rows: the package's table, whose images are not decoded.
        column: the one with the images.
    """

    fingerprint: str
    labels: tuple[int, ...]
    rows: Any
    column: str

    def images(self) -> Iterator[bytes | None]:
        """Each example's encoded image, in order; None where there is none or it is too large."""
        for row in self.rows:
            image = row[self.column] or {}
            yield image.get("bytes") or _from_file(image.get("path"))


@dataclass(frozen=True, kw_only=True)
class Tables:
    """A dataset: its parts, and the names of its classes."""

    train: Part
    test: Part | None
    classes: tuple[str, ...]


def open_tables(name: str, *, image_column: str = "", label_column: str = "") -> Tables:
    """A dataset of Hugging Face.

    Its part ``train`` is learned from. What measures is ``test``, or else ``validation``, if its
    examples have labels; None if there is no such part.

    Args:
        name: of the dataset there, or a folder that the package can read; after a colon there may
            be the name of one of its configurations.
        image_column: the column with the images; if empty, the only one of that type.
        label_column: the column with the classes; if empty, the only one of that type.

    Raises:
        MissingPackageError: the package ``datasets`` is not installed.
        DataError: the dataset cannot be loaded, or has no images or no labels.
        UsageError: there is no such column, or it has to be said which is meant.
    """
    what = f"hf:{name}"
    package, found = _loaded(what, name)
    if "train" not in found:
        raise DataError(f"{what}: expected a part 'train', got {', '.join(map(str, found))}.")
    features = found["train"].features
    image_column = image_column or _only(what, features, "Image", "image_column")
    label_column = label_column or _only(what, features, "ClassLabel", "label_column")
    for column in (image_column, label_column):
        if column not in features:
            raise UsageError(f"{what}: no column '{column}'; there are {_columns(features)}")
    classes, numbers = _classes(features[label_column], found["train"][label_column])

    def part(key: str) -> Part | None:
        labels = [numbers.get(label, -1) for label in found[key][label_column]]
        if not labels or min(labels) < 0:
            return None
        return Part(
            fingerprint=str(getattr(found[key], "_fingerprint", "")),
            labels=tuple(labels),
            rows=found[key].cast_column(image_column, package.Image(decode=False)),
            column=image_column,
        )

    train = part("train")
    if train is None:
        raise DataError(f"{what}: expected a class for each training example, some have none.")
    tests = (part(key) for key in _TEST_PARTS if key in found)
    return Tables(train=train, test=next(filter(None, tests), None), classes=classes)


def _loaded(what: str, name: str) -> tuple[Any, Mapping[str, Any]]:
    """The package, and the parts of a dataset by their names."""
    datasets = import_extra("datasets", extra="datasets", what=f"the dataset '{what}'")
    path, _, configuration = name.partition(":")
    try:
        return datasets, datasets.load_dataset(path, configuration or None)
    except (OSError, ValueError, RuntimeError, LookupError) as error:
        raise DataError(
            f"{what}: the package 'datasets' cannot load it ({error}). Check the name and the "
            "network, or load it once where there is one: it is kept in that package's cache."
        ) from error


def _classes(feature: Any, values: Iterable[Any]) -> tuple[tuple[str, ...], dict[Any, int]]:
    """The classes' names, and value in the column -> number of its class."""
    names = getattr(feature, "names", None)
    if names:  # values are numbers already
        return tuple(names), {number: number for number in range(len(names))}
    known = sorted({value for value in values if value is not None})
    return tuple(map(str, known)), {value: number for number, value in enumerate(known)}


def _only(what: str, features: Mapping[str, Any], kind: str, key: str) -> str:
    """The one column of a type."""
    found = [name for name, feature in features.items() if type(feature).__name__ == kind]
    if len(found) != 1:
        raise UsageError(
            f"{what}: expected one column of type {kind}, got {len(found)}; say which is meant "
            f"with data.{key}. There are {_columns(features)}"
        )
    return found[0]


def _columns(features: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} ({type(feature).__name__})" for name, feature in features.items())


def _from_file(path: str | None) -> bytes | None:
    """What is in an image's file, for datasets that hold the path alone."""
    if not path or not os.path.isfile(path) or os.path.getsize(path) > _LARGEST_FILE:
        return None
    with open(path, "rb") as file:
        return file.read(_LARGEST_FILE)
