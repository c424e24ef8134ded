"""What is asked of whatever loads a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MAX_SIDE = 4096
"""Pixels that a stored image may have on a side, at most."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """How a dataset is to be loaded.

    Args:
        validation: training examples to hold out, 1 or more.
        data_dir: a directory of datasets, the first place to look; None for the usual places.
        download: whether files of a named dataset that are nowhere are downloaded; if not, it is a
            `NotHereError` that they are.
        progress: show a bar while downloading or decoding.
        image_size: side of the squares that images are brought to; 0 to leave them as they are.
        image_column: where a table has its images; found by its type if empty.
        label_column: where a table has its classes; found by its type if empty.
    """

    validation: int
    data_dir: Path | None = None
    download: bool = True
    progress: bool = True
    image_size: int = 0
    image_column: str = ""
    label_column: str = ""
