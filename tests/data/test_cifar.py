"""CIFAR from its binary archive, from a tar file of images, and the real one."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lottery.data import DataConfig, Dataset, NotHereError, Request, cifar, load_dataset
from lottery.data.cache_lock import cache_folder
from lottery.data.cifar import CIFAR_10, CIFAR_100, BinaryArchive, load_cifar
from lottery.errors import DataError
from lottery.testing import DATASET_CHECKS

Pixels = np.typing.NDArray[np.uint8]
# Read before a fixture hides it.
DIRECTORY = os.environ.get("LOTTERY_DATA", "no LOTTERY_DATA")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder of this machine is looked in."""
    monkeypatch.delenv("LOTTERY_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def tar_of(contents: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, values in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(values)
            tar.addfile(member, io.BytesIO(values))
    return gzip.compress(file.getvalue(), 1)


def tiny(
    base: BinaryArchive, per_member: int = 4, **changes: Any
) -> tuple[BinaryArchive, bytes, dict[str, tuple[Pixels, Pixels]]]:
    """The archive with few records, its bytes, and images and labels of each member."""
    random = np.random.default_rng(0)
    contents, known = {"readme.html": b"<html>"}, {}
    for member in (*base.train, *base.test):
        images = random.integers(0, 256, (per_member, 3, 32, 32), dtype=np.uint8)
        labels = random.integers(0, base.classes, (per_member, base.labels), dtype=np.uint8)
        records = np.concatenate([labels, images.reshape(per_member, -1)], axis=1)
        contents[member] = records.tobytes()
        known[member] = images, labels[:, -1]
    archive = tar_of(contents)
    few = replace(
        base,
        md5=hashlib.md5(archive).hexdigest(),
        train=dict.fromkeys(base.train, per_member),
        test=dict.fromkeys(base.test, per_member),
        mirrors=(),
        **changes,
    )
    return few, archive, known


def load(dataset: BinaryArchive, data_dir: Path | None = None, validation: int = 2) -> Dataset:
    return load_cifar(dataset, Request(validation=validation, data_dir=data_dir, progress=False))


@pytest.mark.parametrize("base", [CIFAR_10, CIFAR_100], ids=lambda base: base.name)
@pytest.mark.parametrize("below", ["own", "."])
def test_every_image_comes_back_with_its_class(
    tmp_path: Path, base: BinaryArchive, below: str
) -> None:
    few, archive, known = tiny(base)
    folder = tmp_path / "data" / (base.name if below == "own" else ".")
    folder.mkdir(parents=True)
    (folder / base.file).write_bytes(archive)

    data = load(few, tmp_path / "data")

    assert (data.name, data.classes, data.variant) == (base.name, base.classes, "")
    assert data.input_shape == (3, 32, 32)
    assert (data.mean, data.deviation) == (base.scale.mean, base.scale.deviation)
    images = np.concatenate([known[member][0] for member in base.train])
    labels = np.concatenate([known[member][1] for member in base.train])
    expected = {image.tobytes(): int(label) for image, label in zip(images, labels, strict=True)}
    found = {
        image.numpy().tobytes(): int(label)
        for split in (data.train, data.validation)
        for image, label in zip(split.inputs, split.targets, strict=True)
    }
    assert found == expected
    assert (len(data.train), len(data.validation)) == (len(images) - 2, 2)
    (test,) = base.test
    np.testing.assert_array_equal(data.test.inputs.numpy(), known[test][0])
    assert data.test.targets.tolist() == known[test][1].tolist()


def test_cifar_100_has_the_fine_classes() -> None:
    assert (CIFAR_100.labels, CIFAR_100.classes) == (2, 100)
    assert sum(CIFAR_100.train.values()) == sum(CIFAR_10.train.values()) == 50_000


def test_another_archive_is_an_error_and_not_passed_by(tmp_path: Path) -> None:
    few, archive, _ = tiny(CIFAR_10)
    cache = cache_folder() / "cifar-10"
    cache.mkdir(parents=True)
    (cache / CIFAR_10.file).write_bytes(archive)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / CIFAR_10.file).write_bytes(archive[:-1])

    with pytest.raises(DataError, match=f"expected an archive with MD5 {few.md5}, got "):
        load(few, tmp_path / "data")
    assert len(load(few).test) == 4


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        ({"cifar-10-batches-bin/test_batch.bin": bytes(100)}, "has another size than expected"),
        (
            {"cifar-10-batches-bin/test_batch.bin": bytes([10] * 12292)},
            "labels from 0 to 9, got 10",
        ),
        ({"../test_batch.bin": b""}, ""),
    ],
)
def test_what_is_in_an_archive_is_checked_whatever_its_hash(
    tmp_path: Path, contents: dict[str, bytes], reason: str
) -> None:
    few, _, known = tiny(CIFAR_10)
    sound = {
        name: np.concatenate([labels[:, None], images.reshape(4, -1)], axis=1).tobytes()
        for name, (images, labels) in known.items()
    }
    archive = tar_of({**sound, **contents})
    (tmp_path / CIFAR_10.file).write_bytes(archive)
    few = replace(few, md5=hashlib.md5(archive).hexdigest())

    if reason:
        with pytest.raises(DataError, match=reason):
            load(few, tmp_path)
    else:
        assert len(load(few, tmp_path).test) == 4


