"""Datasets of training, validation and test examples: by name, or from files or code of yours."""

from __future__ import annotations

from lottery.data.augment import AugmentationConfig
from lottery.data.catalog import (
    DATASET_KINDS,
    DATASETS,
    FEW,
    OWN,
    OWN_ABOUT,
    DatasetInfo,
    DatasetKind,
    check_dataset,
    describe_dataset,
)
from lottery.data.config import DataConfig
from lottery.data.dataset import SPLITS, Dataset, Split, SplitName, steps_per_epoch
from lottery.data.download import NotHereError
from lottery.data.loading import as_configured, load_dataset, placeholder_dataset
from lottery.data.notes import data_notes
from lottery.data.own_data import as_dataset
from lottery.data.request import Request

__all__ = [
    "DATASETS",
    "DATASET_KINDS",
    "FEW",
    "OWN",
    "OWN_ABOUT",
    "SPLITS",
    "AugmentationConfig",
    "DataConfig",
    "Dataset",
    "DatasetInfo",
    "DatasetKind",
    "NotHereError",
    "Request",
    "Split",
    "SplitName",
    "as_configured",
    "as_dataset",
    "check_dataset",
    "data_notes",
    "describe_dataset",
    "load_dataset",
    "placeholder_dataset",
    "steps_per_epoch",
]
