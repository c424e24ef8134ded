"""Images on disk as a dataset: decoded once, mapped into memory, whole or not at all."""

from __future__ import annotations

import io
import json
import os
import resource
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from threading import Event, Thread
from time import sleep

import numpy as np
import pytest
import torch
from PIL import Image

from lottery.data import (
    AugmentationConfig,
    DataConfig,
    Dataset,
    Split,
    describe_dataset,
    image_sets,
    load_dataset,
)
from lottery.data.image_cache import MAGIC, CachedImages, cache_path, cached_images, read_cache
from lottery.data.known import cache_folder
from lottery.data.parts import remove_leftovers
from lottery.data.sources import Encoded, folder_source
from lottery.errors import DataError, UsageError
from lottery.testing import DATASET_CHECKS

Pixels = np.typing.NDArray[np.uint8]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def pictures(seed: int = 0, shape: tuple[int, int] = (6, 7)) -> dict[str, Pixels]:
    """Random images of two classes by their names."""
    random = np.random.default_rng(seed)
    return {
        f"{part}/{label}/{number}.png": random.integers(0, 256, (*shape, 3), dtype=np.uint8)
        for part, count in (("train", 9), ("test", 4))
        for label in ("cat", "dog")
        for number in range(count)
    }


def png(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def fill(folder: Path, images: dict[str, Pixels]) -> Path:
    for name, pixels in images.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png(pixels))
    return folder


