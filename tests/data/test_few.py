"""Datasets with few of their test examples."""

from __future__ import annotations

import torch

from lottery.data import DataConfig, Dataset, check_dataset, describe_dataset, load_dataset
from lottery.data.catalog import with_few_tests
from lottery.data.dataset import Split


def test_everything_but_the_test_set_is_that_of_the_whole() -> None:
    whole = load_dataset(DataConfig(name="mnist-5k", validation=500))
    few = load_dataset(DataConfig(name="few:mnist-5k", validation=500))

    assert few.name == "few:mnist-5k"
    for name in ("train", "validation"):
        assert few.split(name).inputs.equal(whole.split(name).inputs)
        assert few.split(name).targets.equal(whole.split(name).targets)
    assert (few.mean, few.deviation, few.classes) == (whole.mean, whole.deviation, whole.classes)
    assert few.test.inputs.equal(whole.test.inputs[::10])
    assert few.test.targets.equal(whole.test.targets[::10])
    assert few.fingerprint() != whole.fingerprint()


def sorted_by_class(classes: int, each: int) -> Dataset:
    targets = torch.arange(classes).repeat_interleave(each)
    split = Split(torch.arange(len(targets), dtype=torch.float32).view(-1, 1), targets)
    return Dataset(name="sorted", train=split, validation=split, test=split, classes=classes)


def test_what_is_left_lies_evenly_apart() -> None:
    few = with_few_tests(sorted_by_class(classes=20, each=7), "few:sorted")
    assert len(few.test) == 100
    assert few.test.targets.unique().tolist() == list(range(20))
    apart = few.test.inputs.flatten().diff()
    assert set(apart.tolist()) == {1.0, 2.0}


def test_a_small_test_set_stays_whole() -> None:
    whole = sorted_by_class(classes=3, each=4)
    assert with_few_tests(whole, "few:sorted").test.inputs.equal(whole.test.inputs)


def test_the_whole_is_checked_by_its_own_name() -> None:
    assert "did you mean 'mnist'" in str(check_dataset("few:mnits"))
    assert "expected a folder after 'idx:'" in str(check_dataset("few:idx:"))
    (problem,) = DataConfig(name="few:mnist", image_size=32).problems()
    assert problem.startswith("image_size: has no meaning")
    assert DataConfig(name="few:folder:flowers", image_size=32).problems() == []


def test_its_facts_are_known_without_loading() -> None:
    few, whole = describe_dataset("few:mnist"), describe_dataset("mnist")
    assert (few.training_examples, few.test_examples) == (whole.training_examples, 100)
