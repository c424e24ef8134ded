"""Images on disk as a dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import Pixels, fill, held, load, pictures, png, tar_of
from PIL import Image

from lottery.data import (
    AugmentationConfig,
    DataConfig,
    image_cache,
    load_dataset,
    sources,
)
from lottery.data.cache_lock import cache_folder
from lottery.data.image_cache import cached_images, read_cache
from lottery.data.sources import Encoded, folder_source
from lottery.errors import DataError, UsageError
from lottery.testing import DATASET_CHECKS

KINDS: dict[Callable[[Path, dict[str, Pixels]], Path], str] = {fill: "folder", tar_of: "tar"}


def cached_targets(path: Path, count: int) -> torch.Tensor:
    """The first classes in a cache file, in the order in which they lie there."""
    found = read_cache(path)
    assert found is not None
    return found.targets[:count]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("make", [fill, tar_of])
class TestFoldersAndTarFiles:
    def test_no_name_reaches_the_terminal_as_it_is(
        self,
        tmp_path: Path,
        make: Callable[[Path, dict[str, Pixels]], Path],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        strange = "\x1b[2J[red]\n\u202e"
        images = {name.replace("cat", f"cat{strange}"): one for name, one in pictures().items()}
        place = make(tmp_path / f"data{strange[:5]}", images)
        config = DataConfig(name=f"{KINDS[make]}:{place}", validation=5)
        load_dataset(config, progress=True)
        assert "\x1b[2J" not in capsys.readouterr().err

        odd = images | {f"train/dog/{strange}.png": np.zeros((9, 9, 3), np.uint8)}
        place = make(tmp_path / f"odd{strange[:5]}", odd)
        with pytest.raises(DataError, match="images of one size") as caught:
            load_dataset(replace(config, name=f"{KINDS[make]}:{place}"), progress=False)
        assert str(caught.value).isprintable()

        monkeypatch.setattr(sources, "MAX_FILE", 3)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
        with pytest.raises(DataError, match="images cannot be used") as caught:
            load_dataset(config, progress=False)
        assert str(caught.value).replace("\n", "").isprintable()

    def test_every_image_with_its_class(
        self, tmp_path: Path, make: Callable[[Path, dict[str, Pixels]], Path]
    ) -> None:
        images = pictures()

        data = load(make(tmp_path / "pets", images))

        for splits, part in ((("train", "validation"), "train"), (("test",), "test")):
            expected = {
                pixels.transpose(2, 0, 1).tobytes(): int("dog" in name)
                for name, pixels in images.items()
                if name.startswith(part)
            }
            assert held(data, *splits) == expected
        assert (len(data.train), len(data.validation), len(data.test)) == (13, 5, 8)
        assert (data.classes, data.input_shape) == (2, (3, 6, 7))
        for check in DATASET_CHECKS:
            check(data)

    def test_mean_and_deviation_are_of_all_training_images(
        self, tmp_path: Path, make: Callable[[Path, dict[str, Pixels]], Path]
    ) -> None:
        images = pictures()

        data = load(make(tmp_path / "pets", images))

        train = np.stack([pixels for name, pixels in images.items() if name.startswith("train")])
        np.testing.assert_allclose(data.mean, (train / 255).mean((0, 1, 2)), atol=1e-12)
        np.testing.assert_allclose(data.deviation, (train / 255).std((0, 1, 2)), atol=1e-12)

    def test_a_rare_class_is_in_both_parts_and_the_cache_stays_as_it_is(
        self, tmp_path: Path, make: Callable[[Path, dict[str, Pixels]], Path]
    ) -> None:
        images = pictures()
        birds = {f"train/bird/{n}.png": images["train/cat/1.png"] + 1 + n for n in range(2)}
        place = make(tmp_path / "pets", images | birds)
        pets = held(load(place, 1), "train", "validation")
        (cached,) = (cache_folder() / "images").iterdir()
        before = cached.read_bytes()

        moved = 0
        for validation in range(3, 18):
            data = load(place, validation)
            assert data.train.targets.unique().tolist() == [0, 1, 2]
            assert data.validation.targets.unique().tolist() == [0, 1, 2]
            assert (len(data.validation), len(data.train)) == (validation, 20 - validation)
            assert held(data, "train", "validation") == pets
            whole = torch.cat([data.validation.targets, data.train.targets])
            moved += not torch.equal(whole, cached_targets(cached, 20))

        assert 0 < moved < 15, "where it was sound the split is what it always was"
        assert cached.read_bytes() == before

    def test_a_second_time_nothing_is_decoded(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        make: Callable[[Path, dict[str, Pixels]], Path],
    ) -> None:
        place = make(tmp_path / "pets", pictures())
        first = load(place).fingerprint()
        monkeypatch.setattr("lottery.data.images.decode", None)

        assert load(place).fingerprint() == first


def test_a_folder_and_a_tar_file_of_the_same_images_are_the_same_data(tmp_path: Path) -> None:
    one, two = load(fill(tmp_path / "a", pictures())), load(tar_of(tmp_path / "b", pictures()))

    assert one.fingerprint() == two.fingerprint()


def test_a_larger_validation_split_holds_every_smaller(tmp_path: Path) -> None:
    place = fill(tmp_path / "pets", pictures())

    few, many = load(place, validation=3), load(place, validation=8)

    assert torch.equal(many.validation.inputs[:3], few.validation.inputs)
    assert held(few, "train", "validation") == held(many, "train", "validation")
    assert torch.equal(many.test.inputs, few.test.inputs)
    with pytest.raises(DataError, match=r"18 training examples .* at most 17"):
        load(place, validation=18)


def test_images_of_any_size_are_brought_to_one(tmp_path: Path) -> None:
    images = pictures() | {"train/cat/99.png": np.full((40, 12, 3), 7, np.uint8)}
    place = fill(tmp_path / "pets", images)

    with pytest.raises(
        DataError, match=r"0.png is 7 x 6 pixels and .*99.png 12 x 40\. Set data\.im"
    ):
        load(place)
    data = load(place, size=5)

    assert data.input_shape == (3, 5, 5)
    assert torch.full((3, 5, 5), 7, dtype=torch.uint8).numpy().tobytes() in held(
        data, "train", "validation"
    )
    assert load(place, size=4).input_shape == (3, 4, 4)


def test_that_images_differ_in_size_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lottery.data.decoding._AT_ONCE", 2)
    images = pictures() | {"train/cat/1.png": np.zeros((9, 8, 3), np.uint8)}
    source = folder_source(fill(tmp_path / "pets", images))
    seen = []

    encoded = source.open()

    def read() -> Iterator[Encoded]:
        for image in encoded.read():
            seen.append(image.number)
            yield image

    with pytest.raises(DataError, match=r"1.png 8 x 9\. Set data\.image_size") as caught:
        cached_images(replace(source, open=lambda: replace(encoded, read=read)), 0, progress=False)

    assert seen == [0, 1]
    assert "delete" not in str(caught.value)


def test_a_source_that_fails_is_told_as_such(tmp_path: Path) -> None:
    source = folder_source(fill(tmp_path / "pets", pictures()))

    def read() -> Iterator[Encoded]:
        yield from islice(source.open().read(), 3)
        raise OSError(5, "Input/output error")

    failing = replace(source.open(), read=read)
    with pytest.raises(DataError, match=r"pets: cannot be read \(Input/output error\)"):
        cached_images(replace(source, open=lambda: failing), 0, progress=False)


def test_no_warning_of_a_large_image_comes_before_its_error(tmp_path: Path) -> None:
    place = fill(tmp_path / "pets", pictures())
    with Image.new("1", (9_600, 9_600)) as image:
        image.save(place / "train/cat/0.png")

    with pytest.raises(DataError, match=r"0.png: 9600 x 9600 pixels; expected"):
        load(place, size=8)


def test_what_is_wrong_with_an_image_is_told(tmp_path: Path) -> None:
    place = fill(tmp_path / "pets", pictures())
    first = place / "train/cat/0.png"

    def refused(reason: str) -> None:
        with pytest.raises(DataError, match=rf"0.png: .*{reason}") as caught:
            load(place)
        assert " at 0x" not in str(caught.value)

    first.write_text("a page of text")
    refused("no image of a known format")
    os.truncate(first, 2**25 + 1)
    refused("33,554,433 bytes; expected 33,554,432")
    first.unlink()
    first.symlink_to("gone")
    refused("No such file .* a link to gone")


def test_every_damaged_image_is_named_at_once_and_nothing_is_left(tmp_path: Path) -> None:
    place = fill(tmp_path / "pets", pictures())
    (place / "train/cat/3.png").write_bytes(b"nonsense")
    (place / "test/dog/1.png").write_bytes(png(np.zeros((6, 7, 3), np.uint8))[:-30])

    with pytest.raises(DataError) as caught:
        load(place)

    message = str(caught.value)
    assert "2 of 26 images cannot be used" in message
    assert f"  - {place}/train/cat/3.png: damaged, or no image" in message
    assert f"  - {place}/test/dog/1.png: damaged, or no image" in message
    assert list((cache_folder() / "images").iterdir()) == []


def test_of_very_many_damaged_images_some_are_named(tmp_path: Path) -> None:
    place = fill(tmp_path / "pets", pictures())
    for path in place.glob("*/*/*.png"):
        path.write_bytes(b"")

    with pytest.raises(DataError, match=r"26 of 26 images[\s\S]*and 6 more"):
        load(place)


def test_all_images_black(tmp_path: Path) -> None:
    place = fill(tmp_path / "pets", {n: p * 0 for n, p in pictures().items()})

    with pytest.raises(DataError, match="expected images that differ"):
        load(place)


def test_what_is_large_stays_on_disk_and_the_rest_may_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = fill(tmp_path / "pets", pictures())
    assert not load(place).train.mapped

    monkeypatch.setattr(image_cache, "LARGE", 100)

    assert load(place).train.mapped


def test_image_size_where_it_has_no_meaning() -> None:
    (problem,) = DataConfig(image_size=32).problems()

    assert problem == "image_size: has no meaning for 'mnist'; leave it out"
    (problem,) = DataConfig(name="folder:pets", image_size=-1).problems()
    assert problem == "image_size: must be from 0 to 4096, got -1"


def test_a_crop_that_is_larger_than_the_images(tmp_path: Path) -> None:
    place = fill(tmp_path / "pets", pictures())
    config = DataConfig(
        name=f"folder:{place}", validation=5, augmentation=AugmentationConfig(resized_crop=7)
    )

    with pytest.raises(UsageError, match=r"expected 6 at most, .* got 7"):
        load_dataset(config, progress=False)
