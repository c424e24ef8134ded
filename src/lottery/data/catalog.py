"""Datasets by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lottery.data.cifar import CIFAR_10, CIFAR_100, BinaryArchive, load_cifar
from lottery.data.dataset import Dataset
from lottery.data.few import FEW_TESTS, with_few_tests
from lottery.data.folder import describe_folder, load_folder
from lottery.data.image_sets import (
    describe_image_folder,
    describe_image_tar,
    load_image_folder,
    load_image_tar,
)
from lottery.data.info import DatasetInfo
from lottery.data.known import FASHION_MNIST, MNIST, KnownDataset, load_known
from lottery.data.mnist_5k import load_mnist_5k
from lottery.data.request import Request
from lottery.data.tables import load_hf
from lottery.errors import UsageError, unknown_name

Loader = Callable[[Request], Dataset]
"""How it is wanted -> the dataset."""


@dataclass(frozen=True, kw_only=True)
class CatalogEntry:
    """A named dataset.

    Args:
        info: its facts, known without loading it.
        load: loads it.
    """

    info: DatasetInfo
    load: Loader


@dataclass(frozen=True, kw_only=True)
class DatasetKind:
    """Datasets whose names say where they are: a prefix, and then a place.

    Args:
        form: how such a name is written, for listings.
        what: one line for a listing.
        place: what follows the prefix, such as "a folder".
        example: a whole name.
        load: (whole name, what follows the prefix, how it is wanted) -> the dataset.
        describe: (what follows the prefix, image size) -> its facts; None where they are known
            only once it is loaded.
        takes: which keys of the config beyond those for every dataset have a meaning.
    """

    form: str
    what: str
    place: str
    example: str
    load: Callable[[str, str, Request], Dataset]
    describe: Callable[[str, int], DatasetInfo] | None
    takes: frozenset[str] = frozenset()


def _mnist_like(dataset: KnownDataset, what: str) -> CatalogEntry:
    """A dataset of the size of MNIST."""
    return CatalogEntry(
        info=DatasetInfo(
            description=f"{what}; found locally or downloaded",
            input_shape=(1, 28, 28),
            classes=dataset.classes,
            training_examples=60_000,
            test_examples=10_000,
        ),
        load=lambda request: load_known(
            dataset,
            validation=request.validation,
            data_dir=request.data_dir,
            progress=request.progress,
            fetch=request.download,
        ),
    )


def _cifar(archive: BinaryArchive, what: str) -> CatalogEntry:
    return CatalogEntry(
        info=DatasetInfo(
            description=f"{what}; found locally or downloaded",
            input_shape=(3, 32, 32),
            classes=archive.classes,
            training_examples=sum(archive.train.values()),
            test_examples=sum(archive.test.values()),
        ),
        load=lambda request: load_cifar(archive, request),
    )


DATASETS: Final[dict[str, CatalogEntry]] = {
    "mnist": _mnist_like(MNIST, "MNIST, 70,000 handwritten digits"),
    "mnist-5k": CatalogEntry(
        info=DatasetInfo(
            description="5,000 MNIST digits that come with lottery; hold out 500 or so",
            input_shape=(1, 28, 28),
            classes=10,
            training_examples=4_000,
            test_examples=1_000,
        ),
        load=lambda request: load_mnist_5k(validation=request.validation),
    ),
    "fashion-mnist": _mnist_like(FASHION_MNIST, "Fashion-MNIST, 70,000 pieces of clothing"),
    "cifar-10": _cifar(CIFAR_10, "CIFAR-10, 60,000 small photographs"),
    "cifar-100": _cifar(CIFAR_100, "CIFAR-100, the same size, 100 classes"),
}
"""Name in a config -> dataset; besides these there are `DATASET_KINDS`."""


def path_of(place: str) -> Path:
    """A path as a user writes it; ``~`` is the home directory.

    >>> str(path_of("data/digits"))
    'data/digits'
    """
    # Unlike Path.expanduser, this leaves the home of an unknown user as it is written.
    return Path(os.path.expanduser(place))


FEW: Final = "few:"
"""How the name of a dataset with few test examples begins; the name of the whole follows."""


def _describe_few(name: str, size: int) -> DatasetInfo:
    info = describe_dataset(name, image_size=size)
    return replace(
        info,
        description=f"{info.description}; few of its test examples",
        test_examples=min(info.test_examples, FEW_TESTS),
    )


DATASET_KINDS: Final[dict[str, DatasetKind]] = {
    "idx:": DatasetKind(
        form="idx:FOLDER",
        what="Any folder of four IDX files",
        place="a folder",
        example="idx:data/digits",
        load=lambda name, place, request: load_folder(
            name, path_of(place), validation=request.validation
        ),
        describe=lambda place, _size: describe_folder(path_of(place)),
    ),
    "folder:": DatasetKind(
        form="folder:FOLDER",
        what="Images in class folders, train/CLASS/ and test/CLASS/ or CLASS/ alone",
        place="a folder",
        example="folder:data/flowers",
        load=lambda name, place, request: load_image_folder(name, path_of(place), request),
        describe=lambda place, size: describe_image_folder(path_of(place), size),
        takes=frozenset({"image_size"}),
    ),
    "tar:": DatasetKind(
        form="tar:FILE",
        what="A tar file, compressed or not, of images in class folders",
        place="a file",
        example="tar:data/flowers.tar.gz",
        load=lambda name, place, request: load_image_tar(name, path_of(place), request),
        describe=lambda place, size: describe_image_tar(path_of(place), size),
        takes=frozenset({"image_size"}),
    ),
    "hf:": DatasetKind(
        form="hf:NAME",
        what="A dataset of images of Hugging Face; needs pip install 'lottery[datasets]'",
        place="a name",
        example="hf:cifar10",
        load=load_hf,
        describe=None,
        takes=frozenset({"image_size", "image_column", "label_column"}),
    ),
    FEW: DatasetKind(
        form="few:DATASET",
        what=f"Any of these with {FEW_TESTS} of its test examples, to try things out",
        place="a dataset",
        example="few:cifar-10",
        load=lambda name, whole, request: with_few_tests(load_named(whole, request), name),
        describe=_describe_few,
    ),
}
"""How a name begins -> what follows."""


def _kind_of(name: str) -> tuple[DatasetKind, str] | None:
    """The kind of a dataset whose name has a prefix, and what follows that."""
    return next(
        (
            (kind, name.removeprefix(prefix))
            for prefix, kind in DATASET_KINDS.items()
            if name.startswith(prefix)
        ),
        None,
    )


def check_dataset(name: str) -> str | None:
    """What is wrong with a dataset's name, or None; whether it is there is not looked at."""
    if name.startswith(FEW):
        return check_dataset(name.removeprefix(FEW))
    found = _kind_of(name)
    if found is None:
        choices = [*DATASETS, *(kind.form for kind in DATASET_KINDS.values())]
        return None if name in DATASETS else unknown_name("dataset", name, choices)
    kind, place = found
    if not place.strip() or "\0" in place:
        prefix = name.removesuffix(place)
        return f"expected {kind.place} after '{prefix}', such as {kind.example}"
    return None


