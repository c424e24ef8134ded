"""What is in a tar file is remembered for as long as the file is the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pictures import pictures, tar_of

from lottery.data import listings
from lottery.data.known import cache_folder
from lottery.data.listings import remembered_listing
from lottery.data.tars import Listing, list_tar
from lottery.errors import DataError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read to be listed."""
    found = list[Path]()

    def listing(path: Path) -> Listing:
        found.append(path)
        return list_tar(path)

    monkeypatch.setattr(listings, "list_tar", listing)
    return found


def remembered() -> Path:
    (place,) = (cache_folder() / "listings").iterdir()
    return place


def test_a_file_is_listed_once_and_again_when_it_changes(
    tmp_path: Path, listed: list[Path]
) -> None:
    odd = os.fsdecode(b"train/cat/caf\xe9.png")
    path = tar_of(tmp_path / "pets.tar.gz", pictures() | {odd: pictures()["train/cat/1.png"]})

    first = remembered_listing(path)
    assert (remembered_listing(path), first) == (first, list_tar(path))
    assert odd in first.sizes
    assert listed == [path]

    state = path.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert remembered_listing(path) == first
    assert listed == [path] * 2

    other = tar_of(tmp_path / "other.tar.gz", {"a/b.png": pictures()["train/cat/1.png"]})
    os.replace(other, path)
    assert list(remembered_listing(path).sizes) == ["a/b.png"]


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{}",
        b"[{}, {}]",
        b'[{"a": "1"}, {}, {}]',
        b'[{"a": -1}, {}, {}]',
        b'[{"a": 1}, {"b": "c"}, {}]',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_what_is_damaged_is_made_anew(tmp_path: Path, listed: list[Path], damage: bytes) -> None:
    path = tar_of(tmp_path / "pets.tar.gz", pictures())
    first = remembered_listing(path)
    remembered().write_bytes(damage)

    assert remembered_listing(path) == first
    assert remembered_listing(path) == first
    assert listed == [path] * 2


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, listed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    path = tar_of(tmp_path / "pets.tar.gz", pictures())

    assert remembered_listing(path) == remembered_listing(path) == list_tar(path)
    assert listed == [path] * 2


def test_what_is_wrong_with_a_file_is_never_remembered(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "pets.tar.gz", pictures())
    path.write_bytes(path.read_bytes()[:-30])

    for _ in range(2):
        with pytest.raises(DataError, match="damaged"):
            remembered_listing(path)
    with pytest.raises(DataError, match="No such file"):
        remembered_listing(tmp_path / "nothing.tar")
    assert not (cache_folder() / "listings").exists()
