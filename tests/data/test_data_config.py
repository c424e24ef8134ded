"""The data config and the names it may hold."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lottery.data import (
    DATASETS,
    AugmentationConfig,
    DataConfig,
    Dataset,
    Split,
    as_configured,
    check_dataset,
    describe_dataset,
    load_dataset,
)
from lottery.errors import ConfigError, UsageError


@pytest.mark.parametrize(
    "name",
    [
        *DATASETS,
        "idx:digits",
        "idx:~/digits",
        "idx:/no/such/place",
        "tar:a.tar",
        "hf:user/pets",
        "few:mnist",
        "few:idx:digits",
        "npz:digits.npz",
        "flowers:load",
        "my_package.flowers:load",
        "few:my_package.flowers:load",
    ],
)
def test_names_that_are_fine(name: str) -> None:
    assert DataConfig(name=name).problems() == []


def test_unknown_name_lists_the_choices_and_the_nearest() -> None:
    (problem,) = DataConfig(name="fashion-mnits").problems()

    assert problem == (
        "name: unknown dataset 'fashion-mnits'; did you mean 'fashion-mnist'? "
        "Choices: cifar-10, cifar-100, fashion-mnist, few:DATASET, folder:FOLDER, hf:NAME, "
        "idx:FOLDER, mnist, mnist-5k, npz:PATH, "
        "package.module:function, python:NAME, tar:FILE"
    )


@pytest.mark.parametrize("name", ["idx:", "idx:  ", "idx:a\0b"])
def test_folder_that_cannot_be_one(name: str) -> None:
    assert check_dataset(name) == "expected a folder after 'idx:', such as idx:data/digits"


@pytest.mark.parametrize("validation", [0, -1])
def test_validation_out_of_range(validation: int) -> None:
    assert DataConfig(validation=validation).problems() == [
        f"validation: must be 1 or more, got {validation}"
    ]


def test_loading_reports_every_problem() -> None:
    with pytest.raises(ConfigError) as caught:
        load_dataset(DataConfig(name="mnits", validation=0))

    assert len(caught.value.problems) == 2


def test_describing_an_unknown_dataset() -> None:
    with pytest.raises(UsageError, match="did you mean 'mnist'"):
        describe_dataset("mnits")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder:", "expected a folder after 'folder:', such as folder:data/flowers"),
        ("tar: ", "expected a file after 'tar:', such as tar:data/flowers.tar.gz"),
        ("hf:", "expected a name after 'hf:', such as hf:cifar10"),
    ],
)
def test_a_prefix_without_a_place(name: str, message: str) -> None:
    assert check_dataset(name) == message


def test_columns_where_there_are_none() -> None:
    config = DataConfig(name="folder:pets", image_column="image", label_column="label")

    assert [problem.partition(":")[0] for problem in config.problems()] == [
        "image_column",
        "label_column",
    ]
    assert DataConfig(name="hf:pets", image_column="image", image_size=9).problems() == []


@pytest.mark.parametrize("shape", [(8,), (3, 8), ()])
@pytest.mark.parametrize("asked", [{"flip": True}, {"crop_padding": 1}, {"resized_crop": 4}])
def test_only_images_are_augmented(shape: tuple[int, ...], asked: dict[str, Any]) -> None:
    split = Split(torch.zeros(6, *shape), torch.arange(6) % 2)
    data = Dataset(name="points", train=split, validation=split, test=split, classes=2)
    config = DataConfig(name="python:points", augmentation=AugmentationConfig(**asked))

    with pytest.raises(UsageError, match=r"expected images .* examples of 'points' have shape"):
        as_configured(data, config)
    assert as_configured(data, DataConfig(name="python:points")).input_shape == shape


def test_loading_reports_problems_of_the_augmentation() -> None:
    config = DataConfig(name="mnist-5k", augmentation=AugmentationConfig(crop_padding=-1))

    with pytest.raises(ConfigError, match=r"augmentation\.crop_padding: must be from 0 to 4096"):
        load_dataset(config)
