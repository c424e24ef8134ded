"""Which images are learned from, which measure, and of which class they are."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lottery.data.class_folders import TEST_FOLDERS, TEST_SHARE, class_folders, hashed_tenth
from lottery.errors import DataError

PLAIN = ("train/cat/1.jpg", "train/dog/2.png", "train/dog/1.JPEG", "test/cat/9.jpg")


def test_folders_of_both_parts() -> None:
    found = class_folders("here", PLAIN)

    assert found.classes == ("cat", "dog")
    assert tuple(found.train) == ("train/cat/1.jpg", "train/dog/1.JPEG", "train/dog/2.png")
    assert tuple(found.test) == ("test/cat/9.jpg",)
    assert [*found.train.values()] == [0, 1, 1]


@pytest.mark.parametrize("folder", TEST_FOLDERS)
def test_names_of_the_folder_that_measures(folder: str) -> None:
    names = [name.replace("test/", f"{folder}/") for name in PLAIN]

    assert tuple(class_folders("here", names).test) == (f"{folder}/cat/9.jpg",)


def test_of_two_folders_that_could_measure_it_is_test() -> None:
    found = class_folders("here", [*PLAIN, "val/cat/7.jpg", "other/cat/6.jpg"])

    assert tuple(found.test) == ("test/cat/9.jpg",)
    assert len(found.train) == 3


def test_all_in_one_more_folder() -> None:
    found = class_folders("here", [f"flowers/{name}" for name in PLAIN])

    assert found.classes == ("cat", "dog")
    assert next(iter(found.train)) == "flowers/train/cat/1.jpg"


def test_dots_and_slashes_in_a_tar_file_mean_nothing() -> None:
    found = class_folders("here", [f"./{name}" for name in PLAIN])

    assert found.classes == ("cat", "dog")


def test_deeper_folders_belong_to_their_class() -> None:
    found = class_folders("here", [*PLAIN, "train/cat/old/big/5.jpg"])

    assert found.train["train/cat/old/big/5.jpg"] == 0


@pytest.mark.parametrize("prefix", ["", "train/"])
def test_a_fixed_tenth_is_held_out_where_no_folder_measures(prefix: str) -> None:
    names = [f"{prefix}{label}/{n}.jpg" for label in ("cat", "dog") for n in range(1_000)]

    found = class_folders("here", names)

    assert 140 < len(found.test) < 260
    assert sorted((*found.train, *found.test)) == sorted(names)
    # Where they lie means nothing, and neither do other images.
    fewer = class_folders("there", [name for name in names if not name.endswith("7.jpg")])
    assert set(fewer.test) == {name for name in found.test if not name.endswith("7.jpg")}


def held_out(name: str) -> bool:
    """Whether an image is in the tenth by its name alone."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") < TEST_SHARE * 2**64


@given(st.text(min_size=1))
@settings(deadline=None)
def test_any_name_may_be_held_out(name: str) -> None:
    assert len(hashed_tenth({name: 0, f"{name}'": 0})) == 1


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([], "expected images as train/CLASS/IMAGE .* but found none"),
        (["test/cat/1.jpg", "test/dog/2.jpg"], "a folder 'train' beside 'test'"),
        ([*PLAIN, "train/3.jpg"], "train/3.jpg is in none"),
        ([*PLAIN, "test/bird/1.jpg"], "bird does not occur in training"),
        (["train/cat/1.jpg", "test/cat/1.jpg"], "at least 2 classes"),
        ([f"train/{n}.jpg" for n in range(9)], "and 4 more are in none"),
    ],
)
def test_what_is_wrong(names: list[str], reason: str) -> None:
    with pytest.raises(DataError, match=f"here: .*{reason}"):
        class_folders("here", names)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Train", "Test"),
        ("TRAIN", "VAL"),
        ("training", "testing"),
        ("Training", "validation"),
        ("train", "Testing"),
    ],
)
@pytest.mark.parametrize("wrapper", ["", "Pets/"])
def test_other_spellings_of_both_parts(train: str, test: str, wrapper: str) -> None:
    parts = {"train": train, "test": test}
    names = [name.split("/", 1) for name in PLAIN]

    found = class_folders("here", [f"{wrapper}{parts[part]}/{name}" for part, name in names])

    assert found.classes == ("cat", "dog")
    assert (len(found.train), len(found.test)) == (3, 1)
    assert tuple(found.test) == (f"{wrapper}{test}/cat/9.jpg",)


@pytest.mark.parametrize("top", ["training", "Train", "flowers"])
def test_one_folder_of_classes(top: str) -> None:
    names = [f"{label}/{n}.jpg" for label in ("cat", "dog") for n in range(99)]

    found = class_folders("here", [f"{top}/{name}" for name in names])

    assert found.classes == ("cat", "dog")
    assert tuple(found.test) == tuple(f"{top}/{name}" for name in class_folders("here", names).test)


@pytest.mark.parametrize("tops", [("train", "Train", "test"), ("train", "Test", "test")])
def test_two_folders_of_one_name(tops: tuple[str, ...]) -> None:
    names = [f"{top}/{label}/{n}.jpg" for top in tops for label in ("a", "b") for n in range(9)]

    with pytest.raises(DataError, match=r"expected one of T.*, t.* Arrange images"):
        class_folders("here", names)


def test_other_folders_are_passed_over_which_is_noted() -> None:
    found = class_folders("here", [*PLAIN, "val/cat/7.jpg", "my_test/cat/6.jpg"])

    assert found.notes == ("here: passed over beside 'train': my_test, val",)


def test_folders_that_may_be_parts_are_classes_which_is_noted() -> None:
    names = [f"{top}/x/{n}.jpg" for top in ("seg_train", "seg_test") for n in range(9)]

    found = class_folders("here", names)

    assert found.classes == ("seg_test", "seg_train")
    assert found.notes == (
        "here: seg_test, seg_train are taken for classes, not for parts of the data",
    )


def test_classes_whose_names_hold_those_words() -> None:
    classes = ["bullet train", "contest", "test tube", "train_station", "trainer", "valley"]

    for prefix in ("", "train/"):
        found = class_folders(
            "here", [f"{prefix}{name}/{n}.jpg" for name in classes for n in range(50)]
        )

        assert list(found.classes) == classes


@given(st.dictionaries(st.text("abc", min_size=1, max_size=4), st.integers(1, 12), min_size=20))
@settings(deadline=None, max_examples=40)
def test_every_class_is_learned_where_no_folder_measures(counts: dict[str, int]) -> None:
    """The tenth is what it always was but for classes that would lie in it as a whole, or not."""
    names = [f"{name}/{n}.jpg" for name, count in counts.items() for n in range(count)]
    tenth = {name for name in names if held_out(name)}
    whole = {
        name
        for name, count in counts.items()
        if all(f"{name}/{n}.jpg" in tenth for n in range(count))
    }
    rest = {name for name in tenth if name.split("/")[0] not in whole}
    without = {
        name
        for name, count in counts.items()
        if count > 1 and not any(f"{name}/{n}.jpg" in tenth for n in range(count))
    }
    assume(rest or without)

    found = class_folders("here", names)

    assert list(found.classes) == sorted(counts)
    assert set(found.train.values()) == set(range(len(counts)))
    assert {name for name in found.test if name.split("/")[0] not in whole | without} == rest
    for name in without:
        assert sum(image.startswith(f"{name}/") for image in found.test) == 1
    for name in whole:
        assert sum(image.startswith(f"{name}/") for image in found.train) == 1