def test_a_missing_member_is_named(tmp_path: Path) -> None:
    few, _, _ = tiny(CIFAR_10)
    archive = tar_of({"readme.html": b""})
    (tmp_path / CIFAR_10.file).write_bytes(archive)

    with pytest.raises(DataError, match="expected 6 more in it: cifar-10-batches-bin/data_batch_1"):
        load(replace(few, md5=hashlib.md5(archive).hexdigest()), tmp_path)


def test_nowhere_names_every_place(tmp_path: Path) -> None:
    few, _, _ = tiny(CIFAR_10)

    with pytest.raises(DataError) as caught:
        load(few, tmp_path)

    message = str(caught.value)
    for place in (tmp_path / "cifar-10", tmp_path, cache_folder() / "cifar-10"):
        assert f"{place}: no cifar-10-binary.tar.gz" in message
    assert "--data-dir DIR" in message


def jpegs(count: int) -> bytes:
    """A tar file of images in class folders."""
    random = np.random.default_rng(1)
    contents = {}
    for part in ("train", "test"):
        for label in ("airplane", "bird", "cat"):
            for number in range(count):
                pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                file = io.BytesIO()
                Image.fromarray(pixels).save(file, "JPEG", quality=75)
                contents[f"{part}/{label}/{number:04}.jpg"] = file.getvalue()
    return tar_of(contents)


def test_a_tar_file_of_images_is_taken_and_said_to_be_one(tmp_path: Path) -> None:
    few, archive, _ = tiny(CIFAR_10)
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "cifar10-jpeg.tar.gz").write_bytes(jpegs(3))

    lossy = load(few, tmp_path)

    assert (lossy.name, lossy.classes, len(lossy.train), len(lossy.test)) == ("cifar-10", 3, 7, 9)
    assert "cifar10-jpeg.tar.gz" in lossy.variant
    assert (lossy.mean, lossy.deviation) == (CIFAR_10.scale.mean, CIFAR_10.scale.deviation)

    # The published bytes come first wherever they lie.
    cache = cache_folder() / "cifar-10"
    cache.mkdir(parents=True)
    (cache / CIFAR_10.file).write_bytes(archive)
    published = load(few, tmp_path)
    assert published.variant == ""
    assert published.fingerprint() != lossy.fingerprint()


def test_cifar_100_is_never_taken_from_images_of_cifar_10(tmp_path: Path) -> None:
    few, _, _ = tiny(CIFAR_100)
    (tmp_path / "cifar10-jpeg.tar.gz").write_bytes(jpegs(1))

    with pytest.raises(DataError, match="was not found"):
        load(few, tmp_path)


@pytest.mark.parametrize("archive", [CIFAR_10, CIFAR_100])
def test_what_is_nowhere_is_not_downloaded_unless_it_may(
    archive: BinaryArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar, "download", None)

    with pytest.raises(NotHereError, match=f"{archive.name} was looked for in .*; a run downloads"):
        load_dataset(DataConfig(name=archive.name), progress=False, download=False)


def real() -> Path:
    """A directory with CIFAR-10 in some form."""
    directory = Path(DIRECTORY)
    names = (CIFAR_10.file, "cifar10-jpeg.tar.gz")
    below = (directory, directory / "cifar-10", directory / "cifar10")
    if not any((folder / name).is_file() for folder in below for name in names):
        pytest.skip("LOTTERY_DATA names no directory with CIFAR-10")
    return directory


@pytest.mark.cifar
def test_the_real_cifar_10() -> None:
    directory = real()

    data = load_dataset(DataConfig(name="cifar-10"), data_dir=directory, progress=False)

    assert [len(data.split(name)) for name in ("train", "validation", "test")] == [
        45_000,
        5_000,
        10_000,
    ]
    targets = torch.cat([data.train.targets, data.validation.targets])
    assert torch.bincount(targets).tolist() == [5_000] * 10
    assert torch.bincount(data.test.targets).tolist() == [1_000] * 10
    # Mean and deviation are stated; JPEG moves them by little.
    seen = data.train.inputs.double().div(255).transpose(0, 1).flatten(1)
    torch.testing.assert_close(seen.mean(1).tolist(), list(data.mean), atol=2e-3, rtol=0)
    torch.testing.assert_close(seen.std(1).tolist(), list(data.deviation), atol=4e-3, rtol=0)
    for check in DATASET_CHECKS:
        check(data)
    again = load_dataset(DataConfig(name="cifar-10"), data_dir=directory, progress=False)
    assert again.fingerprint() == data.fingerprint()
