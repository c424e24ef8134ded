"""Any folder of four IDX files."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from lottery.data import DataConfig, Dataset, load_dataset
from lottery.data.idx import Bytes, encode_idx
from lottery.data.idx_folder import FILES, find
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


def spellings(file: str) -> list[str]:
    """Names under which a file is found, in their order."""
    names = [file, file.replace("-idx", ".idx")]
    if file.startswith("t10k-"):
        names += [name.replace("t10k-", "test-") for name in names]
    return [name + ending for name in names for ending in ("", ".gz")]


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

    def test_the_first_spelling_is_taken(self, tmp_path: Path) -> None:
        names = spellings(FILES[2])
        for name in reversed(names):
            (tmp_path / name).touch()
            assert find(tmp_path, FILES[2]) == tmp_path / name

    @pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
    def test_floats_are_seen_as_they_are(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        for file, count in ((FILES[0], TRAIN), (FILES[2], TEST)):
            values = np.random.default_rng(count).normal(size=(count, 5, *shape)).astype(">f4")
            header = struct.pack(f">HBB{values.ndim}I", 0, 0x0D, values.ndim, *values.shape)
            name = file.replace("-idx3-ubyte", f"-idx{values.ndim}-float")
            (tmp_path / name).write_bytes(header + values.tobytes())
            labels = file.replace("images-idx3", "labels-idx1")
            (tmp_path / labels).write_bytes(encode_idx(contents(count, 0)[1]))

        data = load(tmp_path)

        expected = values.astype(np.float32)
        np.testing.assert_array_equal(data.batch("test", slice(None))[0].squeeze(1), expected)
        # Three dimensions are images without channels, as of bytes.
        assert data.input_shape == ((1, 5, 4) if shape == (4,) else (5, *shape))


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

        with pytest.raises(DataError, match=rf"but {FILES[1]}, {FILES[2]} are missing"):
            load(folder)

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

        with pytest.raises(DataError, match=r"expected inputs: .* got unsigned bytes .* of 1 dim"):
            load(tmp_path)

    def test_more_labels_than_images(self, tmp_path: Path) -> None:
        fill(tmp_path, test_labels=np.zeros(TEST + 1, np.uint8))

        with pytest.raises(DataError, match=r"test: expected one label .* 12 inputs and 13 t"):
            load(tmp_path)

    def test_images_of_two_sizes(self, tmp_path: Path) -> None:
        fill(tmp_path, test_images=np.zeros((TEST, 5, 5), np.uint8))

        with pytest.raises(DataError, match=r"as in train, uint8 of 1 x 4 x 5, got .* 1 x 5 x 5"):
            load(tmp_path)

    def test_test_label_that_training_never_sees(self, tmp_path: Path) -> None:
        fill(tmp_path, test_labels=np.full(TEST, CLASSES, np.uint8))

        with pytest.raises(DataError, match=r"test: .* classes .* from 0 to 2, got 3, which"):
            load(tmp_path)

    def test_one_class(self, tmp_path: Path) -> None:
        fill(tmp_path, train_labels=np.zeros(TRAIN, np.uint8))

        with pytest.raises(DataError, match="targets of at least 2 classes"):
            load(tmp_path)

    def test_too_many_held_out(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"40 training examples .* at most 39"):
            load(fill(tmp_path), validation=40)
