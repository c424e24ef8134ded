"""What a user is told of data before a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import Pixels, fill, pictures, tar_of

from lottery.data import DataConfig, Dataset, Split, data_notes, load_dataset
from lottery.data.idx import encode_idx
from lottery.data.idx_folder import FILES


def dataset(
    train: Sequence[int], validation: Sequence[int], test: Sequence[int], **facts: object
) -> Dataset:
    def split(labels: Sequence[int]) -> Split:
        return Split(torch.zeros(len(labels), 1), torch.tensor(labels))

    parts = {"train": split(train), "validation": split(validation), "test": split(test)}
    return Dataset(**({"name": "mine", "classes": 3} | parts | facts))  # type: ignore[arg-type]


def test_nothing_where_every_class_is_everywhere() -> None:
    assert data_notes(dataset([0, 1, 2], [2, 1, 0], [0, 1, 2, 2])) == []


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (dataset([0, 1, 2], [0, 1, 2], [0, 1]), "class 2 in test"),
        (dataset([1, 2], [1, 2], [1, 2]), "class 0 in train, validation and test"),
        (
            dataset([1, 2], [0, 1, 2], [2]),
            "class 0 in train and test; class 1 in test",
        ),
        (dataset([0, 1, 2], [2], [0, 1, 2]), "classes 0, 1 in validation"),
        (
            dataset([0, 1, 2], [0, 1, 2], [0, 1], class_names=("a", "b", "c\x1b[2J")),
            "class 2 (c\\u001b[2J) in test",
        ),
    ],
)
def test_classes_without_examples_are_named_with_their_part(data: Dataset, note: str) -> None:
    assert data_notes(data) == [f"mine: without examples, of 3 classes: {note}"]


def test_many_classes_are_a_short_line() -> None:
    labels = list(range(1000))

    (note,) = data_notes(dataset(labels, labels, [0], classes=1000))

    assert note.endswith("of 1,000 classes: classes 1, 2, 3, 4, 5 and 994 more in test")


def test_notes_of_the_data_come_first() -> None:
    data = dataset([0, 1], [0, 1], [0, 1], classes=3, notes=("one\x1b", "two"))

    assert data_notes(data)[:2] == ["one\\u001b", "two"]
    assert len(data_notes(data)) == 3


def test_idx_files(tmp_path: Path) -> None:
    """Labels from 1 to 3, a class without a test image, and one with a single image."""
    random = np.random.default_rng(0)
    labels = {"train": [1, 2, 1, 2, 1, 2, 1, 2, 1, 3, 1, 2], "t10k": [1, 1]}
    for file in FILES:
        classes = np.array(labels[file.split("-")[0]], np.uint8)
        shape = (len(classes), 3, 3)
        values = random.integers(0, 256, shape, np.uint8) if "images" in file else classes
        (tmp_path / file).write_bytes(encode_idx(values))

    data = load_dataset(DataConfig(name=f"idx:{tmp_path}", validation=4))

    (note,) = data_notes(data)
    assert note.endswith(
        "of 4 classes: class 0 in train, validation and test; class 2 in test; "
        "class 3 in validation and test"
    )


@pytest.mark.parametrize("make", [fill, tar_of])
def test_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: object) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    images: dict[str, Pixels] = pictures()
    images |= {f"train/bird/{n}.png": images["train/cat/1.png"] + n for n in range(3)}
    place = make(tmp_path / "pets", images)  # type: ignore[operator]
    name = f"{'folder' if place.is_dir() else 'tar'}:{place}"

    for validation in (3, 5, 12):
        data = load_dataset(DataConfig(name=name, validation=validation), progress=False)
        assert data_notes(data) == [
            f"{name}: without examples, of 3 classes: class 0 (bird) in test"
        ]
