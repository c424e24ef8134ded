"""CIFAR-10 and CIFAR-100 from their binary archives, never from the pickled ones.

An archive is identified by its MD5, which its publisher gives; its contents are checked as well.
CIFAR-10 is also read from a tar file of its images in class folders, if a data directory has one
and not the archive. Such images may have lost something in compression, so the dataset says so
(`Dataset.variant`) and has another fingerprint, and a run that was begun with one of the two does
not continue with the other.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from lottery.data.cache_lock import cache_folder
from lottery.data.checksums import check_data_dir, places
from lottery.data.dataset import Dataset
from lottery.data.download import NotHereError, download
from lottery.data.idx import Bytes
from lottery.data.image_cache import load_images
from lottery.data.plain_files import FileError, open_plain
from lottery.data.request import Request
from lottery.data.sources import tar_source
from lottery.data.splits import Examples, Scale, assemble
from lottery.data.tars import read_tar

_PIXELS: Final = 3 * 32 * 32
_LIMIT: Final = 2**28
"""Bytes that a download may have; each archive has about 170 million."""


@dataclass(frozen=True, kw_only=True)
class BinaryArchive:
    """A dataset in the binary form of CIFAR.

    A record is one or more bytes of labels, of which the last is the class, and then 3 x 32 x 32
    bytes of pixels.

    Args:
        name: its name in configs, and its folder in a data directory and in the cache.
        file: the archive's name.
        md5: of the archive, in hex.
        classes: number of classes.
        labels: bytes of labels in a record.
        train: members with training records, and how many are in each.
        test: the same for testing.
        scale: mean and deviation of each channel over all training images.
        mirrors: addresses below which the archive is found.
        images: tar files of the same images in class folders, taken instead of a download.
    """

    name: str
    file: str
    md5: str
    classes: int
    labels: int
    train: dict[str, int]
    test: dict[str, int]
    scale: Scale
    mirrors: tuple[str, ...] = ("https://www.cs.toronto.edu/~kriz/",)
    images: tuple[str, ...] = ()

    def read(self, path: Path) -> tuple[Examples, Examples]:
        """Training and test examples at ``path``, known to be the right ones.

        Raises:
            FileError: the file is damaged, or it is another one.
        """
        with open_plain(path, "an archive", ()) as file:
            # It tells a file from another, not from one made to deceive: nothing is trusted for it.
            found = hashlib.file_digest(
                file, partial(hashlib.md5, usedforsecurity=False)
            ).hexdigest()
        if found != self.md5:
            raise FileError(path, f"expected an archive with MD5 {self.md5}, got {found}")
        record = self.labels + _PIXELS
        sizes = {name: count * record for name, count in {**self.train, **self.test}.items()}
        contents = dict(read_tar(path, sizes))
        train, test = (
            np.concatenate(
                [np.frombuffer(contents.pop(name), np.uint8) for name in members]
            ).reshape(-1, record)
            for members in (self.train, self.test)
        )
        return self._examples(path, train), self._examples(path, test)

    def _examples(self, path: Path, records: Bytes) -> Examples:
        labels = records[:, self.labels - 1].copy()
        if labels.max() >= self.classes:
            reason = f"expected labels from 0 to {self.classes - 1}, got {labels.max()}"
            raise FileError(path, reason)
        return Examples(records[:, self.labels :].reshape(-1, 3, 32, 32), labels)


CIFAR_10: Final = BinaryArchive(
    name="cifar-10",
    file="cifar-10-binary.tar.gz",
    md5="c32a1d4ab5d03f1284b67883e8d87530",
    classes=10,
    labels=1,
    train={f"cifar-10-batches-bin/data_batch_{number}.bin": 10_000 for number in range(1, 6)},
    test={"cifar-10-batches-bin/test_batch.bin": 10_000},
    scale=Scale(mean=(0.4914, 0.4822, 0.4465), deviation=(0.2470, 0.2435, 0.2616)),
    images=("cifar10-jpeg.tar.gz",),
)

CIFAR_100: Final = BinaryArchive(
    name="cifar-100",
    file="cifar-100-binary.tar.gz",
    md5="03b5dce01913d631647c71ecec9e9cb8",
    classes=100,
    labels=2,
    train={"cifar-100-binary/train.bin": 50_000},
    test={"cifar-100-binary/test.bin": 10_000},
    scale=Scale(mean=(0.5071, 0.4865, 0.4409), deviation=(0.2673, 0.2564, 0.2762)),
)


def load_cifar(dataset: BinaryArchive, request: Request) -> Dataset:
    """CIFAR-10 or CIFAR-100, downloaded where it lies nowhere.

    The archive is looked for in the data directory, ``$LOTTERY_DATA`` and the cache, in the first
    two also in a folder of the dataset's name; then tar files of images are, in the same places.

    Raises:
        NotHereError: it is nowhere and is not to be downloaded.
        DataError: the archive is there but damaged or another one, or it is nowhere and cannot be
            downloaded, or too many examples are to be held out.
    """
    check_data_dir(request.data_dir)
    names = (dataset.name, dataset.name.replace("-", ""))
    folders = list(dict.fromkeys(f for name in names for f, _ in places(name, request.data_dir)))
    archive, images = _first(folders, dataset.file), _first(folders, *dataset.images)
    if archive is not None:
        examples = dataset.read(archive)
    elif images is not None:
        return load_images(
            dataset.name,
            tar_source(images),
            request,
            scale=dataset.scale,
            variant=f"decoded from the images in {images.name}, not the published bytes",
        )
    elif not request.download:
        raise NotHereError(dataset.name, folders)
    else:
        examples = download(
            [f"{mirror}{dataset.file}" for mirror in dataset.mirrors],
            cache_folder() / dataset.name / dataset.file,
            dataset.read,
            limit=_LIMIT,
            looked=[f"{folder}: no {dataset.file}" for folder in folders],
            progress=request.progress,
        )
    return assemble(
        dataset.name,
        *examples,
        validation=request.validation,
        classes=dataset.classes,
        scale=dataset.scale,
    )


def _first(folders: list[Path], *files: str) -> Path | None:
    paths = (folder / file for folder in folders for file in files)
    return next(filter(os.path.lexists, paths), None)
