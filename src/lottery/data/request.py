"""The options with which a dataset is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MAX_SIDE = 4096
"""The largest height and width of a stored image, in pixels."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """How a dataset is to be loaded.

    Args:
        validation: how many training examples to hold out, 1 or more.
        data_dir: a directory of datasets, searched first; None for the usual places.
        download: whether to download files of a named dataset that are not on this machine;
            if False, that is a `NotHereError`.
        progress: show a bar while downloading or decoding.
        image_size: side of the squares that images are resized to, in pixels; 0 to leave them as
            they are.
        image_column: the column of a table that holds the images; found by its type if empty.
        label_column: the column of a table that holds the classes; found by its type if empty.
    """

    validation: int
    data_dir: Path | None = None
    download: bool = True
    progress: bool = True
    image_size: int = 0
    image_column: str = ""
    label_column: str = ""
