"""The commit protocol: a directory of files appears whole, or not at all.

Files are written into a temporary directory beside the target and flushed to the disk one by one,
then the manifest with their hashes, then the directory is renamed to its final name and its parent
flushed. A directory without a valid manifest does not exist; one whose files do not have the
hashes in its manifest is set aside under a name that begins with ``.corrupt-``.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lottery.errors import StoreError

MANIFEST = "manifest.json"
CORRUPT = ".corrupt-"
_TEMPORARY = ".tmp-"


def commit_directory(target: Path, files: Mapping[str, bytes]) -> None:
    """Make ``target`` appear with these files and their manifest, whole and on the disk.

    If another process has committed the same target meanwhile, its files stay: the same job gives
    the same bytes.

    Args:
        target: a directory that does not exist yet; its parents are made.
        files: plain file name -> contents.

    Raises:
        StoreError: nothing could be written; names the path and the reason. ``target`` does not
            exist then, and everything committed before is untouched.
    """
    manifest = {
        "schema": 1,
        "files": {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            for name, content in sorted(files.items())
        },
    }
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f"{_TEMPORARY}{target.name}-", dir=target.parent))
        try:
            temporary.chmod(0o755)
            for name, content in files.items():
                _write_flushed(temporary / name, content)
            _write_flushed(temporary / MANIFEST, _json_bytes(manifest))
            _flush(temporary)
            try:
                temporary.rename(target)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or problems(target):
                    raise
            _flush(target.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def write_file(target: Path, content: bytes) -> None:
    """Replace one file, whole and on the disk.

    Raises:
        StoreError: it could not be written; an earlier version is untouched.
    """
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=_TEMPORARY, dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            temporary.chmod(0o644)
            _write_flushed(temporary, content)
            temporary.replace(target)
            _flush(target.parent)
        finally:
            temporary.unlink(missing_ok=True)


def problems(directory: Path) -> list[str]:
    """What is wrong with a committed directory, one sentence each; empty when it is whole."""
    try:
        expected = _manifest(directory)
    except StoreError as error:
        return [str(error)]
    found = []
    for name in expected:
        try:
            read_file(directory, name)
        except StoreError as error:
            found.append(str(error))
    extra = {path.name for path in directory.iterdir()} - {*expected, MANIFEST}
    return found + [f"{directory / name} is not in the manifest" for name in sorted(extra)]


def read_file(directory: Path, name: str) -> bytes:
    """The contents of a committed file, checked against the manifest before anyone uses them.

    Raises:
        StoreError: the file or its manifest is missing, unreadable, or not what was written.
    """
    expected = _manifest(directory)
    if name not in expected:
        raise StoreError(f"{directory / name} is not in the manifest beside it")
    try:
        content = (directory / name).read_bytes()
    except OSError as error:
        raise StoreError(f"cannot read {directory / name}: {error.strerror}") from error
    if len(content) != expected[name]["bytes"]:
        raise StoreError(
            f"{directory / name} has {len(content)} bytes, its manifest says "
            f"{expected[name]['bytes']}"
        )
    if hashlib.sha256(content).hexdigest() != expected[name]["sha256"]:
        raise StoreError(f"{directory / name} is not what was written: its SHA-256 differs")
    return content


def set_aside(directory: Path) -> Path:
    """Rename a directory that cannot be trusted, so that its place is free; never delete it."""
    number = 1
    while (aside := directory.parent / f"{CORRUPT}{directory.name}-{number}").exists():
        number += 1
    with writing(directory):
        directory.rename(aside)
        _flush(directory.parent)
    return aside


def remove_leftovers(parent: Path, name: str) -> None:
    """Remove what killed processes left of attempts to commit targets whose names begin so."""
    for path in parent.glob(f"{_TEMPORARY}{name}-*"):
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an operating-system error into one that names the path and says what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        taken = error.errno in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG)
        advice = "free some space" if full else "make the place writable"
        advice = "name another place" if taken else advice
        raise StoreError(
            f"cannot write {path}: {error.strerror}. What was finished before is intact; "
            f"{advice} and run the same command again to go on"
        ) from error


def _manifest(directory: Path) -> dict[str, dict[str, Any]]:
    try:
        manifest = json.loads((directory / MANIFEST).read_bytes())
        files: dict[str, dict[str, Any]] = manifest["files"]
        for name, entry in files.items():
            if Path(name).name != name or name in ("", ".", "..") or not name.isprintable():
                raise StoreError(f"{directory / MANIFEST} names {name!r}, not a plain file name")
            if not (isinstance(entry["bytes"], int) and isinstance(entry["sha256"], str)):
                raise TypeError("bytes must be a number and sha256 a string")
    except OSError as error:
        raise StoreError(f"cannot read {directory / MANIFEST}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StoreError(f"{directory / MANIFEST} is not a manifest: {error}") from error
    return files


def _json_bytes(value: object) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def _write_flushed(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush(directory: Path) -> None:
    if os.name == "nt":  # Windows cannot open a directory; its renames are flushed by the journal.
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
