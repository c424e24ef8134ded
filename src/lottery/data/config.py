"""Which data an experiment learns from: the config a user writes."""

from __future__ import annotations

from dataclasses import dataclass, field

from lottery.data.augment import AugmentationConfig
from lottery.data.catalog import accepts_key, check_dataset
from lottery.data.request import MAX_SIDE


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """A dataset, how many examples are held out, and how training batches are augmented."""

    name: str = "mnist"
    """A dataset's name; or ``idx:FOLDER`` for a folder of four IDX files, ``npz:PATH`` for NumPy's
    arrays, ``folder:FOLDER`` for class folders with images, ``tar:FILE`` for a tar file of such,
    ``hf:NAME`` for a dataset of Hugging Face, ``few:DATASET`` for any of them with 100 of its test
    examples. ``package.module:function`` is a function of your own that returns data: a config that
    names code runs that code."""
    validation: int = 5_000
    """Training examples held out for early stopping, 1 or more; the same ones in every run."""
    split: int = 0
    """Which examples are held out: 0 for the dataset's own split, any other number for another
    random split, the same in every run."""
    random_labels: float = 0.0
    """Share of the training examples whose labels are drawn at random, in [0, 1]: the same ones in
    every run. Validation and test examples keep theirs."""
    image_size: int = 0
    """Side, in pixels, of the squares that images of ``folder:``, ``tar:`` and ``hf:`` are made:
    the shorter side is resized, the longer one cropped in the middle. 0 to leave images as they
    are; they must then be of one size."""
    image_column: str = ""
    """The column of an ``hf:`` dataset that holds the images; found by its type if empty, and where
    there is none, the numeric columns are the examples."""
    label_column: str = ""
    """The column of an ``hf:`` dataset that holds the classes; found by its type if empty."""
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    """What is done to training batches."""

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        found = []
        unknown = check_dataset(self.name)
        if unknown:
            found.append(f"name: {unknown}")
        if self.validation < 1:
            found.append(f"validation: must be 1 or more, got {self.validation}")
        if not 0 <= self.split < 2**32:
            found.append(f"split: must be from 0 to {2**32 - 1:,}, got {self.split}")
        if not 0 <= self.random_labels <= 1:
            found.append(f"random_labels: must be from 0 to 1, got {self.random_labels}")
        if not 0 <= self.image_size <= MAX_SIDE:
            found.append(f"image_size: must be from 0 to {MAX_SIDE}, got {self.image_size}")
        for key in ("image_size", "image_column", "label_column"):
            if getattr(self, key) and not unknown and not accepts_key(self.name, key):
                found.append(f"{key}: has no meaning for '{self.name}'; leave it out")
        return found
