"""NPZ files and folders of arrays, by the usual spellings of their names; never a pickle."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lottery.data import DataConfig, Dataset, load_dataset, plain_files
from lottery.errors import DataError


def arrays(*parts: str) -> dict[str, Any]:
    """``x_PART`` and ``y_PART`` of each part."""
    found: dict[str, Any] = {}
    for part in parts:
        count = 40 if part == "train" else 12
        values = np.random.default_rng(len(part)).integers(0, 256, (count, 4, 5), dtype=np.uint8)
        found |= {f"x_{part}": values, f"y_{part}": np.arange(count) % 3}
    return found


def load(place: Path, validation: int = 10) -> Dataset:
    return load_dataset(DataConfig(name=f"npz:{place}", validation=validation), progress=False)


def saved(path: Path, **values: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **values)
    return path


def test_images_of_bytes(tmp_path: Path) -> None:
    values = arrays("train", "test")

    data = load(saved(tmp_path / "digits.npz", **values, other=np.zeros(3)))

    assert (len(data.train), len(data.validation), len(data.test)) == (30, 10, 12)
    assert data.input_shape == (1, 4, 5)
    np.testing.assert_array_equal(data.test.inputs[:, 0], values["x_test"])
    assert data.test.targets.tolist() == values["y_test"].tolist()


def test_validation_examples_that_are_there(tmp_path: Path) -> None:
    values = arrays("train", "val", "test")

    data = load(saved(tmp_path / "digits.npz", **values))

    assert (len(data.train), len(data.validation), len(data.test)) == (40, 12, 12)
    np.testing.assert_array_equal(data.validation.inputs[:, 0], values["x_val"])


@pytest.mark.parametrize(
    ("inputs", "targets"),
    [
        ("{}_images", "{}_labels"),
        ("X_{}", "Y_{}"),
        ("{}-data", "{}-targets"),
        ("features.{}", "labels.{}"),
        ("{}ing_inputs", "{}ing_y"),
    ],
)
def test_other_spellings(tmp_path: Path, inputs: str, targets: str) -> None:
    values = arrays("train", "test")
    names = {"x": inputs, "y": targets}
    other = {names[key[0]].format(key[2:]): value for key, value in values.items()}

    one, two = load(saved(tmp_path / "a.npz", **values)), load(saved(tmp_path / "b.npz", **other))

    assert one.fingerprint() == two.fingerprint()


@pytest.mark.parametrize("form", ["npz for each part", "npy for each array"])
def test_folders(tmp_path: Path, form: str) -> None:
    values = arrays("train", "test")
    expected = load(saved(tmp_path / "whole.npz", **values)).fingerprint()
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "notes.txt").write_text("passed over")
    for part in ("train", "test"):
        x, y = values[f"x_{part}"], values[f"y_{part}"]
        if form == "npz for each part":
            saved(folder / f"{part}.npz", x=x, y=y)
        else:
            np.save(folder / f"x_{part}.npy", x)
            np.save(folder / f"{part}_labels.npy", y)

    assert load(folder).fingerprint() == expected


class TestWhatIsWrong:
    def test_missing_arrays_are_named(self, tmp_path: Path) -> None:
        values = arrays("train", "test")
        del values["y_test"]

        with pytest.raises(DataError, match=r"y_test is missing; there are train inputs, train t"):
            load(saved(tmp_path / "digits.npz", **values))
        (tmp_path / "empty").mkdir()
        with pytest.raises(DataError, match="are missing; there are none"):
            load(tmp_path / "empty")

    def test_two_arrays_of_one_meaning(self, tmp_path: Path) -> None:
        values = arrays("train", "test")

        with pytest.raises(DataError, match="one array of train inputs, got two"):
            load(saved(tmp_path / "digits.npz", **values, train_images=values["x_train"]))

    def test_a_pickle_is_never_read(self, tmp_path: Path) -> None:
        class Bomb:
            def __reduce__(self) -> tuple[Any, ...]:
                return (Path.touch, (tmp_path / "ran",))

        values = arrays("train", "test") | {"y_test": np.array([Bomb()] * 12, object)}
        for place in (saved(tmp_path / "digits.npz", **values), tmp_path / "folder"):
            if place.suffix != ".npz":
                place.mkdir()
                np.save(place / "x_train.npy", values["y_test"], allow_pickle=True)
            with pytest.raises(DataError, match="Object arrays cannot be loaded"):
                load(place)

        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize("length", [0, 10, 700, -5])
    def test_damaged(self, tmp_path: Path, length: int) -> None:
        path = saved(tmp_path / "digits.npz", **arrays("train", "test"))
        path.write_bytes(path.read_bytes()[:length])

        with pytest.raises(DataError, match=r"digits.npz: .* NPZ or NPY file, but it is dama"):
            load(path)

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="No such file"):
            load(tmp_path / "nothing.npz")

    def test_a_name_too_long_and_a_folder_that_cannot_be_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(DataError, match="cannot be read"):
            load(tmp_path / ("a" * 300))

        def refuse(_: Path) -> Iterator[Path]:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "iterdir", refuse)
        with pytest.raises(DataError, match=r"cannot be read \(Permission denied\)"):
            load(tmp_path)

    @pytest.mark.parametrize("change", ["a compression nobody knows", "encryption"])
    def test_a_file_that_is_packed_in_another_way(self, tmp_path: Path, change: str) -> None:
        path = saved(tmp_path / "digits.npz", **arrays("train", "test"))
        packed = bytearray(path.read_bytes())
        # In each header, of a file and in the list at the end: its flags, then its compression.
        for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            at = packed.find(header)
            while at >= 0:
                packed[at + flags + (0 if change == "encryption" else 2)] |= 0x41
                at = packed.find(header, at + 4)
        path.write_bytes(packed)

        with pytest.raises(DataError, match=r"digits.npz: expected an NPZ"):
            load(path)

    def test_a_header_that_is_no_table(self, tmp_path: Path) -> None:
        header = b"{'descr': (".ljust(117) + b"\n"
        (tmp_path / "x_train.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00" + header)

        with pytest.raises(DataError, match=r"x_train.npy: expected an NPZ"):
            load(tmp_path)

    def test_a_header_that_lies(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "digits.npz", **arrays("train", "test"))
        header = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '|u1', 'fortran_order': False, "
        header += b"'shape': (1000000000000, 9000), }".ljust(118 - 41) + b"\n"
        with zipfile.ZipFile(path, "a") as file:
            file.writestr("x_val.npy", header)

        with pytest.raises(DataError, match=r"digits.npz: expected an NPZ"):
            load(path)

    def test_a_bomb(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(plain_files, "_ALWAYS", 2**10)
        values = arrays("train", "test") | {"other": np.zeros(10_000_000, np.uint8)}
        np.savez_compressed(tmp_path / "digits.npz", **values)

        with pytest.raises(DataError, match="unpacked it is more than 200 times as large"):
            load(tmp_path / "digits.npz")
