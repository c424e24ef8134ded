"""Examples split anew, and labels drawn at random."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lottery.data import DataConfig, load_dataset
from lottery.data.dataset import Dataset, Split
from lottery.data.shifts import split_anew, with_random_labels
from lottery.errors import ConfigError, DataError

ROWS = 1_000


def numbered(classes: int = 4) -> Dataset:
    """Examples that are their own numbers."""

    def split(first: int, count: int) -> Split:
        places = torch.arange(first, first + count)
        return Split(places.reshape(-1, 1).float(), places % classes)

    return Dataset(
        name="numbers",
        validation=split(0, 100),
        train=split(100, ROWS),
        test=split(5_000, 50),
        classes=classes,
    )


def rows(split: Split) -> Tensor:
    return split.inputs.reshape(-1).long()


def test_a_new_split_is_of_the_same_examples_with_their_labels() -> None:
    whole, anew = numbered(), split_anew(numbered(), 1)
    assert (len(anew.train), len(anew.validation)) == (ROWS, 100)
    for split in (anew.train, anew.validation):
        assert torch.equal(split.targets, rows(split) % 4)
    both = torch.cat([rows(anew.train), rows(anew.validation)])
    assert torch.equal(both.sort().values, torch.arange(ROWS + 100))
    held_out = set(rows(anew.validation).tolist())
    # 100 of 1,100: by chance about 9 of them are the old ones.
    assert len(held_out & set(rows(whole.validation).tolist())) < 30
    assert held_out != set(rows(split_anew(whole, 2).validation).tolist())
    assert held_out == set(rows(split_anew(whole, 1).validation).tolist())
    assert torch.equal(anew.test.inputs, whole.test.inputs)
    assert anew.variant == "examples for training and validation split anew, number 1"


def test_what_lies_in_files_cannot_be_split_anew() -> None:
    whole = numbered()
    with pytest.raises(DataError, match=r"data\.split has no meaning"):
        split_anew(replace(whole, train=replace(whole.train, mapped=True)), 1)


def test_an_exact_share_of_the_labels_is_drawn_at_random() -> None:
    whole, less, more = (
        numbered(),
        with_random_labels(numbered(), 0.2),
        with_random_labels(numbered(), 0.5),
    )
    assert torch.equal(less.train.inputs, whole.train.inputs)
    for name in ("validation", "test"):
        assert torch.equal(less.split(name).targets, whole.split(name).targets)
    changed = {
        share: (data.train.targets != whole.train.targets)
        for share, data in ((0.2, less), (0.5, more))
    }
    # A quarter of those drawn from four classes keep theirs.
    assert 0.6 * 200 < int(changed[0.2].sum()) < 0.9 * 200
    assert 0.6 * 500 < int(changed[0.5].sum()) < 0.9 * 500
    assert torch.equal(less.train.targets[changed[0.2]], more.train.targets[changed[0.2]])
    assert set(more.train.targets.tolist()) == {0, 1, 2, 3}
    assert less.variant == "200 of 1,000 training labels drawn at random"
    assert torch.equal(with_random_labels(whole, 0).train.targets, whole.train.targets)
    assert less.fingerprint() != whole.fingerprint()


def test_a_config_asks_for_them() -> None:
    config = DataConfig(name="mnist-5k", validation=500, split=3, random_labels=0.1)
    data, plain = load_dataset(config), load_dataset(DataConfig(name="mnist-5k", validation=500))
    assert "split anew, number 3; 350 of 3,500 training labels" in data.variant
    assert not torch.equal(data.validation.targets, plain.validation.targets)
    assert data.test.targets.equal(plain.test.targets)
    assert load_dataset(config).fingerprint() == data.fingerprint()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": -1}, "split: must be from 0"),
        ({"random_labels": 1.5}, "random_labels: must be from 0 to 1, got 1.5"),
        ({"random_labels": -0.1}, "random_labels: must be from 0 to 1"),
    ],
)
def test_what_has_no_meaning_is_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_dataset(DataConfig(name="mnist-5k", validation=500, **settings))  # type: ignore[arg-type]
