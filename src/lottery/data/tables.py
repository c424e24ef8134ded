"""Datasets that another package keeps as tables of images and classes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from lottery.data.arrange import tenth
from lottery.data.dataset import Dataset
from lottery.data.image_sets import load_images
from lottery.data.names import shown
from lottery.data.request import Request
from lottery.data.sources import Encoded, ImageSource
from lottery.integrations.hf_datasets import Part, Tables, open_tables


def load_hf(name: str, rest: str, request: Request) -> Dataset:
    """A dataset of Hugging Face, decoded once into the cache.

    Where no part of it measures, a fixed tenth of the training examples does.

    Args:
        name: what it is called in configs and reports.
        rest: what follows ``hf:``.
        request: how many to hold out, which columns to take.
    """
    tables = open_tables(rest, image_column=request.image_column, label_column=request.label_column)
    return load_images(name, table_source(name, tables), request)


def table_source(what: str, tables: Tables) -> ImageSource:
    """The images of a dataset of tables."""
    train, test = tables.train, tables.test
    count = len(train.labels)
    # Without a part that measures, rows are shared out by their numbers.
    labels = {str(row): label for row, label in enumerate(train.labels)}
    measures = tenth(labels) if test is None else set()
    learned = [row for row in range(count) if str(row) not in measures]
    tested = [row for row in range(count) if str(row) in measures]
    number_of = {row: number for number, row in enumerate([*learned, *tested])}
    test_labels = test.labels if test else tuple(train.labels[row] for row in tested)

    def read() -> Iterator[Encoded]:
        yield from _encoded(f"{what}, training example", train, number_of)
        if test is not None:
            numbers = {row: count + row for row in range(len(test.labels))}
            yield from _encoded(f"{what}, test example", test, numbers)

    columns = [train.column, *([test.column] if test else [])]
    prints = [train.fingerprint, *([test.fingerprint] if test else [])]
    identity = repr((what, prints, columns, train.labels, test_labels, tables.classes))
    return ImageSource(
        what=what,
        identity=hashlib.sha256(identity.encode()).hexdigest(),
        classes=tuple(map(shown, tables.classes)),
        train=tuple(train.labels[row] for row in learned),
        test=test_labels,
        read=read,
        notes=tables.notes,
    )


def _encoded(what: str, part: Part, number_of: dict[int, int]) -> Iterator[Encoded]:
    for row, contents in enumerate(part.images()):
        trouble = "" if contents else "it has no image, or one whose file is missing or too large"
        yield Encoded(number_of[row], f"{what} {row:,}", contents, trouble)
