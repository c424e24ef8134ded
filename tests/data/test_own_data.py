"""Data of one's own become a dataset, or an error that says what is wrong with them."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
)
from torch.utils.data import Dataset as TorchDataset

from lottery.data import DataConfig, Dataset, as_dataset, load_dataset
from lottery.errors import DataError, UsageError
from lottery.testing import DATASET_CHECKS

Pair = tuple[torch.Tensor, torch.Tensor]


def points(count: int, seed: int = 0) -> Pair:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 4, generator=generator), torch.arange(count) % 3


class Pairs(TorchDataset[Any]):
    """A dataset of the user's, with a transform."""

    def __init__(self, pair: Pair, change: Callable[[torch.Tensor], Any] = lambda x: x) -> None:
        self.pair, self.change = pair, change

    def __len__(self) -> int:
        return len(self.pair[1])

    def __getitem__(self, row: int) -> tuple[Any, int]:
        return self.change(self.pair[0][row]), int(self.pair[1][row])


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(())


def loader(pair: Pair, **options: Any) -> DataLoader[Any]:
    return DataLoader(TensorDataset(*pair), batch_size=7, **options)


KINDS: dict[str, Callable[[Pair], Any]] = {
    "tensors": lambda pair: pair,
    "arrays": lambda pair: (pair[0].double().numpy(), pair[1].numpy().astype(np.int32)),
    "lists": lambda pair: [one.tolist() for one in pair],
    "column": lambda pair: (pair[0], pair[1][:, None].float()),
    "tensor dataset": lambda pair: TensorDataset(*pair),
    "own dataset": Pairs,
    "loader": lambda pair: loader(pair, shuffle=True),
    "loader of own": lambda pair: DataLoader(Pairs(pair), batch_size=4),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_data(kind: str) -> None:
    make = KINDS[kind]
    train, test = points(60), points(12, 1)

    data = as_dataset((make(train), make(test)), validation=15)

    for check in DATASET_CHECKS:
        check(data)
    assert (len(data.train), len(data.validation), data.classes) == (45, 15, 3)
    assert torch.equal(data.test.inputs, test[0])
    assert torch.equal(data.test.targets, test[1])
    assert torch.equal(data.batch("test", slice(None))[0], test[0])
    learned = torch.cat([data.train.inputs, data.validation.inputs])
    assert sorted(learned.tolist()) == sorted(train[0].tolist())
    same = as_dataset((train, test), validation=15)
    assert data.fingerprint() == same.fingerprint()
    assert len(data.notes) == (2 if "loader" in kind else 0)


def test_three_parts() -> None:
    train, validation, test = points(60), points(9, 2), points(12, 1)

    data = as_dataset((train, validation, test), name="mine", validation=1)

    assert data.name == "mine"
    assert torch.equal(data.train.inputs, train[0])
    assert torch.equal(data.validation.inputs, validation[0])
    assert torch.equal(data.test.inputs, test[0])


def test_a_dataset_is_given_back() -> None:
    data = as_dataset((points(60), points(12)), name="mine", validation=5)

    assert as_dataset(data) is data
    assert as_dataset(data, name="other").name == "other"


def test_changing_the_users_arrays_changes_nothing() -> None:
    train, test = points(60), points(12)
    data = as_dataset((train, test, test), validation=5)
    before = data.fingerprint()

    for values, labels in (train, test):
        values.zero_()
        labels.zero_()

    assert data.fingerprint() == before


@pytest.mark.parametrize("shape", [(5, 6), (3, 5, 6), (5, 6, 3), (5, 6, 1)])
def test_bytes_are_images_and_standardized(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, *shape), dtype=np.uint8)
    labels = np.arange(50) % 2
    pillow = len(shape) == 2 or shape[-1] == 3
    images = [Image.fromarray(one) for one in pixels] if pillow else pixels

    for source in (pixels, images if shape != (3, 5, 6) else pixels):
        pair = list(zip(source, labels, strict=True))
        data = as_dataset(((pixels, labels), (pixels, labels)), validation=10)
        again = as_dataset((pair, pair), validation=10)

        assert data.input_shape == {(5, 6): (1, 5, 6), (5, 6, 1): (1, 5, 6)}.get(shape, (3, 5, 6))
        assert again.fingerprint() == data.fingerprint()
        seen = data.batch("train", slice(None))[0]
        torch.testing.assert_close(seen.mean().item(), 0.0, atol=1e-5, rtol=0)


