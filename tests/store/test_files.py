"""Files that anyone may have put into a run: read if they are plain and of their size, or named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lottery.errors import StoreError
from lottery.store import commit
from lottery.store.files import MOST_JSON, read_json, read_plain

FILES = {"a.bin": b"\x00\x01", "b.txt": b"text\n"}


def sparse(path: Path) -> None:
    """A file of 8 TB that takes no space."""
    with path.open("wb") as file:
        file.truncate(2**43)


# What stands in a file's place -> what is said of it.
STRANGERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pipe": (os.mkfifo, "is a pipe"),
    "a link that never ends": (lambda path: path.symlink_to("/dev/zero"), "is a link"),
    "a link to itself": (lambda path: path.symlink_to(path), "is a link"),
    "a directory": (lambda path: path.mkdir(), "directory"),
    "a huge file": (sparse, "has 8,796,093,022,208 bytes; expected"),
}
strangers = pytest.mark.parametrize("stranger", STRANGERS)


@strangers
@pytest.mark.parametrize("name", [*FILES, commit.MANIFEST])
def test_what_is_no_plain_file_of_its_size_is_never_read(
    tmp_path: Path, name: str, stranger: str
) -> None:
    target = tmp_path / "level-00"
    commit.commit_directory(target, FILES)
    (target / name).unlink()
    make, told = STRANGERS[stranger]
    make(target / name)
    (problem,) = commit.problems(target)
    assert str(target / name) in problem
    assert told in problem
    with pytest.raises(StoreError, match=name):
        commit.read_file(target, "a.bin" if name == commit.MANIFEST else name)


@strangers
def test_json_without_a_manifest_has_a_bound(tmp_path: Path, stranger: str) -> None:
    make, told = STRANGERS[stranger]
    make(tmp_path / "experiment.json")
    with pytest.raises(StoreError, match=r"experiment\.json") as error:
        read_json(tmp_path / "experiment.json")
    assert told in str(error.value)
    assert MOST_JSON >= 10 * 2**20, "a record of a network with many layers fits"


def test_a_plain_file_is_read_whole_up_to_its_bound(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_plain(tmp_path / "file", most=5) == b"12345"
    with pytest.raises(StoreError, match="has 5 bytes; expected 4 at most"):
        read_plain(tmp_path / "file", most=4)


@pytest.mark.parametrize("text", ["NaN", "[-Infinity]", "{", "[" * 100_000, "9" * 5_000])
def test_what_is_no_json_is_one_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "file.json").write_text(text)
    with pytest.raises(StoreError, match=r"cannot read .*file\.json"):
        read_json(tmp_path / "file.json")
