"""Datasets of Hugging Face: tables with columns of images or numbers, and of classes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lottery.data.arrays import as_examples, checked_dataset
from lottery.data.class_folders import hashed_tenth
from lottery.data.dataset import Dataset
from lottery.data.image_cache import load_images
from lottery.data.plain_files import one_line
from lottery.data.request import Request
from lottery.data.sources import Encoded, EncodedImages, ImageSource
from lottery.errors import DataError
from lottery.integrations.hf_datasets import Part, Tables, open_tables


def load_hf(name: str, rest: str, request: Request) -> Dataset:
    """A dataset of Hugging Face: images, decoded once into the cache, or numeric columns.

    Without a test split, a fixed tenth of the training examples becomes the test set.

    Args:
        name: what it is called in configs and reports.
        rest: what follows ``hf:``.
        request: how many to hold out, which columns to use.
    """
    tables = open_tables(rest, image_column=request.image_column, label_column=request.label_column)
    if tables.has_images:
        return load_images(name, table_source(name, tables), request)
    return _numeric_dataset(name, tables, request)


def _numeric_dataset(name: str, tables: Tables, request: Request) -> Dataset:
    """Floats ``[N, columns]``, standardized with mean and deviation of all training rows."""
    learned, tested = _shared_out(tables)
    train = _numbers(f"{name}: train", tables.train)
    labels = np.array(tables.train.labels)
    test, test_labels = train[tested], labels[tested]
    if tables.test is not None:
        test, test_labels = _numbers(f"{name}: test", tables.test), np.array(tables.test.labels)
    train, labels = train[learned], labels[learned]
    # Six digits, which are the same on every machine.
    mean, deviation = (
        np.array([float(f"{one:.6g}") for one in values])
        for values in (train.mean(axis=0), train.std(axis=0))
    )
    deviation[deviation == 0] = 1
    training, testing = (
        as_examples(f"{name}: {part}", (values - mean) / deviation, classes)
        for part, values, classes in (("train", train, labels), ("test", test, test_labels))
    )
    data = checked_dataset(
        name, training, testing, validation=request.validation, stream="hf", notes=tables.notes
    )
    return replace(
        data, classes=len(tables.classes), class_names=tuple(map(one_line, tables.classes))
    )


def _numbers(what: str, part: Part) -> NDArray[np.float64]:
    numbers = part.numbers()
    for column, values in zip(part.columns, numbers.T, strict=True):
        missing = int((~np.isfinite(values)).sum())
        if missing:
            raise DataError(
                f"{what}: expected a number in '{one_line(column)}' for each example, but "
                f"{missing:,} of {len(values):,} have none. Fill them, or leave the column out."
            )
    return numbers


def _shared_out(tables: Tables) -> tuple[list[int], list[int]]:
    """Rows of the training part that are for training, and those that are for testing."""
    labels = {str(row): label for row, label in enumerate(tables.train.labels)}
    measures = hashed_tenth(labels) if tables.test is None else set()
    rows = range(len(labels))
    return (
        [row for row in rows if str(row) not in measures],
        [row for row in rows if str(row) in measures],
    )


def table_source(what: str, tables: Tables) -> ImageSource:
    """The images of a dataset of tables."""
    train, test = tables.train, tables.test
    learned, tested = _shared_out(tables)
    number_of = {row: number for number, row in enumerate([*learned, *tested])}
    test_labels = test.labels if test else tuple(train.labels[row] for row in tested)

    def read() -> Iterator[Encoded]:
        yield from _encoded(f"{what}, training example", train, number_of)
        if test is not None:
            first = len(train.labels)
            numbers = {row: first + row for row in range(len(test.labels))}
            yield from _encoded(f"{what}, test example", test, numbers)

    columns = [train.columns[0], *([test.columns[0]] if test else [])]
    prints = [train.fingerprint, *([test.fingerprint] if test else [])]
    identity = repr(
        (what, prints, columns, train.labels, test_labels, tables.classes, tables.notes)
    )
    images = EncodedImages(
        classes=tuple(map(one_line, tables.classes)),
        train=tuple(train.labels[row] for row in learned),
        test=test_labels,
        read=read,
        notes=tables.notes,
    )
    return ImageSource(
        what=what, identity=hashlib.sha256(identity.encode()).hexdigest(), open=lambda: images
    )


def _encoded(what: str, part: Part, number_of: dict[int, int]) -> Iterator[Encoded]:
    for row, contents in enumerate(part.images()):
        trouble = "" if contents else "it has no image, or one whose file is missing or too large"
        yield Encoded(number_of[row], f"{what} {row:,}", contents, trouble)
