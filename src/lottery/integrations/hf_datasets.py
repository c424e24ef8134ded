"""Datasets of images or numbers, loaded by the package ``datasets`` of Hugging Face.

They come from that package's cache or are downloaded by it, as it is configured. Images are taken
encoded, so that the package does not decode them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lottery.errors import DataError, UsageError, describe_error, format_names
from lottery.integrations.extra import import_extra

_TEST_PARTS: Final = ("test", "validation", "valid", "val")
_IMAGE_VALUES: Final = frozenset({"binary", "large_binary", "string", "large_string"})
_WHOLE_VALUES: Final = frozenset(
    {"bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}
)
_CLASS_VALUES: Final = _WHOLE_VALUES | {"string", "large_string"}
_NUMBER_VALUES: Final = _WHOLE_VALUES | {"float16", "float32", "float64"}
_LARGEST_FILE: Final = 2**25


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a dataset.

    Args:
        fingerprint: changes when the data do.
        labels: class of each example.
        rows: the package's table, with images not decoded.
        columns: the column of images, or the columns of numbers.
    """

    fingerprint: str
    labels: tuple[int, ...]
    rows: Any
    columns: tuple[str, ...]

    def images(self) -> Iterator[bytes | None]:
        """Each example's encoded image, in order; None if there is none or it is too large."""
        for row in self.rows:
            image = row[self.columns[0]] or {}
            yield image.get("bytes") or _from_file(image.get("path"))

    def numbers(self) -> NDArray[np.float64]:
        """Each example's numbers, float64 ``[N, columns]``; NaN where one is missing."""
        return np.stack([np.array(list(self.rows[c]), np.float64) for c in self.columns], axis=1)


@dataclass(frozen=True, kw_only=True)
class Tables:
    """A dataset: its parts, the names of its classes, and notes on what is left out.

    Its examples are images, or else numbers.
    """

    train: Part
    test: Part | None
    classes: tuple[str, ...]
    has_images: bool
    notes: tuple[str, ...] = ()


def open_tables(name: str, *, image_column: str = "", label_column: str = "") -> Tables:
    """Load a dataset of Hugging Face.

    If no column holds images and none is named, examples are the numbers of all numeric columns but
    that of the classes. The part ``train`` is trained on. The test set is the part ``test``, or
    else ``validation``; None if there is neither. A part in which no example has a class, as in a
    competition, is left out with a note; one in which only some have none is an error.

    Args:
        name: of the dataset there, or a folder that the package can read; after a colon there may
            be the name of one of its configurations.
        image_column: the column with the images; if empty, the only one of that type.
        label_column: the column with the classes; if empty, the only one of that type.

    Raises:
        MissingPackageError: the package ``datasets`` is not installed.
        DataError: the dataset cannot be loaded, or an example has no class or one that training
            examples do not have.
        UsageError: there is no such column, it holds something else, or one of several has to be
            named.
    """
    what = f"hf:{name}"
    package, found = _loaded(what, name)
    if "train" not in found:
        raise DataError(f"{what}: expected a part 'train', got {', '.join(map(str, found))}.")
    features = found["train"].features
    label_column = label_column or _only(what, features, "ClassLabel", "label_column")
    columns, has_images = _numeric_columns(features, label_column), False
    if image_column or any(type(feature).__name__ == "Image" for feature in features.values()):
        has_images = True
        columns = (image_column or _only(what, features, "Image", "image_column"),)
    elif not columns:
        raise UsageError(
            f"{what}: expected a column of images, or some of numbers; there are "
            f"{_columns(features)}. For text name a function of yours, data.name = "
            "'package.module:function', that gives token ids, int64 [N, length]"
        )
    _check_columns(what, "train", features, columns, label_column, has_images)
    classes, numbers = _classes(features[label_column], found["train"][label_column])

    def part(key: str) -> Part | None:
        _check_columns(what, key, found[key].features, columns, label_column, has_images)
        labels = _labels(what, key, found[key][label_column], numbers)
        if labels is None:
            return None
        rows = found[key]
        if has_images:
            rows = rows.cast_column(columns[0], package.Image(decode=False))
        fingerprint = str(getattr(found[key], "_fingerprint", ""))
        return Part(fingerprint=fingerprint, labels=labels, rows=rows, columns=columns)

    train = part("train")
    if not train:
        raise DataError(f"{what}: expected a class for each training example, none has one.")
    if len(classes) < 2:
        raise DataError(f"{what}: expected at least 2 classes in '{label_column}', got 1.")
    others = [name for name in features if name not in (*columns, label_column)]
    notes = []
    if not has_images:
        passed_over = f"; passed over: {format_names(others)}" if others else ""
        notes.append(f"{what}: an example is its {format_names(columns)}{passed_over}")
    for key in filter(found.__contains__, _TEST_PARTS):
        if test := part(key):
            break
        notes.append(f"{what}: no example of its part '{key}' has a class, so it does not measure")
    else:
        test = None
    return Tables(
        train=train, test=test, classes=classes, has_images=has_images, notes=tuple(notes)
    )


