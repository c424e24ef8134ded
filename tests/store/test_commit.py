"""The commit protocol: whole or not at all, whatever happens on the way."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lottery.errors import StoreError
from lottery.store import commit

FILES = {"a.bin": b"\x00\x01", "b.txt": b"text\n", "empty": b""}

names = st.text("abcdefgh.-_", min_size=1, max_size=8).filter(
    lambda n: n.strip(".") and n != commit.MANIFEST
)


@given(files=st.dictionaries(names, st.binary(max_size=200), max_size=4))
def test_what_is_committed_is_read_back(
    files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    target = tmp_path_factory.mktemp("commit") / "run" / "level-00"
    commit.commit_directory(target, files)
    assert commit.problems(target) == []
    assert {name: commit.read_file(target, name) for name in files} == files
    assert {path.name for path in target.parent.iterdir()} == {"level-00"}


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("damage", ["flip", "truncate", "extend", "remove"])
def test_any_damage_is_found_and_never_read(tmp_path: Path, name: str, damage: str) -> None:
    target = tmp_path / "level-00"
    commit.commit_directory(target, FILES)
    path, content = target / name, FILES[name]
    match damage:
        case "flip" if content:
            path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        case "truncate" if content:
            path.write_bytes(content[:-1])
        case "remove":
            path.unlink()
        case _:
            path.write_bytes(content + b"!")
    assert len(commit.problems(target)) == 1
    with pytest.raises(StoreError, match=name):
        commit.read_file(target, name)


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"{",
        b"[]",
        b'{"files": 3}',
        b'{"files": {"a": {}}}',
        b'{"files": {"a": {"bytes": "2", "sha256": "x"}}}',
        b'{"files": {"a": {"bytes": -1, "sha256": "x"}}}',
        b'{"files": {"a": {"bytes": true, "sha256": "x"}}}',
        b'{"files": {"a": {"bytes": NaN, "sha256": "x"}}}',
        b'{"files": {"a": 3}}',
        b'{"files": {"../../etc/passwd": {"bytes": 1, "sha256": "x"}}}',
        b'{"files": {"..": {"bytes": 1, "sha256": "x"}}}',
        b'{"files": {"a\\u0000b": {"bytes": 1, "sha256": "x"}}}',
        b'{"files": {"\\ud800": {"bytes": 1, "sha256": "x"}}}',
        b'{"files": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"\xff\xfe",
    ],
)
def test_a_manifest_from_anyone_is_one_clear_error(tmp_path: Path, manifest: bytes) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / commit.MANIFEST).write_bytes(manifest)
    assert len(commit.problems(tmp_path / "job")) == 1
    with pytest.raises(StoreError):
        commit.read_file(tmp_path / "job", "a")


def test_a_directory_without_a_manifest_does_not_exist(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "result.json").write_text("{}")
    assert commit.problems(tmp_path / "job")


def test_an_unknown_file_beside_the_manifest_is_named(tmp_path: Path) -> None:
    commit.commit_directory(tmp_path / "job", FILES)
    (tmp_path / "job" / "stranger").touch()
    (problem,) = commit.problems(tmp_path / "job")
    assert "stranger" in problem


def test_a_directory_is_set_aside_and_never_deleted(tmp_path: Path) -> None:
    target = tmp_path / "job"
    for number in (1, 2):
        commit.commit_directory(target, FILES)
        (target / "a.bin").write_bytes(b"damaged")
        aside = commit.set_aside(target)
        assert aside.name == f"{commit.CORRUPT}job-{number}"
        assert (aside / "a.bin").read_bytes() == b"damaged"
        assert not target.exists()


def test_a_second_commit_of_the_same_job_keeps_the_first(tmp_path: Path) -> None:
    commit.commit_directory(tmp_path / "job", {"a": b"first"})
    commit.commit_directory(tmp_path / "job", {"a": b"second"})
    assert commit.read_file(tmp_path / "job", "a") == b"first"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("number", range(12))
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_a_failing_disk_leaves_the_last_good_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: int
) -> None:
    """The n-th flush or rename fails: nothing of the new state is there, all of the old is."""
    commit.commit_directory(tmp_path / "old", FILES)
    calls = 0

    def failing(function: Any) -> Any:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == number + 1:
                raise OSError(error, os.strerror(error))
            return function(*args, **kwargs)

        return wrapped

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", failing(os.fsync))
        patched.setattr(Path, "rename", failing(Path.rename))
        try:
            commit.commit_directory(tmp_path / "new", FILES)
            failed = False
        except StoreError as caught:
            failed = True
            assert str(tmp_path / "new") in str(caught)
            assert os.strerror(error) in str(caught)
            assert ("free some space" in str(caught)) == (error == errno.ENOSPC)
    assert failed == (calls > number)
    assert commit.problems(tmp_path / "old") == []
    # Either whole or absent; only the very last flush comes after the rename.
    assert not (tmp_path / "new").exists() or commit.problems(tmp_path / "new") == []
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_file_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "deep" / "experiment.json"
    commit.write_file(target, b"one")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="free some space"):
        commit.write_file(target, b"two")
    assert target.read_bytes() == b"one"
    assert [path.name for path in target.parent.iterdir()] == ["experiment.json"]


def test_what_a_killed_process_left_goes_with_the_next_writing_of_that_file(tmp_path: Path) -> None:
    for name in ("report.html-1a", "other.html-1a"):
        (tmp_path / f".tmp-{name}").write_bytes(b"half")
    (tmp_path / ".tmp-report.html-folder").mkdir()
    commit.write_file(tmp_path / "report.html", b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {
        "report.html",
        ".tmp-other.html-1a",
        ".tmp-report.html-folder",
    }


def test_a_files_name_may_be_as_long_as_any(tmp_path: Path) -> None:
    commit.write_file(tmp_path / ("a" * 255), b"whole")
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no file that is open")
def test_a_file_that_is_being_written_is_no_leftover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = []
    sync = os.fsync

    def meanwhile(handle: int) -> None:
        commit.remove_leftovers(tmp_path)
        left.append([path.name[:5] for path in tmp_path.iterdir()])
        sync(handle)

    monkeypatch.setattr(os, "fsync", meanwhile)
    commit.write_file(tmp_path / "report.html", b"whole")
    assert left[0] == [".tmp-"]
    assert (tmp_path / "report.html").read_bytes() == b"whole"


def test_the_manifest_holds_sizes_and_hashes(tmp_path: Path) -> None:
    commit.commit_directory(tmp_path / "job", {"a": b"abc"})
    manifest = json.loads((tmp_path / "job" / commit.MANIFEST).read_text())
    # The SHA-256 of "abc" is the example of FIPS 180-2, appendix B.1.
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert manifest["files"] == {"a": {"bytes": 3, "sha256": digest}}
