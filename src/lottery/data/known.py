"""Datasets known by the SHA-256 of their files: where they are looked for and read from.

What identifies a file is the hash of its uncompressed contents, since the same contents gzipped by
two mirrors differ in bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lottery.data.dataset import Dataset
from lottery.data.download import NotHereError, download
from lottery.data.folder import dimensions_of, find
from lottery.data.idx import Bytes, Dimensions, FileError, read_idx, sha256_of
from lottery.data.splits import Examples, Scale, assemble
from lottery.errors import DataError


class WrongContentsError(FileError):
    """A sound IDX file that is not the one it should be."""

    def __init__(self, path: Path, expected: str, got: str) -> None:
        self.got = got
        super().__init__(path, f"expected contents with SHA-256 {expected}, got {got}")


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

    @property
    def dimensions(self) -> Dimensions:
        """3 for images, 1 for labels."""
        return dimensions_of(self.name)

    def read(self, path: Path) -> Bytes:
        """The values at ``path``, known to be the right ones.

        Raises:
            FileError: the file is damaged, or it is another one.
        """
        values = read_idx(path, self.dimensions)
        found = sha256_of(values)
        if found != self.sha256:
            raise WrongContentsError(path, self.sha256, found)
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
        system_folders: where a Linux distribution installs it.
    """

    name: str
    classes: int
    scale: Scale
    files: tuple[KnownFile, KnownFile, KnownFile, KnownFile]
    mirrors: tuple[str, ...]
    system_folders: tuple[Path, ...] = ()


MNIST = KnownDataset(
    name="mnist",
    classes=10,
    scale=Scale(mean=(0.1307,), deviation=(0.3081,)),
    files=(
        KnownFile(
            "train-images-idx3-ubyte",
            47_040_016,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        KnownFile(
            "train-labels-idx1-ubyte",
            60_008,
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        KnownFile(
            "t10k-images-idx3-ubyte",
            7_840_016,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        KnownFile(
            "t10k-labels-idx1-ubyte",
            10_008,
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
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
    files=(
        KnownFile(
            "train-images-idx3-ubyte",
            47_040_016,
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        KnownFile(
            "train-labels-idx1-ubyte",
            60_008,
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        KnownFile(
            "t10k-images-idx3-ubyte",
            7_840_016,
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        KnownFile(
            "t10k-labels-idx1-ubyte",
            10_008,
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    system_folders=(Path("/usr/share/datasets/fashion-mnist"),),
)


def cache_folder() -> Path:
    """Where downloads go: ``$XDG_CACHE_HOME/lottery``, else ``~/.cache/lottery``."""
    # The XDG specification has a relative path ignored.
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return Path(cache if os.path.isabs(cache) else os.path.expanduser("~/.cache")) / "lottery"


def load_known(
    dataset: KnownDataset,
    *,
    validation: int,
    data_dir: Path | None,
    progress: bool,
    fetch: bool = True,
) -> Dataset:
    """A known dataset, downloaded where none of its folders has it.

    Each file is looked for in ``data_dir``, ``$LOTTERY_DATA``, the cache and the system's folders,
    in this order. In the first two it may lie in a folder of the dataset's name or directly.

    Args:
        dataset: which.
        validation: how many training examples to hold out.
        data_dir: a directory of datasets, the first place to look.
        progress: show a bar while downloading.
        fetch: whether files that are nowhere are downloaded.

    Raises:
        NotHereError: a file is nowhere and is not to be downloaded.
        DataError: a file is there but damaged or another one, or none is there and no mirror has
            it, or too many examples are to be held out.
    """
    check_data_dir(data_dir)
    images, labels, test_images, test_labels = (
        _load_file(dataset, file, data_dir, progress, fetch) for file in dataset.files
    )
    return assemble(
        dataset.name,
        Examples(images, labels),
        Examples(test_images, test_labels),
        validation=validation,
        classes=dataset.classes,
        scale=dataset.scale,
        stream=dataset.name,
    )


def _load_file(
    dataset: KnownDataset, file: KnownFile, data_dir: Path | None, progress: bool, fetch: bool
) -> Bytes:
    """One file's values, from the first place that has it."""
    notes = []
    looked = list(places(dataset.name, data_dir, dataset.system_folders))
    for folder, shared in looked:
        path = find(folder, file.name)
        if path is None:
            notes.append(f"{folder}: no {file.name}")
            continue
        try:
            return file.read(path)
        except WrongContentsError as error:
            # Datasets share their files' names, so a directory that holds another dataset's files
            # directly is no reason to stop; anything else is.
            other = _dataset_with(error.got)
            if not (shared and other):
                raise
            notes.append(f"{path}: belongs to {other}")
    if not fetch:
        raise NotHereError(dataset.name, (folder for folder, _ in looked))
    target = cache_folder() / dataset.name / f"{file.name}.gz"
    urls = [f"{mirror}{file.name}.gz" for mirror in dataset.mirrors]
    return download(urls, target, file.read, limit=_limit(file), looked=notes, progress=progress)


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


def places(
    name: str, data_dir: Path | None, system_folders: Sequence[Path] = ()
) -> Iterator[tuple[Path, bool]]:
    """Folders to look for a dataset in, each with whether it may hold other datasets' files too."""
    environment = os.environ.get("LOTTERY_DATA")
    for directory in (data_dir, Path(os.path.expanduser(environment)) if environment else None):
        if directory is not None:
            yield directory / name, False
            yield directory, True
    yield cache_folder() / name, False
    for folder in system_folders:
        yield folder, False


def _dataset_with(sha256: str) -> str | None:
    """The known dataset that has a file with this hash."""
    for dataset in (MNIST, FASHION_MNIST):
        if any(file.sha256 == sha256 for file in dataset.files):
            return dataset.name
    return None


def _limit(file: KnownFile) -> int:
    """Bytes a download may have: gzip adds to incompressible contents 0.03% and its frame."""
    return file.size + file.size // 1000 + 1024