def test_token_ids_stay_whole() -> None:
    ids, labels = torch.arange(240).view(40, 6), torch.arange(40) % 2

    data = as_dataset(((ids, labels), (ids + 240, labels)), validation=10)

    for check in DATASET_CHECKS:
        check(data)
    ids += 240
    assert data.batch("test", slice(None))[0].dtype == torch.int64
    assert torch.equal(data.batch("test", slice(None))[0], ids)


def test_random_transforms_are_drawn_once_and_leave_the_generators_alone() -> None:
    def noisy(x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand(4) + random.random() + np.random.random()

    before = torch.random.get_rng_state(), random.getstate(), repr(np.random.get_state())

    one, two = (
        as_dataset((Pairs(points(30), noisy), points(9)), validation=5).fingerprint()
        for _ in range(2)
    )

    assert one == two
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert repr(np.random.get_state()) == before[2]


GOOD = points(30)


def with_targets(targets: Any) -> Any:
    return (GOOD[0], targets)


def ragged(x: torch.Tensor) -> torch.Tensor:
    return x[: 3 + (x[0] > 0).int()]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (GOOD, "got one pair of arrays, with nothing to test on. Split them"),
        (7, "expected a lottery.Dataset, or .*; got int"),
        ((GOOD,), "got tuple of 1"),
        ((GOOD, GOOD, GOOD, GOOD), "got tuple of 4"),
        ((GOOD, 7), "test: expected a torch dataset .* got int"),
        ((GOOD, Stream()), "test: .* got Stream. Of an iterable one"),
        ((GOOD, DataLoader(Stream())), "got Stream. Of an iterable one"),
        ((GOOD, points(0)), r"test: expected one example or more, got inputs of shape \(0, 4\)"),
        ((GOOD, Pairs(points(0))), "test: expected one example or more"),
        ((GOOD, (GOOD[0], GOOD[1][:-1])), "test: expected one label .* 30 inputs and 29 targets"),
        ((GOOD, (GOOD[0][:, :3], GOOD[1])), "as in train, float32 of 4, got float32 of 3"),
        ((GOOD, (GOOD[0].byte(), GOOD[1])), "as in train, float32 of 4, got uint8 of 4"),
        ((GOOD, (GOOD[0][:, 0], GOOD[1])), r"test inputs: .* got shape \(30,\)"),
        ((GOOD, (GOOD[0].to(torch.complex64), GOOD[1])), "expected numbers, got type complex64"),
        ((GOOD, (np.array([["a", "b"]] * 30), GOOD[1])), "expected numbers, got type <U1"),
        ((GOOD, ([[1.0], [2.0, 3.0]], [0, 1])), "cannot become one array"),
        ((GOOD, (GOOD[0] / 0, GOOD[1])), "test: expected numbers, but 30 of 30 .* NaN or inf"),
        ((with_targets(GOOD[1] + 0.5), GOOD), r"whole, got 0.5 for example 0.*find_tickets"),
        ((with_targets(GOOD[1] * float("nan")), GOOD), r"whole, got nan for example 0"),
        ((with_targets(GOOD[0]), GOOD), r"train targets: .* got shape \(30, 4\).*argmax.*find_tic"),
        ((with_targets(GOOD[1] - 1), GOOD), "0 or more, got -1. Number the classes"),
        ((with_targets(GOOD[1] * 10**12), GOOD), "fewer than the 30 .* got 2000000000000. Number"),
        ((with_targets(["a"] * 30), GOOD), "train targets: .* got type <U1"),
        ((with_targets(GOOD[1] * 0), GOOD), "targets of at least 2 classes, got only 0"),
        ((with_targets(GOOD[1] % 2), GOOD), "test: expected the classes .* from 0 to 1, got 2"),
        ((with_targets(GOOD[1] % 2 * 2), GOOD), "test: expected the classes .* got 1, which nothi"),
        ((GOOD, (GOOD[0], GOOD[1] + 1), GOOD), "validation: expected the classes .* got 3"),
        ((Pairs(GOOD, ragged), GOOD), "inputs of one shape and type, but example 0"),
        ((Pairs(GOOD, lambda _: [1, [2, 3]]), GOOD), r"input of example 0: .* become one array"),
        ((Pairs(GOOD, lambda x: 1 / 0), GOOD), r"example 0 as a pair .* ZeroDivisionError"),
        ((list(range(30)), GOOD), r"train: expected example 0 as a pair .* TypeError"),
        (([{"x": 1.0, "y": 0}] * 3, GOOD), r"example 0 as a pair .* it is a dict of x, y"),
        (
            (loader(GOOD, sampler=SubsetRandomSampler(range(9))), GOOD),
            r"SubsetRandomSampler\) may choose others.*torch.utils.data.Subset",
        ),
        ((loader(points(3)), GOOD), "test: expected inputs"),
    ],
)
def test_what_is_wrong(source: Any, reason: str) -> None:
    if reason == "test: expected inputs":  # data too few to hold 5 out
        reason = "cannot hold 5 examples out"
    with np.errstate(all="ignore"), pytest.raises(DataError, match=reason):
        as_dataset(source, name="mine", validation=5)


