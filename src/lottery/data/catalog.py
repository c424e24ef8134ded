"""Datasets by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lottery.data.dataset import Dataset
from lottery.data.folder import describe_folder, load_folder
from lottery.data.info import DatasetInfo
from lottery.data.known import FASHION_MNIST, MNIST, load_known
from lottery.data.mnist_5k import load_mnist_5k
from lottery.errors import UsageError, unknown_name

FOLDER_PREFIX: Final = "idx:"
"""What a dataset's name begins with where the rest is a folder of IDX files."""

Loader = Callable[[int, Path | None, bool], Dataset]
"""(validation examples, data directory, show progress) -> the dataset."""


@dataclass(frozen=True, kw_only=True)
class CatalogEntry:
    """A named dataset.

    Args:
        info: its facts, known without loading it.
        load: loads it.
    """

    info: DatasetInfo
    load: Loader


DATASETS: Final[dict[str, CatalogEntry]] = {
    "mnist": CatalogEntry(
        info=DatasetInfo(
            description="MNIST, 70,000 handwritten digits; found locally or downloaded",
            input_shape=(1, 28, 28),
            classes=10,
            training_examples=60_000,
            test_examples=10_000,
        ),
        load=lambda validation, data_dir, progress: load_known(
            MNIST, validation=validation, data_dir=data_dir, progress=progress
        ),
    ),
    "mnist-5k": CatalogEntry(
        info=DatasetInfo(
            description="5,000 MNIST digits that come with lottery; hold out 500 or so",
            input_shape=(1, 28, 28),
            classes=10,
            training_examples=4_000,
            test_examples=1_000,
        ),
        load=lambda validation, _data_dir, _progress: load_mnist_5k(validation=validation),
    ),
    "fashion-mnist": CatalogEntry(
        info=DatasetInfo(
            description="Fashion-MNIST, 70,000 pieces of clothing; found locally or downloaded",
            input_shape=(1, 28, 28),
            classes=10,
            training_examples=60_000,
            test_examples=10_000,
        ),
        load=lambda validation, data_dir, progress: load_known(
            FASHION_MNIST, validation=validation, data_dir=data_dir, progress=progress
        ),
    ),
}
"""Name in a config -> dataset; besides these there is ``idx:FOLDER``."""


def check_dataset(name: str) -> str | None:
    """What is wrong with a dataset's name, or None; whether a folder is there is not looked at."""
    if name.startswith(FOLDER_PREFIX):
        path = name.removeprefix(FOLDER_PREFIX)
        if not path.strip() or "\0" in path:
            return f"expected a folder after '{FOLDER_PREFIX}', such as idx:data/digits"
        return None
    return None if name in DATASETS else unknown_name("dataset", name, [*DATASETS, "idx:FOLDER"])


def folder_of(name: str) -> Path | None:
    """The folder in a dataset's name (``~`` is the home directory), or None where it has none.

    >>> str(folder_of("idx:digits")), folder_of("mnist")
    ('digits', None)
    """
    if not name.startswith(FOLDER_PREFIX):
        return None
    # Unlike Path.expanduser, this leaves the home of an unknown user as it is written.
    return Path(os.path.expanduser(name.removeprefix(FOLDER_PREFIX)))


def describe_dataset(name: str) -> DatasetInfo:
    """A dataset's facts without loading it: of a folder, headers and training labels are read.

    Raises:
        UsageError: no such dataset.
        DataError: the folder is not one of four IDX files.

    >>> describe_dataset("mnist").training_examples
    60000
    """
    problem = check_dataset(name)
    if problem:
        raise UsageError(problem)
    folder = folder_of(name)
    return describe_folder(folder) if folder is not None else DATASETS[name].info


def load_named(name: str, *, validation: int, data_dir: Path | None, progress: bool) -> Dataset:
    """Load a dataset whose name has been checked."""
    folder = folder_of(name)
    if folder is not None:
        return load_folder(name, folder, validation=validation)
    return DATASETS[name].load(validation, data_dir, progress)