def _numeric_columns(features: Mapping[str, Any], label_column: str) -> tuple[str, ...]:
    return tuple(
        name
        for name, feature in features.items()
        if name != label_column
        and type(feature).__name__ == "Value"
        and feature.dtype in _NUMBER_VALUES
    )


def _loaded(what: str, name: str) -> tuple[Any, Mapping[str, Any]]:
    """The package, and the parts of a dataset by their names."""
    datasets = import_extra("datasets", extra="datasets", what=f"the dataset '{what}'")
    path, _, configuration = name.partition(":")
    try:
        return datasets, datasets.load_dataset(path, configuration or None)
    except Exception as error:  # its own errors have no common class
        raise DataError(
            f"{what}: the package 'datasets' cannot load it ({describe_error(error)}). "
            "Check the name and the network, or load it once where there is one: it is kept "
            "in that package's cache."
        ) from error


def _check_columns(
    what: str,
    part: str,
    features: Mapping[str, Any],
    columns: Iterable[str],
    label_column: str,
    has_images: bool,
) -> None:
    """Check that a part has all columns, and that they hold images, or numbers, and classes.

    Raises:
        UsageError: one is missing or holds something else.
    """
    inputs: tuple[str, frozenset[str], str] = ("", _NUMBER_VALUES, "numbers")
    if has_images:
        inputs = ("Image", _IMAGE_VALUES, "images or files' bytes or paths")
    classes = ("ClassLabel", _CLASS_VALUES, "classes, integers or text")
    for column, key, (kind, dtypes, wanted) in (
        *((column, "image_column", inputs) for column in columns),
        (label_column, "label_column", classes),
    ):
        if column not in features:
            raise UsageError(
                f"{what}: no column '{column}' in its part '{part}'; there are {_columns(features)}"
            )
        feature = features[column]
        name, dtype = type(feature).__name__, str(getattr(feature, "dtype", ""))
        if name != kind and not (name == "Value" and dtype in dtypes):
            raise UsageError(
                f"{what}: expected {wanted} in the column '{column}' (data.{key}), got "
                f"{_kind(feature)}; there are {_columns(features)}"
            )


def _classes(feature: Any, values: Iterable[Any]) -> tuple[tuple[str, ...], dict[Any, int]]:
    """The classes' names, and value in the column -> number of its class."""
    names = getattr(feature, "names", None)
    if names:  # values are numbers already
        return tuple(names), {number: number for number in range(len(names))}
    known = sorted({value for value in values if value is not None})
    return tuple(map(str, known)), {value: number for number, value in enumerate(known)}


def _labels(
    what: str, part: str, values: Iterable[Any], numbers: Mapping[Any, int]
) -> tuple[int, ...] | None:
    """The class of each example of a part; None if no example has one.

    Raises:
        DataError: some have none, or one that is not known.
    """
    column = list(values)
    bad = [row for row, value in enumerate(column) if value not in numbers]
    if all(column[row] in (None, -1) for row in bad) and len(bad) == len(column):
        return None  # none is there, or none has a class
    if bad:
        few = ", ".join(f"{row:,} ({column[row]!r})" for row in bad[:5])
        raise DataError(
            f"{what}: expected a class of the training examples for each example of its part "
            f"'{part}', but {len(bad):,} of {len(column):,} "
            f"{'has' if len(bad) == 1 else 'have'} another or none: example {few}"
            f"{', ...' if len(bad) > 5 else ''}. Mend the dataset, or leave these examples out."
        )
    return tuple(numbers[value] for value in column)


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
    return ", ".join(f"{name} ({_kind(feature)})" for name, feature in features.items())


def _kind(feature: Any) -> str:
    """The type of a column, such as ``ClassLabel`` or ``Value int64``."""
    dtype = str(getattr(feature, "dtype", "")) if type(feature).__name__ == "Value" else ""
    return f"{type(feature).__name__} {dtype}".strip()


def _from_file(path: str | None) -> bytes | None:
    """What is in an image's file, for datasets that hold the path alone."""
    if not path or not os.path.isfile(path) or os.path.getsize(path) > _LARGEST_FILE:
        return None
    with open(path, "rb") as file:
        return file.read(_LARGEST_FILE)