def takes(name: str, key: str) -> bool:
    """Whether a key that is not for every dataset has a meaning for this one.

    >>> takes("folder:flowers", "image_size"), takes("mnist", "image_size")
    (True, False)
    """
    found = _kind_of(name.removeprefix(FEW))
    return found is not None and key in found[0].takes


def describe_dataset(name: str, *, image_size: int = 0) -> DatasetInfo:
    """A dataset's facts without loading it: names of files, headers and labels are read at most.

    Args:
        name: of the dataset.
        image_size: as in the config, for datasets that take it.

    Raises:
        UsageError: no such dataset, or one whose facts are known only once it is loaded.
        DataError: what the name says is not there, or not what it should be.

    >>> describe_dataset("mnist").training_examples
    60000
    """
    problem = check_dataset(name)
    if problem:
        raise UsageError(problem)
    found = _kind_of(name)
    if found is None:
        return DATASETS[name].info
    kind, place = found
    if kind.describe is None:
        raise UsageError(f"the facts of '{name}' are known only once it is loaded; load it")
    return kind.describe(place, image_size)


def load_named(name: str, request: Request) -> Dataset:
    """Load a dataset whose name has been checked."""
    found = _kind_of(name)
    if found is None:
        return DATASETS[name].load(request)
    kind, place = found
    return kind.load(name, place, request)
