"""From a data config to a dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from lottery.data.augment import AugmentationConfig
from lottery.data.catalog import describe_dataset, load_named
from lottery.data.config import DataConfig
from lottery.data.dataset import Dataset, Split
from lottery.data.request import Request
from lottery.data.shifts import split_anew, with_random_labels
from lottery.data.splits import check_validation
from lottery.errors import ConfigError, UsageError


def load_dataset(
    config: DataConfig,
    *,
    data_dir: Path | None = None,
    progress: bool = True,
    download: bool = True,
) -> Dataset:
    """Load a dataset and hold its validation examples out.

    Which examples are held out depends only on the dataset and the config: neither an experiment's
    seed nor its replicate moves an example between splits.

    Args:
        config: which dataset, how it is split, and how it is augmented.
        data_dir: a directory of datasets, searched before ``$LOTTERY_DATA`` and the cache. It is
            not needed for ``mnist-5k`` and for datasets whose names say where they are.
        progress: show a bar while downloading or decoding.
        download: whether a named dataset that is not on this machine is downloaded. Datasets of
            Hugging Face always may be, as its package is configured.

    Raises:
        ConfigError: the config has problems.
        NotHereError: the data would have to be downloaded, and ``download`` is False.
        DataError: the data are missing or damaged, or fewer than are to be held out.
        UsageError: the augmentation does not suit the examples.
        MissingPackageError: the dataset needs a package that is not installed.

    >>> dataset = load_dataset(DataConfig(name="mnist-5k", validation=500))
    >>> len(dataset.train), len(dataset.validation), len(dataset.test), dataset.input_shape
    (3500, 500, 1000, (1, 28, 28))
    """
    _check(config)
    request = Request(
        validation=config.validation,
        data_dir=data_dir,
        download=download,
        progress=progress,
        image_size=config.image_size,
        image_column=config.image_column,
        label_column=config.label_column,
    )
    return as_configured(load_named(config.name, request), config)


def as_configured(dataset: Dataset, config: DataConfig) -> Dataset:
    """Apply a config's split, random labels and augmentation to a loaded dataset.

    Raises:
        DataError: they cannot be split in another way.
        UsageError: the augmentation does not suit the examples.
    """
    if config.split:
        dataset = split_anew(dataset, config.split)
    if config.random_labels:
        dataset = with_random_labels(dataset, config.random_labels)
    _check_augmentation(dataset, config.augmentation)
    return replace(dataset, augmentation=config.augmentation)


def placeholder_dataset(config: DataConfig) -> Dataset:
    """Random images with the shape and the counts of a named dataset, which is not loaded.

    Whatever does not depend on the examples' values, such as the number of steps in an epoch, is as
    with the dataset itself.

    Args:
        config: names a dataset that `describe_dataset` knows.

    Raises:
        ConfigError, DataError, UsageError: as `load_dataset` and `describe_dataset`.
    """
    _check(config)
    info = describe_dataset(config.name)
    check_validation(config.name, config.validation, info.training_examples)
    generator = torch.Generator().manual_seed(0)
    few = torch.randint(0, 256, (100, *info.input_shape), generator=generator, dtype=torch.uint8)

    def split(count: int) -> Split:
        places = torch.arange(count)
        return Split(few[places % len(few)], places % info.classes)

    dataset = Dataset(
        name=config.name,
        train=split(info.training_examples - config.validation),
        validation=split(config.validation),
        test=split(info.test_examples),
        classes=info.classes,
        mean=(0.5,),
        deviation=(0.25,),
    )
    return as_configured(dataset, config)


def _check(config: DataConfig) -> None:
    nested = [f"augmentation.{problem}" for problem in config.augmentation.problems()]
    problems = [*config.problems(), *nested]
    if problems:
        raise ConfigError(problems, source="the data config")


def _check_augmentation(dataset: Dataset, config: AugmentationConfig) -> None:
    shape = tuple(dataset.train.inputs.shape[1:])
    if not config.active:
        return
    if len(shape) != 3:
        raise UsageError(
            "data.augmentation: expected images (channels, height, width) to flip or crop, but "
            f"examples of '{dataset.name}' have shape {shape}. Leave data.augmentation out"
        )
    smallest = min(shape[-2:])
    if config.resized_crop > smallest:
        raise UsageError(
            f"data.augmentation.resized_crop: expected {smallest} at most, the smaller side of "
            f"the images of '{dataset.name}', got {config.resized_crop}. Store larger images "
            "(data.image_size), or crop to a smaller size"
        )
