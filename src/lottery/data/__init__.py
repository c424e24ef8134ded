"""Datasets as three splits of examples, by name, from files of yours or from elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lottery.data.augment import AugmentationConfig
from lottery.data.catalog import (
    DATASET_KINDS,
    DATASETS,
    FEW,
    CatalogEntry,
    DatasetKind,
    check_dataset,
    describe_dataset,
    load_named,
)
from lottery.data.config import DataConfig
from lottery.data.dataset import Dataset, Split, SplitName, steps_per_epoch
from lottery.data.info import DatasetInfo
from lottery.data.notes import data_notes
from lottery.data.request import Request
from lottery.errors import ConfigError, UsageError

__all__ = [
    "DATASETS",
    "DATASET_KINDS",
    "FEW",
    "AugmentationConfig",
    "CatalogEntry",
    "DataConfig",
    "Dataset",
    "DatasetInfo",
    "DatasetKind",
    "Request",
    "Split",
    "SplitName",
    "check_dataset",
    "data_notes",
    "describe_dataset",
    "load_dataset",
    "steps_per_epoch",
]


def load_dataset(
    config: DataConfig, *, data_dir: Path | None = None, progress: bool = True
) -> Dataset:
    """Load a dataset and hold its validation examples out.

    Which examples are held out depends on the dataset and on their number alone: neither an
    experiment's seed nor its replicate moves an example between splits.

    Args:
        config: which dataset, and how many validation examples.
        data_dir: a directory of datasets, looked in before ``$LOTTERY_DATA``, the cache and a
            download. A dataset whose name says where it lies needs none, nor does ``mnist-5k``.
        progress: show a bar while downloading or decoding.

    Raises:
        ConfigError: the config has problems.
        DataError: the data are missing or damaged, or fewer than are to be held out.
        UsageError: the augmentation does not suit the examples.
        MissingPackageError: the dataset needs a package that is not installed.

    >>> dataset = load_dataset(DataConfig(name="mnist-5k", validation=500))
    >>> len(dataset.train), len(dataset.validation), len(dataset.test), dataset.input_shape
    (3500, 500, 1000, (1, 28, 28))
    """
    nested = [f"augmentation.{problem}" for problem in config.augmentation.problems()]
    problems = [*config.problems(), *nested]
    if problems:
        raise ConfigError(problems, source="the data config")
    request = Request(
        validation=config.validation,
        data_dir=data_dir,
        progress=progress,
        image_size=config.image_size,
        image_column=config.image_column,
        label_column=config.label_column,
    )
    dataset = load_named(config.name, request)
    _check_augmentation(dataset, config.augmentation)
    return replace(dataset, augmentation=config.augmentation)


def _check_augmentation(dataset: Dataset, config: AugmentationConfig) -> None:
    shape = tuple(dataset.train.inputs.shape[1:])
    smallest = min(shape[-2:])
    if config.resized_crop > smallest:
        raise UsageError(
            f"data.augmentation.resized_crop: expected {smallest} at most, the smaller side of "
            f"the images of '{dataset.name}', got {config.resized_crop}. Store larger images "
            "(data.image_size), or crop to a smaller size"
        )
