"""Datasets by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NoReturn

import torch

from lottery.data.checksums import FASHION_MNIST, MNIST, KnownDataset, load_known
from lottery.data.cifar import CIFAR_10, CIFAR_100, BinaryArchive, load_cifar
from lottery.data.dataset import Dataset, Split
from lottery.data.hf_tables import load_hf
from lottery.data.idx_folder import load_idx_folder
from lottery.data.image_cache import load_images
from lottery.data.mnist_5k import load_mnist_5k
from lottery.data.npz import load_npz
from lottery.data.own_data import load_own
from lottery.data.request import Request
from lottery.data.sources import folder_source, tar_source
from lottery.errors import DataError, UsageError, unknown_name
from lottery.import_paths import is_import_path


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What is known of a dataset before it is loaded.

    Args:
        description: one line for a listing.
        input_shape: shape of one example, such as ``(1, 28, 28)``.
        classes: number of classes.
        training_examples: how many there are, validation examples included.
        test_examples: how many test examples there are.
        load: loads it.
    """

    description: str
    input_shape: tuple[int, ...]
    classes: int
    training_examples: int
    test_examples: int
    load: Callable[[Request], Dataset]


@dataclass(frozen=True, kw_only=True)
class DatasetKind:
    """Datasets whose names say where they are: a prefix, and then a place.

    Args:
        form: how such a name is written, for listings.
        what: one line for a listing.
        place: what follows the prefix, such as "a folder".
        example: a whole name.
        load: (whole name, what follows the prefix, how it is to be loaded) -> the dataset.
        extra_keys: keys of the config that have a meaning for this kind and not for every dataset.
    """

    form: str
    what: str
    place: str
    example: str
    load: Callable[[str, str, Request], Dataset]
    extra_keys: frozenset[str] = frozenset()


def _mnist_like(dataset: KnownDataset, what: str) -> DatasetInfo:
    """A dataset of the size of MNIST."""
    return DatasetInfo(
        description=f"{what}; found locally or downloaded",
        input_shape=(1, 28, 28),
        classes=dataset.classes,
        training_examples=60_000,
        test_examples=10_000,
        load=lambda request: load_known(dataset, request),
    )


def _cifar(archive: BinaryArchive, what: str) -> DatasetInfo:
    return DatasetInfo(
        description=f"{what}; found locally or downloaded",
        input_shape=(3, 32, 32),
        classes=archive.classes,
        training_examples=sum(archive.train.values()),
        test_examples=sum(archive.test.values()),
        load=lambda request: load_cifar(archive, request),
    )


DATASETS: Final[dict[str, DatasetInfo]] = {
    "mnist": _mnist_like(MNIST, "MNIST, 70,000 handwritten digits"),
    "mnist-5k": DatasetInfo(
        description="5,000 MNIST digits that come with lottery; hold out 500 or so",
        input_shape=(1, 28, 28),
        classes=10,
        training_examples=4_000,
        test_examples=1_000,
        load=load_mnist_5k,
    ),
    "fashion-mnist": _mnist_like(FASHION_MNIST, "Fashion-MNIST, 70,000 pieces of clothing"),
    "cifar-10": _cifar(CIFAR_10, "CIFAR-10, 60,000 small photographs"),
    "cifar-100": _cifar(CIFAR_100, "CIFAR-100, the same size, 100 classes"),
}
"""Name in a config -> dataset; besides these there are `DATASET_KINDS`."""

FEW: Final = "few:"
"""How the name of a dataset with few test examples begins; the name of the whole follows."""
FEW_TESTS: Final = 100
"""How many test examples are left of one, at most."""
OWN: Final = "package.module:function"
"""Form of the name of a function that returns data."""
OWN_ABOUT: Final = "Data that a function of yours returns; a config that names code runs that code"
"""What such a name stands for, for a listing."""


def path_of(place: str) -> Path:
    """A path as a user writes it; ``~`` is the home directory.

    >>> str(path_of("data/digits"))
    'data/digits'
    """
    # Unlike Path.expanduser, this leaves the home of an unknown user as it is written.
    return Path(os.path.expanduser(place))


def with_few_tests(dataset: Dataset, name: str) -> Dataset:
    """The same dataset with at most `FEW_TESTS` test examples.

    They are evenly spaced, so that a test set that is sorted by class keeps many classes. Training
    and validation examples are the same.

    Args:
        dataset: the whole dataset.
        name: of the result.
    """
    count = len(dataset.test)
    kept = min(count, FEW_TESTS)
    chosen = (torch.arange(kept) * count) // max(kept, 1)
    test = Split(inputs=dataset.test.inputs[chosen], targets=dataset.test.targets[chosen])
    return replace(dataset, name=name, test=test)


