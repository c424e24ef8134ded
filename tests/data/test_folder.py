"""Any folder of four IDX files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from lottery.data import DataConfig, Dataset, describe_dataset, load_dataset
from lottery.data.folder import FILES, find, spellings
from lottery.data.idx import Bytes, encode_idx
from lottery.errors import DataError

TRAIN, TEST, CLASSES = 40, 12, 3


def contents(count: int, seed: int) -> tuple[Bytes, Bytes]:
    """Random images of 4 x 5 and labels of every class."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 4, 5), dtype=np.uint8)
    return pixels, (np.arange(count) % CLASSES).astype(np.uint8)


def fill(folder: Path, **replaced: Bytes) -> Path:
    """Write the four files; keywords replace values, such as ``test_labels``."""
    train, test = contents(TRAIN, 1), contents(TEST, 2)
    keys = ("train_images", "train_labels", "test_images", "test_labels")
    folder.mkdir(parents=True, exist_ok=True)
    for file, key, values in zip(FILES, keys, (*train, *test), strict=True):
        (folder / file).write_bytes(encode_idx(replaced.get(key, values)))
    return folder


def load(folder: Path, validation: int = 10) -> Dataset:
    return load_dataset(DataConfig(name=f"idx:{folder}", validation=validation))


class TestSoundFolders:
    def test_values_and_facts(self, tmp_path: Path) -> None:
        dataset = load(fill(tmp_path))

        images, labels = contents(TEST, 2)
        np.testing.assert_array_equal(dataset.test.inputs[:, 0].numpy(), images)
        assert dataset.test.targets.tolist() == labels.tolist()
        assert (dataset.name, dataset.classes) == (f"idx:{tmp_path}", CLASSES)
        assert (len(dataset.train), len(dataset.validation)) == (30, 10)
        seen = dataset.normalized(dataset.train.inputs)
        torch.testing.assert_close(seen.mean().item(), 0.0, atol=1e-6, rtol=0)

    def test_describing_agrees_with_loading(self, tmp_path: Path) -> None:
        dataset, info = load(fill(tmp_path)), describe_dataset(f"idx:{tmp_path}")

        assert info.training_examples == len(dataset.train) + len(dataset.validation)
        assert info.test_examples == len(dataset.test)
        assert info.input_shape == dataset.input_shape
        assert info.classes == dataset.classes

    def test_describing_reads_no_images(self, tmp_path: Path) -> None:
        images = fill(tmp_path) / FILES[0]
        images.write_bytes(images.read_bytes()[:16])

        assert describe_dataset(f"idx:{tmp_path}").input_shape == (1, 4, 5)

    def test_the_split_does_not_depend_on_where_the_folder_lies(self, tmp_path: Path) -> None:
        one, two = load(fill(tmp_path / "one")), load(fill(tmp_path / "two"))

        assert one.fingerprint() == two.fingerprint()

    @pytest.mark.parametrize("file", FILES)
    def test_every_spelling_reads_the_same(self, tmp_path: Path, file: str) -> None:
        expected = load(fill(tmp_path)).fingerprint()
        sound = (tmp_path / file).read_bytes()
        (tmp_path / file).unlink()

        for name in spellings(file):
            path = tmp_path / name
            path.write_bytes(gzip.compress(sound) if name.endswith(".gz") else sound)
            assert load(tmp_path).fingerprint() == expected
            path.unlink()

    def test_spellings(self) -> None:
        assert len(spellings(FILES[0])) == 4
        assert "test-images.idx3-ubyte.gz" in spellings(FILES[2])

    def test_a_file_is_found_beside_a_directory_of_its_name(self, tmp_path: Path) -> None:
        (tmp_path / FILES[0]).mkdir()
        dotted = tmp_path / "train-images.idx3-ubyte"
        dotted.touch()

        assert find(tmp_path, FILES[0]) == dotted

    def test_relative_path_and_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fill(tmp_path / "digits")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)

        one, two = load(Path("digits")), load(Path("~/digits"))

        assert one.fingerprint() == two.fingerprint()


class TestWhatIsWrong:
    def test_no_such_folder(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"nothing: expected a folder .*No such file"):
            load(tmp_path / "nothing")

    def test_home_of_an_unknown_user(self) -> None:
        with pytest.raises(DataError, match="~nobody-by-this-name"):
            load(Path("~nobody-by-this-name/digits"))

    def test_a_file_in_place_of_the_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()

        with pytest.raises(DataError, match=r"expected a folder .*Not a directory"):
            load(tmp_path / "file")

    def test_missing_files_are_all_named(self, tmp_path: Path) -> None:
        folder = fill(tmp_path)
        for file in FILES[1:3]:
            (folder / file).unlink()

        with pytest.raises(DataError, match=rf"but {FILES[1]}, {FILES[2]} are missing") as caught:
            load(folder)
        with pytest.raises(DataError) as described:
            describe_dataset(f"idx:{folder}")

        assert str(described.value) == str(caught.value)

    def test_a_directory_in_place_of_a_file(self, tmp_path: Path) -> None:
        path = fill(tmp_path) / FILES[3]
        path.unlink()
        path.mkdir()

        with pytest.raises(DataError, match=f"{FILES[3]}: expected an IDX file, .* a directory"):
            load(tmp_path)

    def test_a_broken_link(self, tmp_path: Path) -> None:
        path = fill(tmp_path) / FILES[3]
        path.unlink()
        path.symlink_to(tmp_path / "nothing")

        with pytest.raises(DataError, match=f"{FILES[3]}: cannot be read"):
            load(tmp_path)

    def test_images_and_labels_swapped(self, tmp_path: Path) -> None:
        fill(tmp_path, train_images=contents(TRAIN, 1)[1])

        with pytest.raises(DataError, match=r"expected an IDX file of images .* got labels"):
            load(tmp_path)

    def test_more_labels_than_images(self, tmp_path: Path) -> None:
        fill(tmp_path, test_labels=np.zeros(TEST + 1, np.uint8))

        with pytest.raises(DataError, match=r"expected 12 labels, .* got 13\. Use files of one"):
            load(tmp_path)

    def test_images_of_two_sizes(self, tmp_path: Path) -> None:
        fill(tmp_path, test_images=np.zeros((TEST, 5, 5), np.uint8))

        with pytest.raises(DataError, match=r"expected images of 4 x 5 .* got 5 x 5\."):
            load(tmp_path)

    def test_test_label_that_training_never_sees(self, tmp_path: Path) -> None:
        fill(tmp_path, test_labels=np.full(TEST, CLASSES, np.uint8))

        with pytest.raises(DataError, match=r"labels from 0 to 2, .* got 3\."):
            load(tmp_path)

    def test_one_class(self, tmp_path: Path) -> None:
        fill(tmp_path, train_labels=np.zeros(TRAIN, np.uint8))

        with pytest.raises(DataError, match="labels of at least 2 classes"):
            load(tmp_path)

    def test_too_many_held_out(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"40 training examples .* at most 39"):
            load(fill(tmp_path), validation=40)
