"""Where known datasets are looked for, and what makes a file the right one."""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from lottery.data import Dataset, NotHereError, Request, checksums
from lottery.data.cache_lock import cache_folder
from lottery.data.checksums import KnownDataset, KnownFile, load_known
from lottery.data.idx import encode_idx
from lottery.data.idx_folder import FILES
from lottery.data.splits import Scale
from lottery.errors import DataError


def made_up(name: str, seed: int) -> tuple[KnownDataset, dict[str, bytes]]:
    """A small dataset that is known, without mirrors, and the contents of its files."""
    random = np.random.default_rng(seed)
    contents = {}
    for file, count in zip(FILES, (30, 30, 8, 8), strict=True):
        shape = (count, 3, 3) if "images" in file else (count,)
        contents[file] = encode_idx(random.integers(0, 10, shape, dtype=np.uint8))
    one, two, three, four = (
        KnownFile(file, len(values), hashlib.sha256(values).hexdigest())
        for file, values in contents.items()
    )
    dataset = KnownDataset(
        name=name,
        classes=10,
        scale=Scale((0.1,), (0.3,)),
        files=(one, two, three, four),
        mirrors=(),
    )
    return dataset, contents


DIGITS, DIGITS_CONTENTS = made_up("digits", 1)
CLOTHES, CLOTHES_CONTENTS = made_up("clothes", 2)


def fill(folder: Path, contents: dict[str, bytes], ending: str = ".gz") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file, values in contents.items():
        (folder / f"{file}{ending}").write_bytes(gzip.compress(values) if ending else values)
    return folder


def load(data_dir: Path | None = None, validation: int = 5, download: bool = True) -> Dataset:
    request = Request(validation=validation, data_dir=data_dir, progress=False, download=download)
    return load_known(DIGITS, request)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder of this machine is looked in."""
    monkeypatch.delenv("LOTTERY_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class TestPlaces:
    @pytest.mark.parametrize("ending", ["", ".gz"])
    @pytest.mark.parametrize("below", ["digits", "."])
    def test_data_dir(self, tmp_path: Path, below: str, ending: str) -> None:
        fill(tmp_path / below, DIGITS_CONTENTS, ending)

        dataset = load(tmp_path)

        assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (25, 5, 8)
        assert (dataset.name, dataset.classes) == ("digits", 10)
        labels = list(DIGITS_CONTENTS[FILES[3]][8:])
        assert dataset.test.targets.tolist() == labels

    def test_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fill(tmp_path / "data" / "digits", DIGITS_CONTENTS)
        monkeypatch.setenv("LOTTERY_DATA", str(tmp_path / "data"))

        assert len(load().test) == 8

    def test_cache(self) -> None:
        fill(cache_folder() / "digits", DIGITS_CONTENTS)

        assert len(load().test) == 8

    def test_files_may_lie_in_different_places(self, tmp_path: Path) -> None:
        files = list(DIGITS_CONTENTS.items())
        fill(tmp_path / "data", dict(files[:2]))
        fill(cache_folder() / "digits", dict(files[2:]))

        assert len(load(tmp_path / "data").test) == 8

    def test_nowhere_names_every_place(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "data").mkdir()
        monkeypatch.setenv("LOTTERY_DATA", str(tmp_path / "environment"))

        with pytest.raises(DataError) as caught:
            load(tmp_path / "data")

        message = str(caught.value)
        for place in ("data/digits", "data", "environment", "cache/lottery/digits"):
            assert f"{tmp_path / place}: no {FILES[0]}" in message
        assert "--data-dir DIR" in message
        assert "mnist-5k" in message

    def test_data_dir_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="nothing: expected a directory of datasets"):
            load(tmp_path / "nothing")

    def test_relative_cache_is_ignored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")
        monkeypatch.setenv("HOME", "/home/someone")

        assert cache_folder() == Path("/home/someone/.cache/lottery")

    def test_a_user_without_a_home_gets_no_folder_of_that_name(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As in a container that runs under a number nobody has given a name."""
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)

        assert cache_folder() == Path(tempfile.gettempdir()) / "lottery"


class TestWrongContents:
    def test_is_an_error_and_not_skipped(self, tmp_path: Path) -> None:
        fill(cache_folder() / "digits", DIGITS_CONTENTS)
        wrong = encode_idx(np.zeros((30, 3, 3), np.uint8))
        path = fill(tmp_path / "digits", {FILES[0]: wrong}) / f"{FILES[0]}.gz"

        with pytest.raises(DataError) as caught:
            load(tmp_path)

        assert str(caught.value) == (
            f"{path}: expected contents with SHA-256 {DIGITS.files[0].sha256}, "
            f"got {hashlib.sha256(wrong).hexdigest()}. "
            "Replace the file with a good copy, or delete it."
        )

    def test_damaged_file_is_an_error(self, tmp_path: Path) -> None:
        folder = fill(tmp_path / "digits", DIGITS_CONTENTS, "")
        (folder / FILES[2]).write_bytes(DIGITS_CONTENTS[FILES[2]][:-1])

        with pytest.raises(DataError, match=f"{FILES[2]}: .* only 71 follow"):
            load(tmp_path)

    def test_another_dataset_directly_in_the_directory_is_passed_by(self, tmp_path: Path) -> None:
        fill(tmp_path / "data", CLOTHES_CONTENTS)
        with pytest.raises(DataError, match=f"{FILES[0]}.gz: belongs to another dataset"):
            load(tmp_path / "data")

        fill(cache_folder() / "digits", DIGITS_CONTENTS)

        assert load(tmp_path / "data").fingerprint() == load().fingerprint()

    def test_another_dataset_in_the_datasets_own_folder_is_an_error(self, tmp_path: Path) -> None:
        fill(tmp_path / "digits", CLOTHES_CONTENTS)

        with pytest.raises(DataError, match="expected contents with SHA-256"):
            load(tmp_path)


def test_what_is_nowhere_is_not_downloaded_unless_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksums, "download", None)
    fill(tmp_path / "some", {file: DIGITS_CONTENTS[file] for file in FILES[:2]})

    for data_dir in (None, tmp_path / "some"):
        with pytest.raises(NotHereError, match=r"digits was looked for in .*; a run downloads it"):
            load(data_dir, download=False)

    fill(tmp_path / "all", DIGITS_CONTENTS)
    data_dir = tmp_path / "all"
    found = load(data_dir, download=False)
    assert found.fingerprint() == load(data_dir).fingerprint()
    with pytest.raises(DataError, match="expected a directory of datasets"):
        load(tmp_path / "no", download=False)


def test_too_many_held_out(tmp_path: Path) -> None:
    fill(tmp_path, DIGITS_CONTENTS)

    with pytest.raises(DataError, match=r"hold 30 .* 30 training examples .* at most 29"):
        load(tmp_path, validation=30)