def test_examples_of_bfloat16_are_read_one_by_one_as_all_at_once() -> None:
    short = points(30)[0].bfloat16(), points(30)[1]

    one, other = (as_dataset((part, GOOD), validation=5) for part in (Pairs(short), short))

    assert torch.equal(one.train.inputs, other.train.inputs)
    assert one.train.inputs.dtype == torch.float32


def test_a_part_of_a_dataset() -> None:
    whole = TensorDataset(*points(60))
    parts = Subset(whole, range(45)), Subset(whole, range(45, 60))

    data = as_dataset(tuple(DataLoader(part, batch_size=8) for part in parts), validation=5)

    assert len(data.train) + len(data.validation) == 45
    assert torch.equal(data.test.inputs, whole.tensors[0][45:])
    assert data.notes[0].startswith("own data: 45 train examples of a DataLoader, read once")


MODULE = """
import torch

imported = True

def parts(count=60):
    inputs = torch.randn(count, 4)
    return (inputs, torch.arange(count) % 3), (inputs[:30], torch.arange(30) % 3)

def of_folder(data_dir):
    return parts(len(list(data_dir.iterdir())))

def nothing():
    return None

def failing():
    raise ValueError("no\\nluck")

constant = 7
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "data_of_mine.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield "data_of_mine"
    sys.modules.pop("data_of_mine", None)


def load(name: str, data_dir: Path | None = None) -> Dataset:
    config = DataConfig(name=name, validation=5)
    return load_dataset(config, data_dir=data_dir, progress=False)


class TestFunctions:
    def test_what_it_returns_is_the_data(self, module: str) -> None:
        state = torch.random.get_rng_state()
        one, two = load(f"{module}:parts"), load(f"{module}:parts")

        assert (len(one.train), len(one.validation), len(one.test)) == (55, 5, 30)
        assert one.name == "data_of_mine:parts"
        # What it draws at random is the same every time.
        assert one.fingerprint() == two.fingerprint()
        assert torch.equal(torch.random.get_rng_state(), state)
        assert load(f"few:{module}:parts").name == "few:data_of_mine:parts"

    def test_a_function_of_the_data_directory(self, module: str, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        for number in range(42):
            (tmp_path / "data" / str(number)).touch()

        assert len(load(f"{module}:of_folder", tmp_path / "data").train) == 37

    def test_checking_a_name_runs_nothing(self, module: str) -> None:
        assert DataConfig(name=f"{module}:parts").problems() == []

        assert module not in sys.modules

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("no_such_module:load", "no_such_module cannot be imported: ModuleNotFoundError"),
            ("data_of_mine:missing", "data_of_mine has no 'missing'"),
            ("data_of_mine:constant", "expected data_of_mine:constant to be a function"),
            (
                "data_of_mine:failing",
                "data_of_mine:failing failed with ValueError: no luck",
            ),
            ("data_of_mine:nothing", "data_of_mine:nothing: expected a lottery.Dataset"),
            ("data_of_mine:of_folder", "AttributeError"),
        ],
    )
    def test_what_is_wrong(self, module: str, name: str, reason: str) -> None:
        with pytest.raises((UsageError, DataError), match=reason):
            load(name)
