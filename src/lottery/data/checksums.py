"""Datasets known by the SHA-256 of their files: where they are looked for and read from.

What identifies a file is the hash of its uncompressed contents, since the same contents gzipped by
two mirrors differ in bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lottery.data.cache_lock import cache_folder
from lottery.data.dataset import Dataset
from lottery.data.download import NotHereError, download
from lottery.data.idx import Bytes, read_idx, sha256_of
from lottery.data.idx_folder import FILES, find, role_of
from lottery.data.plain_files import FileError
from lottery.data.request import Request
from lottery.data.splits import Examples, Scale, assemble
from lottery.errors import DataError

# Where Debian's packages of datasets have them.
_SYSTEM = Path("/usr/share/datasets")


class WrongContentsError(FileError):
    """A sound IDX file that is not the one it should be."""


@dataclass(frozen=True)
class KnownFile:
    """An IDX file whose contents are known.

    Args:
        name: its name, without ``.gz`` where it is looked for in a folder.
        size: bytes of its uncompressed contents.
        sha256: their SHA-256 in hex.
    """

    name: str
    size: int
    sha256: str

    def read(self, path: Path) -> Bytes:
        """The values at ``path``, known to be the right ones.

        Raises:
            FileError: the file is damaged, or it is another one.
        """
        values = read_idx(path, role_of(self.name))
        found = sha256_of(values)
        if found != self.sha256:
            raise WrongContentsError(
                path, f"expected contents with SHA-256 {self.sha256}, got {found}"
            )
        return values


@dataclass(frozen=True, kw_only=True)
class KnownDataset:
    """A dataset of four known files.

    Args:
        name: its name in configs, and its folder in a data directory and in the cache.
        classes: number of classes.
        scale: what its inputs are standardized with.
        files: images and labels for training, then for testing.
        mirrors: addresses below which each file is found as NAME.gz, in the order they are tried.
    """

    name: str
    classes: int
    scale: Scale
    files: tuple[KnownFile, KnownFile, KnownFile, KnownFile]
    mirrors: tuple[str, ...]


def _mnist_files(*sha256: str) -> tuple[KnownFile, KnownFile, KnownFile, KnownFile]:
    """Four files of the sizes of MNIST's, with their hashes in the order of ``FILES``."""
    sizes = (47_040_016, 60_008, 7_840_016, 10_008)
    train, labels, test, test_labels = map(KnownFile, FILES, sizes, sha256)
    return train, labels, test, test_labels


MNIST = KnownDataset(
    name="mnist",
    classes=10,
    scale=Scale(mean=(0.1307,), deviation=(0.3081,)),
    files=_mnist_files(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
)

FASHION_MNIST = KnownDataset(
    name="fashion-mnist",
    classes=10,
    scale=Scale(mean=(0.2860,), deviation=(0.3530,)),
    files=_mnist_files(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
)


def load_known(dataset: KnownDataset, request: Request) -> Dataset:
    """A known dataset, downloaded where none of its folders has it.

    Each file is looked for in the data directory, ``$LOTTERY_DATA``, the cache and where Debian's
    packages of datasets have them, in this order.
    In the first two it may lie in a folder of the dataset's name or directly.

    Raises:
        NotHereError: a file is nowhere and is not to be downloaded.
        DataError: a file is there but damaged or another one, or none is there and no mirror has
            it, or too many examples are to be held out.
    """
    check_data_dir(request.data_dir)
    images, labels, test_images, test_labels = (
        _load_file(dataset, file, request) for file in dataset.files
    )
    return assemble(
        dataset.name,
        Examples(images, labels),
        Examples(test_images, test_labels),
        validation=request.validation,
        classes=dataset.classes,
        scale=dataset.scale,
    )


def _load_file(dataset: KnownDataset, file: KnownFile, request: Request) -> Bytes:
    """One file's values, from the first place that has it."""
    notes = []
    looked = list(places(dataset.name, request.data_dir))
    for folder, shared in looked:
        path = find(folder, file.name)
        if path is None:
            notes.append(f"{folder}: no {file.name}")
            continue
        try:
            return file.read(path)
        except WrongContentsError:
            # Datasets share their files' names: in a directory of several it may be another's.
            if not shared:
                raise
            notes.append(f"{path}: belongs to another dataset")
    if not request.download:
        raise NotHereError(dataset.name, (folder for folder, _ in looked))
    target = cache_folder() / dataset.name / f"{file.name}.gz"
    urls = [f"{mirror}{file.name}.gz" for mirror in dataset.mirrors]
    # Gzip adds to incompressible contents 0.03% and its frame.
    limit = file.size + file.size // 1000 + 1024
    return download(urls, target, file.read, limit=limit, looked=notes, progress=request.progress)


def check_data_dir(data_dir: Path | None) -> None:
    """Check that a data directory, where one is given, is there.

    Raises:
        DataError: it is not.
    """
    if data_dir is not None and not os.path.isdir(data_dir):
        raise DataError(
            f"{data_dir}: expected a directory of datasets, but there is none. "
            "Check the path given as the data directory."
        )


def places(name: str, data_dir: Path | None) -> Iterator[tuple[Path, bool]]:
    """Folders to look for a dataset in, each with whether it may hold other datasets' files too."""
    environment = os.environ.get("LOTTERY_DATA")
    for directory in (data_dir, Path(os.path.expanduser(environment)) if environment else None):
        if directory is not None:
            yield directory / name, False
            yield directory, True
    yield cache_folder() / name, False
    yield _SYSTEM / name, False
