"""A dataset as a folder of four IDX files: inputs and labels, for training and for testing."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from lottery.data.arrays import checked_dataset
from lottery.data.dataset import Dataset
from lottery.data.idx import Role, read_idx
from lottery.data.request import Request
from lottery.data.splits import Examples
from lottery.errors import DataError

FILES: Final = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""The four files, by the names that MNIST gave them."""


def role_of(file: str) -> Role:
    """What one of ``FILES`` holds."""
    return "inputs" if "images" in file else "labels"


def find(folder: Path, file: str) -> Path | None:
    """The path of one of ``FILES`` in a folder, or None.

    Other spellings are found too: ``test`` for ``t10k``, a dot for the second hyphen, other numbers
    of dimensions and types, and ``.gz`` at the end. Some archives unpack into a directory of the
    file's name beside the file itself, so a directory (or a broken link) is returned only if no
    spelling is a file.
    """
    begin = file.partition("-idx")[0].replace("t10k", "(t10k|test)")
    spelling = re.compile(rf"{begin}(?P<sign>[-.])idx\d-[a-z]+\d*(?P<packed>\.gz)?")
    try:
        names = filter(spelling.fullmatch, os.listdir(folder))
    except OSError:
        return None
    # As it is in MNIST, then with other signs, packed last.
    names_in_order = sorted(
        names, key=lambda name: (name[:4] == "test", ".idx" in name, name.endswith(".gz"), name)
    )
    present = [folder / name for name in names_in_order]
    return next(filter(os.path.isfile, present), present[0] if present else None)


def load_idx_folder(name: str, folder: Path, request: Request) -> Dataset:
    """The dataset in ``folder``; its classes are 0 to the largest training label.

    Bytes are standardized with mean and deviation of the training split; floats are used as they
    are. Inputs of three dimensions are images without a channel dimension, and get one.

    Args:
        name: what the dataset is called in configs and reports.
        folder: holds the four files, in any spelling that `find` knows.
        request: how many training examples to hold out, by a shuffle that is the same for every
            folder with as many of them, wherever it lies.

    Raises:
        DataError: a file is missing or damaged, or the files do not fit each other.
    """
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
            f"{folder}: expected the four files {', '.join(FILES)} (or of other "
            f"dimensions and types, and each may end in .gz), but {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing. Add what is missing, or check the "
            "path after 'idx:'."
        )
    values = [read_idx(path, role_of(file)) for file, path in found.items() if path is not None]
    for at in (0, 2):
        if values[at].ndim == 3:
            values[at] = values[at][:, None]
    training, test = Examples(values[0], values[1]), Examples(values[2], values[3])
    return checked_dataset(name, training, test, validation=request.validation, stream="idx")