def tar_of(path: Path, images: dict[str, Pixels]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, pixels in images.items():
            member, values = tarfile.TarInfo(name), png(pixels)
            member.size = len(values)
            tar.addfile(member, io.BytesIO(values))
    return path


def load(place: Path, validation: int = 5, size: int = 0) -> Dataset:
    kind = "folder" if place.is_dir() else "tar"
    config = DataConfig(name=f"{kind}:{place}", validation=validation, image_size=size)
    return load_dataset(config, progress=False)


def held(dataset: Dataset, *splits: str) -> dict[bytes, int]:
    """Image -> class, of some splits."""
    return {
        image.numpy().tobytes(): int(label)
        for name in splits
        for image, label in zip(
            getattr(dataset, name).inputs, getattr(dataset, name).targets, strict=True
        )
    }


@pytest.mark.parametrize("make", [fill, tar_of])
class TestFoldersAndTarFiles:
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

    def test_describing_agrees_with_loading(
        self, tmp_path: Path, make: Callable[[Path, dict[str, Pixels]], Path]
    ) -> None:
        place = make(tmp_path / "pets", pictures())
        data = load(place)

        info = describe_dataset(data.name)

        assert info.training_examples == len(data.train) + len(data.validation)
        assert info.test_examples == len(data.test)
        assert (info.input_shape, info.classes) == (data.input_shape, data.classes)
        assert describe_dataset(data.name, image_size=4).input_shape == (3, 4, 4)

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

    def read() -> Iterator[Encoded]:
        for image in source.read():
            seen.append(image.number)
            yield image

    with pytest.raises(DataError, match=r"1.png 8 x 9\. Set data\.image_size") as caught:
        cached_images(replace(source, read=read), 0, progress=False)

    assert seen == [0, 1]
    assert "delete" not in str(caught.value)


def test_a_source_that_fails_is_told_as_such(tmp_path: Path) -> None:
    source = folder_source(fill(tmp_path / "pets", pictures()))

    def read() -> Iterator[Encoded]:
        yield from islice(source.read(), 3)
        raise OSError(5, "Input/output error")

    with pytest.raises(DataError, match=r"pets: cannot be read \(Input/output error\)"):
        cached_images(replace(source, read=read), 0, progress=False)


def test_no_warning_of_a_large_image_comes_before_its_error(tmp_path: Path) -> None:
    place = fill(tmp_path / "pets", pictures())
    with Image.new("1", (9_600, 9_600)) as image:
        image.save(place / "train/cat/0.png")
    name = f"folder:{place}"

    with pytest.raises(DataError, match=r"0.png: 9600 x 9600 pixels; expected"):
        load(place, size=8)
    with pytest.raises(DataError, match=r"0.png: 9600 x 9600 pixels; expected .* Replace"):
        describe_dataset(name)


def test_describing_says_what_is_wrong_with_the_first_image(tmp_path: Path) -> None:
    place = fill(tmp_path / "pets", pictures())
    first = place / "train/cat/0.png"

    def refused(reason: str) -> None:
        with pytest.raises(DataError, match=rf"0.png: .*{reason}") as caught:
            describe_dataset(f"folder:{place}")
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


class TestCacheFile:
    def made(self, tmp_path: Path) -> tuple[Path, Path, str]:
        place = fill(tmp_path / "pets", pictures())
        found = load(place).fingerprint()
        return place, cache_path(folder_source(place), 0), found

    def test_a_changed_source_is_decoded_anew(self, tmp_path: Path) -> None:
        place, _, before = self.made(tmp_path)
        name = "train/cat/0.png"
        fill(place, {name: pictures(1)[name]})

        assert load(place).fingerprint() != before
        assert len(list((cache_folder() / "images").iterdir())) == 2

    @pytest.mark.parametrize("length", [0, 5, 100, -1, -20])
    def test_one_that_is_cut_off_is_made_anew(self, tmp_path: Path, length: int) -> None:
        place, path, before = self.made(tmp_path)
        path.write_bytes(path.read_bytes()[:length])

        assert read_cache(path) is None
        assert load(place).fingerprint() == before

    @pytest.mark.parametrize(
        "change",
        [
            {"train": 0},
            {"train": True},
            {"train": 2**40},
            {"train": 17},
            {"test": -8},
            {"height": 2**30},
            {"height": 7, "width": 6.0},
            {"width": "7"},
            {"classes": ["cat"]},
            {"classes": "catdog"},
            {"classes": [1, 2]},
            {"histogram": []},
            {"histogram": [[0] * 256] * 3},
            {"histogram": [[-1] * 256] * 3},
            {"more": 1},
        ],
        ids=str,
    )
    def test_a_description_that_is_not_credible(
        self, tmp_path: Path, change: dict[str, object]
    ) -> None:
        place, path, before = self.made(tmp_path)
        whole = path.read_bytes()
        length = int.from_bytes(whole[-24:-16], "little")
        description = json.loads(whole[-24 - length : -24])
        text = json.dumps(description | change).encode()
        end = text + len(text).to_bytes(8, "little") + MAGIC
        path.write_bytes(whole[: -24 - length] + end)

        assert read_cache(path) is None
        assert load(place).fingerprint() == before

    @pytest.mark.parametrize("text", [b"", b"{", b"[]", b"[" * 100_000, b"\xff\xfe"])
    def test_a_description_that_is_none(self, tmp_path: Path, text: bytes) -> None:
        _, path, _ = self.made(tmp_path)
        path.write_bytes(text + len(text).to_bytes(8, "little") + MAGIC)

        assert read_cache(path) is None

    def test_classes_out_of_range(self, tmp_path: Path) -> None:
        _, path, _ = self.made(tmp_path)
        whole = bytearray(path.read_bytes())
        whole[26 * 3 * 6 * 7] = 2
        path.write_bytes(whole)

        assert read_cache(path) is None

    @pytest.mark.parametrize("change", ["other classes", "other names", "other counts"])
    def test_one_that_was_shared_out_otherwise_is_made_anew(
        self, tmp_path: Path, change: str
    ) -> None:
        """As an earlier release might have, from the same files."""
        place, path, before = self.made(tmp_path)
        source = folder_source(place)
        other = {
            "other classes": replace(source, train=source.train[::-1]),
            "other names": replace(source, classes=("test", "train")),
            "other counts": replace(source, train=source.train[1:], test=(0, *source.test)),
        }[change]
        path.unlink()
        assert len(cached_images(other, 0, progress=False).targets) == 26

        assert load(place).fingerprint() == before
        assert cached_images(source, 0, progress=False).description.classes == ["cat", "dog"]

    def test_changes_in_memory_do_not_reach_the_file(self, tmp_path: Path) -> None:
        place, path, before = self.made(tmp_path)
        stored = path.read_bytes()

        data = load(place)
        data.train.inputs.zero_()

        assert path.read_bytes() == stored
        assert load(place).fingerprint() == before

    def test_an_interruption_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def stopped(contents: bytes, size: int) -> Pixels:
            raise KeyboardInterrupt

        place = fill(tmp_path / "pets", pictures())
        with monkeypatch.context() as patched:
            patched.setattr("lottery.data.images.decode", stopped)
            with pytest.raises(KeyboardInterrupt):
                load(place)

        assert list((cache_folder() / "images").iterdir()) == []
        assert len(load(place).test) == 8

    def test_what_killed_processes_left_goes(self, tmp_path: Path) -> None:
        place = fill(tmp_path / "pets", pictures())
        folder = cache_folder() / "images"
        folder.mkdir(parents=True)
        for size in (0, 32):
            path = cache_path(folder_source(place), size)
            path.with_name(f".{path.name}.01234567.part").write_bytes(b"half of it")

        load(place)

        assert [path.suffix for path in folder.iterdir()] == [".images"]

    def test_another_process_leaves_alone_what_is_about_to_get_its_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        renamed = os.replace

        def meanwhile(part: Path, path: Path) -> None:
            remove_leftovers(part.parent)
            renamed(part, path)

        monkeypatch.setattr(os, "replace", meanwhile)

        assert len(load(fill(tmp_path / "pets", pictures())).test) == 8

    def test_two_at_once_decode_once(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        source = folder_source(fill(tmp_path / "pets", pictures()))
        reading, found = Event(), list[CachedImages]()
        begun = []

        def read() -> Iterator[Encoded]:
            begun.append(1)
            reading.set()
            for image in source.read():
                while len(begun) == 1 and "waiting for it" not in seen():
                    sleep(0.01)
                yield image

        text = ""

        def seen() -> str:
            nonlocal text
            text += capsys.readouterr().err
            return text

        slow = replace(source, read=read)
        threads = [
            Thread(target=lambda shown=shown: found.append(cached_images(slow, 0, progress=shown)))
            for shown in (False, True)
        ]
        threads[0].start()
        assert reading.wait(60)
        threads[1].start()
        for thread in threads:
            thread.join(60)

        assert begun == [1]
        assert f"{tmp_path}/pets: another process is decoding these images" in text
        assert torch.equal(found[0].images, found[1].images)

    def test_a_cache_that_cannot_be_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

        with pytest.raises(DataError, match=r"cannot be (written|read) "):
            load(fill(tmp_path / "pets", pictures()))

    def test_a_full_disk(self, tmp_path: Path) -> None:
        """As the operating system says it, by way of a limit on the size of files."""
        place = fill(tmp_path / "pets", pictures(shape=(64, 64)))
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
        try:
            with pytest.raises(DataError, match=r"cannot be written \(File too large\)"):
                load(place)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

        assert list((cache_folder() / "images").iterdir()) == []


def resident_bytes() -> int:
    """What this process holds in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="memory is read from Linux's /proc"
)
def test_data_larger_than_memory_take_little_of_it(tmp_path: Path) -> None:
    """A cache file of holes, a few times as large as this machine's memory; batches are read."""
    side, most = 1_024, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    count = most * 2 // (3 * side * side)
    path = cache_folder() / "images" / "large.images"
    path.parent.mkdir(parents=True)
    pixels = (count - 5) * side * side
    channel = [pixels // 2, *[0] * 254, pixels - pixels // 2]
    description = {
        "train": count - 5,
        "test": 5,
        "height": side,
        "width": side,
        "classes": ["cat", "dog"],
        "histogram": [channel] * 3,
    }
    text = json.dumps(description).encode()
    with open(path, "wb") as file:
        file.truncate(count * 3 * side * side)
        file.seek(0, os.SEEK_END)
        file.write(bytes(8 * count) + text + len(text).to_bytes(8, "little") + MAGIC)
    before = resident_bytes()

    found = read_cache(path)
    assert found is not None
    split = Split(found.images, found.targets, mapped=True)
    data = Dataset(name="large", train=split, validation=split, test=split, classes=2).to("cpu")
    for first in range(0, count, count // 5):
        inputs, _ = data.batch("train", torch.tensor([first]))
        assert not inputs.any()

    assert len(split) == count
    assert resident_bytes() - before < 300_000_000


def test_what_is_large_stays_on_disk_and_the_rest_may_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = fill(tmp_path / "pets", pictures())
    assert not load(place).train.mapped

    monkeypatch.setattr(image_sets, "LARGE", 100)

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