def _not_passed(name: str, *_: object) -> NoReturn:
    raise DataError(
        f"{name}: these data were passed to a call from Python; make that call again: "
        "lottery.run_experiment(config, options, data=...)"
    )


DATASET_KINDS: Final[dict[str, DatasetKind]] = {
    "idx:": DatasetKind(
        form="idx:FOLDER",
        what="Any folder of four IDX files",
        place="a folder",
        example="idx:data/digits",
        load=lambda name, place, request: load_idx_folder(name, path_of(place), request),
    ),
    "npz:": DatasetKind(
        form="npz:PATH",
        what="An NPZ file with x_train, y_train, x_test and y_test, or a folder of such arrays",
        place="a file or folder",
        example="npz:data/digits.npz",
        load=lambda name, place, request: load_npz(name, path_of(place), request),
    ),
    "python:": DatasetKind(
        form="python:NAME",
        what="Data that you pass to a call from Python, under a name of your choice",
        place="a name",
        example="python:sensors",
        load=_not_passed,
    ),
    "folder:": DatasetKind(
        form="folder:FOLDER",
        what="Images in class folders, train/CLASS/ and test/CLASS/ or CLASS/ alone",
        place="a folder",
        example="folder:data/flowers",
        load=lambda name, place, request: load_images(name, folder_source(path_of(place)), request),
        extra_keys=frozenset({"image_size"}),
    ),
    "tar:": DatasetKind(
        form="tar:FILE",
        what="A tar file, compressed or not, of images in class folders",
        place="a file",
        example="tar:data/flowers.tar.gz",
        load=lambda name, place, request: load_images(name, tar_source(path_of(place)), request),
        extra_keys=frozenset({"image_size"}),
    ),
    "hf:": DatasetKind(
        form="hf:NAME",
        what="Images or numeric columns of Hugging Face; needs pip install 'lottery[datasets]'",
        place="a name",
        example="hf:cifar10",
        load=load_hf,
        extra_keys=frozenset({"image_size", "image_column", "label_column"}),
    ),
    FEW: DatasetKind(
        form="few:DATASET",
        what=f"Any of these with {FEW_TESTS} of its test examples, to try things out",
        place="a dataset",
        example="few:cifar-10",
        load=lambda name, whole, request: with_few_tests(load_named(whole, request), name),
    ),
}
"""How a name begins -> what follows; any other name with a colon is of the form `OWN`."""


def _kind_of(name: str) -> tuple[DatasetKind, str] | None:
    """The kind of a dataset whose name has a prefix, and what follows that."""
    for prefix, kind in DATASET_KINDS.items():
        if name.startswith(prefix):
            return kind, name.removeprefix(prefix)
    return None


def check_dataset(name: str) -> str | None:
    """What is wrong with a dataset's name, or None; whether the data exist is not checked.

    >>> check_dataset("mnist"), check_dataset("my_package.flowers:load")
    (None, None)
    """
    if name.startswith(FEW):
        return check_dataset(name.removeprefix(FEW))
    found = _kind_of(name)
    if found is None:
        choices = [*DATASETS, *(kind.form for kind in DATASET_KINDS.values()), OWN]
        known = name in DATASETS or is_import_path(name)
        return None if known else unknown_name("dataset", name, choices)
    kind, place = found
    if not place.strip() or "\0" in place:
        prefix = name.removesuffix(place)
        return f"expected {kind.place} after '{prefix}', such as {kind.example}"
    return None


def accepts_key(name: str, key: str) -> bool:
    """Whether a key that is not for every dataset has a meaning for this one.

    >>> accepts_key("folder:flowers", "image_size"), accepts_key("mnist", "image_size")
    (True, False)
    """
    found = _kind_of(name.removeprefix(FEW))
    return found is not None and key in found[0].extra_keys


def describe_dataset(name: str) -> DatasetInfo:
    """What is known of a named dataset without loading it.

    Args:
        name: one of `DATASETS`, with or without the prefix `FEW`.

    Raises:
        UsageError: it is another one, about which nothing is known before it is loaded.

    >>> describe_dataset("mnist").training_examples
    60000
    """
    whole = name.removeprefix(FEW)
    if whole not in DATASETS:
        problem = check_dataset(name)
        raise UsageError(problem or f"what '{name}' holds is known only once it is loaded; load it")
    info = DATASETS[whole]
    if whole == name:
        return info
    return replace(
        info,
        description=f"{info.description}; few of its test examples",
        test_examples=min(info.test_examples, FEW_TESTS),
    )


def load_named(name: str, request: Request) -> Dataset:
    """Load a dataset whose name has been checked."""
    found = _kind_of(name)
    if found is not None:
        kind, place = found
        return kind.load(name, place, request)
    if name in DATASETS:
        return DATASETS[name].load(request)
    return load_own(name, request)
