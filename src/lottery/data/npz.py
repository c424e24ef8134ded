"""A dataset as one NPZ file of arrays, or as a folder of NPZ and NPY files; no pickle is read."""

from __future__ import annotations

import os
import re
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lottery.data.arrays import as_examples, checked_dataset
from lottery.data.dataset import Dataset
from lottery.data.plain_files import (
    MAX_EXPANSION,
    FileError,
    first_names,
    open_plain,
    unpacked_limit,
)
from lottery.data.request import Request
from lottery.errors import DataError

_WORDS: Final = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
    "inputs": ("x", "inputs", "images", "data", "features"),
    "targets": ("y", "targets", "labels"),
}
_MEANING: Final = {word: meaning for meaning, words in _WORDS.items() for word in words}
# RuntimeError is zipfile's for an encrypted file and for a compression that it does not know.
_DAMAGE: Final = (
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError, RuntimeError),
    *(ValueError, EOFError, KeyError, MemoryError),
)
_Key = tuple[str, ...]


def load_npz(name: str, place: Path, request: Request) -> Dataset:
    """The dataset in an NPZ file, or in a folder of NPZ and NPY files.

    Arrays are recognized by the words in their names: ``x_train``, ``y_train``, ``x_test``,
    ``y_test``, ``train_images``, ``test_labels``, ``X_val`` and so on; in a folder the name of the
    file counts too, such as ``train.npz`` with ``x`` and ``y``. Other arrays are ignored. For
    shapes and types see `lottery.data.arrays.as_examples`.

    Args:
        name: what it is called in configs and reports.
        place: the file or folder.
        request: how many training examples to hold out where there are no validation examples.

    Raises:
        DataError: a file cannot be read or is damaged, arrays are missing or of objects, or
            `lottery.data.arrays.checked_dataset` refuses them.
    """
    found: dict[_Key, NDArray[Any]] = {}
    for path in _files(place):
        for key, values in _arrays(path, "" if path == place else f"{path.stem}_"):
            if key in found:
                raise DataError(f"{place}: expected one array of {' '.join(key)}, got two.")
            found[key] = values
    parts = ["train", "test", *(["validation"] if ("validation", "inputs") in found else [])]
    missing = [
        f"{'x' if role == 'inputs' else 'y'}_{part}"
        for part in parts
        for role in ("inputs", "targets")
        if (part, role) not in found
    ]
    if missing:
        raise DataError(
            f"{place}: expected arrays x_train, y_train, x_test and y_test, or the like, but "
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; there are "
            f"{first_names([' '.join(key) for key in found]) or 'none'}."
        )
    examples = {
        part: as_examples(f"{name}: {part}", found[part, "inputs"], found[part, "targets"])
        for part in parts
    }
    return checked_dataset(
        name,
        examples["train"],
        examples["test"],
        examples.get("validation"),
        validation=request.validation,
        stream="npz",
    )


def _files(place: Path) -> list[Path]:
    """A file, or the NPZ and NPY files in a folder."""
    if not os.path.isdir(place):
        return [place]
    try:
        return sorted(path for path in place.iterdir() if path.suffix in (".npz", ".npy"))
    except OSError as error:
        raise DataError(
            f"{place}: expected a folder of NPZ and NPY files, but it cannot be read "
            f"({error.strerror or error}). Check that you may read it."
        ) from error


def _arrays(path: Path, prefix: str) -> Iterator[tuple[_Key, NDArray[Any]]]:
    """The arrays in a file whose names say what they are."""
    with open_plain(path, "an NPZ or NPY file", _DAMAGE) as file:
        if path.suffix == ".npy":
            if key := _key(path.stem):
                yield key, np.load(file, allow_pickle=False)
            return
        with zipfile.ZipFile(file) as packed:
            unpacked = sum(member.file_size for member in packed.infolist())
        if unpacked > unpacked_limit(path.stat().st_size):
            raise FileError(path, f"unpacked it is more than {MAX_EXPANSION} times as large")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            for name in arrays.files:
                if key := _key(f"{prefix}{name}"):
                    yield key, arrays[name]


def _key(name: str) -> _Key:
    """Part and role of an array; empty if its name does not say both.

    >>> _key("X_train"), _key("valid_labels"), _key("train")
    (('train', 'inputs'), ('validation', 'targets'), ())
    """
    meanings = {_MEANING[word] for word in re.findall("[a-z]+", name.lower()) if word in _MEANING}
    part = meanings & {"train", "validation", "test"}
    role = meanings & {"inputs", "targets"}
    return (*part, *role) if len(part) == len(role) == 1 else ()
