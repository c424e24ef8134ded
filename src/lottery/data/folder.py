"""A dataset as a folder of four IDX files: images and labels, for training and for testing."""

from __future__ import annotations

import os
from pathlib import Path

from lottery.data.dataset import Dataset
from lottery.data.idx import Bytes, Dimensions, read_idx, read_shape
from lottery.data.info import DatasetInfo
from lottery.data.names import shown
from lottery.data.splits import Examples, assemble
from lottery.errors import DataError

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""The four files, by the names that MNIST gave them."""


def dimensions_of(file: str) -> Dimensions:
    """Dimensions of the values in one of ``FILES``: 3 for images, 1 for labels."""
    return 3 if "images" in file else 1


def spellings(file: str) -> list[str]:
    """The names under which one of ``FILES`` is looked for, in order.

    >>> spellings("t10k-labels-idx1-ubyte")[2:6]
    ['t10k-labels.idx1-ubyte', 't10k-labels.idx1-ubyte.gz', 'test-labels-idx1-ubyte', \
'test-labels-idx1-ubyte.gz']
    """
    names = [file, file.replace("-idx", ".idx")]
    if file.startswith("t10k-"):
        names += [name.replace("t10k-", "test-") for name in names]
    return [name + ending for name in names for ending in ("", ".gz")]


def find(folder: Path, file: str) -> Path | None:
    """Where a folder keeps one of ``FILES``, or ``None``.

    Some archives unpack into a directory of the file's name beside the file itself, so a directory
    (or a broken link) is only found where no spelling is a file.
    """
    present = [path for name in spellings(file) if os.path.lexists(path := folder / name)]
    return next(filter(os.path.isfile, present), present[0] if present else None)


def load_folder(name: str, folder: Path, *, validation: int) -> Dataset:
    """The dataset in ``folder``; its classes are 0 to the largest training label.

    Inputs are standardized with the mean and deviation of the training split.

    Args:
        name: what the dataset is called in configs and reports.
        folder: holds the four files, in any of their ``spellings``.
        validation: how many training examples to hold out, by a shuffle that is the same for every
            folder with as many of them, wherever it lies.

    Raises:
        DataError: a file is missing or damaged, or the files do not fit each other.
    """
    train_images, train_labels, test_images, test_labels = _parts(folder)
    training = _examples(train_images, train_labels)
    test = _examples(test_images, test_labels)
    classes = _classes(training.labels, train_labels)
    if training.images.shape[1:] != test.images.shape[1:]:
        raise DataError(
            f"{test_images}: expected images of {_size(training.images)} as in {train_images}, "
            f"got {_size(test.images)}. Use files of one dataset."
        )
    if test.labels.max() >= classes:
        raise DataError(
            f"{test_labels}: expected labels from 0 to {classes - 1}, the largest in "
            f"{train_labels}, got {test.labels.max()}. Use files of one dataset."
        )
    return assemble(
        name, training, test, validation=validation, classes=classes, scale=None, stream="idx"
    )


def describe_folder(folder: Path) -> DatasetInfo:
    """A folder's facts from its headers and its training labels; the images are not read.

    Raises:
        DataError: a file is missing, or what is read of it is damaged.
    """
    train_images, train_labels, test_images, _ = _parts(folder)
    shape = read_shape(train_images, 3)
    return DatasetInfo(
        description=f"IDX files in {shown(str(folder))}",
        input_shape=(1, *shape[1:]),
        classes=_classes(read_idx(train_labels, 1), train_labels),
        training_examples=shape[0],
        test_examples=read_shape(test_images, 3)[0],
    )


def _parts(folder: Path) -> list[Path]:
    """The paths of ``FILES`` in ``folder``."""
    try:
        os.listdir(folder)
    except OSError as error:
        raise DataError(
            f"{folder}: expected a folder of IDX files, but it cannot be read "
            f"({error.strerror or error}). Check the path after 'idx:'."
        ) from error
    found = {file: find(folder, file) for file in FILES}
    missing = [file for file, path in found.items() if path is None]
    if missing:
        raise DataError(
            f"{folder}: expected the four files {', '.join(FILES)} (each may end in .gz), but "
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing. Add what is "
            "missing, or check the path after 'idx:'."
        )
    return [path for path in found.values() if path is not None]


def _examples(images_path: Path, labels_path: Path) -> Examples:
    images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
    if len(images) != len(labels):
        raise DataError(
            f"{labels_path}: expected {len(images):,} labels, one for each image in "
            f"{images_path}, got {len(labels):,}. Use files of one dataset."
        )
    return Examples(images, labels)


def _classes(labels: Bytes, path: Path) -> int:
    classes = int(labels.max()) + 1
    if classes < 2:
        raise DataError(
            f"{path}: expected labels of at least 2 classes, got only 0. Check the file."
        )
    return classes


def _size(images: Bytes) -> str:
    return " x ".join(map(str, images.shape[1:]))
