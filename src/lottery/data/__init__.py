"""Datasets as three splits of tensors in memory, by name or from a folder of IDX files."""

from __future__ import annotations

from pathlib import Path

from lottery.data.catalog import (
    DATASETS,
    CatalogEntry,
    check_dataset,
    describe_dataset,
    load_named,
)
from lottery.data.config import DataConfig
from lottery.data.dataset import Dataset, Split, SplitName, steps_per_epoch
from lottery.data.info import DatasetInfo
from lottery.errors import ConfigError

__all__ = [
    "DATASETS",
    "CatalogEntry",
    "DataConfig",
    "Dataset",
    "DatasetInfo",
    "Split",
    "SplitName",
    "check_dataset",
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
            download. A folder named by ``idx:`` and the bundled ``mnist-5k`` need none.
        progress: show a bar while downloading.

    Raises:
        ConfigError: the config has problems.
        DataError: the data are missing or damaged, or fewer than are to be held out.

    >>> dataset = load_dataset(DataConfig(name="mnist-5k", validation=500))
    >>> len(dataset.train), len(dataset.validation), len(dataset.test), dataset.input_shape
    (3500, 500, 1000, (1, 28, 28))
    """
    problems = config.problems()
    if problems:
        raise ConfigError(problems, source="the data config")
    return load_named(
        config.name, validation=config.validation, data_dir=data_dir, progress=progress
    )
