"""The user's own data: from Python, or by the import path of a function that returns them.

Loading ``package.module:function`` runs that code: do it only with a config you trust. Checking a
name runs nothing.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator, Mapping, Sized
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
)

from lottery.data.arrays import as_array, as_examples, checked_dataset
from lottery.data.dataset import Dataset
from lottery.data.request import Request
from lottery.data.splits import Examples
from lottery.errors import DataError, LotteryError, UsageError, describe_error, format_names
from lottery.import_paths import imported

_PARTS: Final = {2: ("train", "test"), 3: ("train", "validation", "test")}
_EXPECTED: Final = (
    "expected a lottery.Dataset, or (train, test) or (train, validation, test), each a "
    "torch.utils.data.Dataset, a DataLoader or a pair (inputs, targets)"
)


def load_own(name: str, request: Request) -> Dataset:
    """The dataset that a function of the user's returns; see `as_dataset`.

    The function is called without arguments, or with ``data_dir`` if it has such a parameter. The
    global random generators of torch, numpy and Python are seeded before the call, so that it
    returns the same every time, and restored after it.

    Args:
        name: ``package.module:function``.
        request: how many examples to hold out if the function holds out none, and the directory of
            datasets.

    Raises:
        UsageError: there is no such function, or it fails.
        DataError: what it returns is no dataset, or there is something wrong with the examples.
    """
    function = imported("data.name", name)
    if not callable(function):
        raise UsageError(f"data.name: expected {name} to be a function, got {_kind(function)}")
    with _fixed_randomness():
        try:
            takes_folder = "data_dir" in inspect.signature(function).parameters
            found = function(data_dir=request.data_dir) if takes_folder else function()
        except LotteryError:
            raise
        except Exception as error:
            raise UsageError(
                f"data.name: calling {name} failed with {describe_error(error)}"
            ) from error
    return as_dataset(found, name=name, validation=request.validation)


def as_dataset(source: object, *, name: str = "", validation: int = 5_000) -> Dataset:
    """Data in any of the usual forms as a `Dataset`.

    Unsigned bytes are images, which are standardized with mean and deviation of the training split;
    floats are used as they are; other integers are token ids, for a network that begins with an
    embedding. All examples are read into memory, once: a random transform is applied once, with
    global generators at a fixed seed.

    Args:
        source: a `Dataset`, which is returned, renamed if ``name`` is given; or a tuple
            (train, test) or (train, validation, test) of torch datasets, of DataLoaders, whose
            datasets are read, or of pairs (inputs, targets) of tensors or arrays, ``[N, ...]`` and
            ``[N]``.
        name: what it is called in reports.
        validation: how many training examples to hold out if there is no validation set; the same
            ones in every run.

    Raises:
        DataError: it is none of these, or there is something wrong with the examples.

    >>> inputs, targets = torch.randn(90, 4), torch.arange(90) % 3
    >>> data = as_dataset(((inputs, targets), (inputs[:30], targets[:30])), validation=20)
    >>> len(data.train), len(data.validation), len(data.test), data.classes, data.input_shape
    (70, 20, 30, 3, (4,))
    """
    if isinstance(source, Dataset):
        return replace(source, name=name) if name else source
    name = name or "own data"
    if not isinstance(source, (tuple, list)) or len(source) not in _PARTS:
        raise DataError(f"{name}: {_EXPECTED}; got {_kind(source)}.")
    if len(source) == 2 and all(isinstance(one, (torch.Tensor, np.ndarray)) for one in source):
        raise DataError(
            f"{name}: {_EXPECTED}; got one pair of arrays, with nothing to test on. Split them: "
            "((inputs[n:], targets[n:]), (inputs[:n], targets[:n]))."
        )
    parts, notes = {}, []
    for part, one in zip(_PARTS[len(source)], source, strict=True):
        parts[part] = _examples(f"{name}: {part}", one)
        if isinstance(one, DataLoader):
            notes.append(
                f"{name}: {len(parts[part]):,} {part} examples of a DataLoader, read once; batches "
                "are made as data and training say"
            )
    return checked_dataset(
        name,
        parts["train"],
        parts["test"],
        parts.get("validation"),
        validation=validation,
        stream="own",
        notes=tuple(notes),
    )


def _examples(what: str, source: object) -> Examples:
    """One part of the data."""
    if isinstance(source, DataLoader):
        _check_sampler(what, source)
        source = source.dataset
    if isinstance(source, TensorDataset) and len(source.tensors) == 2:
        source = source.tensors
    if isinstance(source, (tuple, list)) and len(source) == 2:
        return as_examples(what, *source)
    if isinstance(source, IterableDataset) or not (
        hasattr(source, "__getitem__") and isinstance(source, Sized)
    ):
        raise DataError(
            f"{what}: expected a torch dataset with a length, a DataLoader of one or a pair "
            f"(inputs, targets), got {_kind(source)}. Of an iterable one, read the examples and "
            "give them as tensors, or use a loop of your own: lottery.find_tickets."
        )
    with _fixed_randomness():
        return _read(what, source)


def _read(what: str, source: Any) -> Examples:
    """The examples of a map-style dataset, one by one."""
    inputs: Any = None
    targets = []
    for row in range(len(source)):
        try:
            example = source[row]
            if isinstance(example, Mapping):  # which would come apart into its keys
                raise TypeError(f"it is a dict of {format_names([*map(str, example)])}")
            value, target = example
        except LotteryError:
            raise
        except Exception as error:
            raise DataError(
                f"{what}: expected example {row:,} as a pair (input, target), but reading it "
                f"failed with {describe_error(error)}."
            ) from error
        value = as_array(f"{what}: input of example {row:,}", value)
        if inputs is None:
            inputs = np.empty((len(source), *value.shape), value.dtype)
        if (value.shape, value.dtype) != (inputs.shape[1:], inputs.dtype):
            raise DataError(
                f"{what}: expected inputs of one shape and type, but example 0 is {inputs.dtype} "
                f"{inputs.shape[1:]} and example {row:,} {value.dtype} {value.shape}. Add a "
                "transform that brings them to one."
            )
        inputs[row] = value
        targets.append(target)
    return as_examples(what, np.empty((0, 1), np.float32) if inputs is None else inputs, targets)


def _check_sampler(what: str, loader: DataLoader[Any]) -> None:
    """A loader that takes a part of its dataset would have the rest read as well."""
    if isinstance(loader.dataset, IterableDataset):
        return
    sampler = loader.sampler
    usual = isinstance(sampler, (SequentialSampler, RandomSampler)) and loader.batch_size
    if not usual or len(sampler) != len(loader.dataset):  # type: ignore[arg-type]
        raise DataError(
            f"{what}: expected a DataLoader of all examples of its dataset, but its sampler "
            f"({type(sampler).__name__}) may choose others. Give the dataset of what it chooses: "
            "torch.utils.data.Subset(dataset, indices)."
        )


@contextmanager
def _fixed_randomness() -> Iterator[None]:
    """The global generators begin at a fixed seed, and are left as they were."""
    state, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        random.seed(0)
        np.random.seed(0)
        try:
            yield
        finally:
            random.setstate(state)
            np.random.set_state(numpy_state)


def _kind(value: object) -> str:
    size = f" of {len(value)}" if isinstance(value, (tuple, list)) else ""
    return f"{type(value).__name__}{size}"
