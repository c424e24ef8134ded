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
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lottery.data.partial_files import file_lock, new_partial_file
from lottery.errors import StoreError
from lottery.store.files import read_json, read_plain, why_no_directory
from lottery.store.schema import TABLE, TEXT, number, schema_problems, whole

MANIFEST = "manifest.json"
CORRUPT = ".corrupt-"
_TEMPORARY = ".tmp-"


def commit_directory(
    target: Path, files: Mapping[str, bytes], about: Mapping[str, Any] | None = None
) -> None:
    """Make the directory ``target`` with these files and their manifest, whole or not at all.

    If another process has committed the same target meanwhile, its files stay: the same job gives
    the same bytes.

    Args:
        target: a directory that does not exist yet; its parents are made.
        files: plain file name -> contents.
        about: further plain JSON for the manifest, see `Store.about`.

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
        **({"about": dict(about)} if about else {}),
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
    """Write one file, or replace it, whole and flushed to the disk.

    Raises:
        StoreError: it could not be written; an earlier version is untouched.
    """
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        # A name may be as long as the file system allows.
        name = f"{target.name[:60]}-"
        remove_leftovers(target.parent, name, directories=False)
        temporary = target.parent / f"{_TEMPORARY}{name}{secrets.token_hex(8)}"
        try:
            with new_partial_file(temporary):
                temporary.chmod(0o644)
                _write_flushed(temporary, content)
                temporary.replace(target)
            _flush(target.parent)
        finally:
            temporary.unlink(missing_ok=True)


def problems(directory: Path) -> list[str]:
    """What is wrong with a committed directory, one sentence each; empty when it is whole."""
    return read_directory(directory)[1]


def read_directory(directory: Path) -> tuple[dict[str, bytes], list[str]]:
    """The files of a committed directory that are whole, and what is wrong, one sentence each."""
    try:
        expected = _manifest(directory)
        there = {path.name for path in directory.iterdir()}
    except StoreError as error:
        return {}, [str(error)]
    except OSError as error:
        return {}, [f"cannot read {directory}: {error.strerror}"]
    files, found = {}, []
    for name, entry in expected.items():
        try:
            files[name] = _read_expected(directory / name, entry)
        except StoreError as error:
            found.append(str(error))
    extra = there - {*expected, MANIFEST}
    return files, found + [f"{directory / name} is not in the manifest" for name in sorted(extra)]


def read_file(directory: Path, name: str) -> bytes:
    """The contents of a committed file, checked against the manifest before anyone uses them.

    Raises:
        StoreError: the file or its manifest is missing, unreadable, or not what was written.
    """
    expected = _manifest(directory)
    if name not in expected:
        raise StoreError(f"{directory / name} is not in the manifest beside it")
    return _read_expected(directory / name, expected[name])


def about(directory: Path) -> dict[str, Any]:
    """The entry ``about`` of a committed directory's manifest; empty if it has none.

    Raises:
        StoreError: there is no manifest, or it is not one of this library.
    """
    _manifest(directory)
    said: dict[str, Any] = read_json(directory / MANIFEST).get("about", {})
    return said


def hashes(directory: Path) -> dict[str, str]:
    """File name -> SHA-256 (hex), as a committed directory's manifest says.

    Raises:
        StoreError: there is no manifest, or it is not one of this library.
    """
    return {name: entry["sha256"] for name, entry in _manifest(directory).items()}


def _read_expected(path: Path, entry: Mapping[str, Any]) -> bytes:
    content = read_plain(path, most=entry["bytes"])
    if len(content) != entry["bytes"]:
        raise StoreError(f"{path} has {len(content):,} bytes, its manifest says {entry['bytes']:,}")
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise StoreError(f"{path} is not what was written: its SHA-256 differs")
    return content


def set_aside(path: Path) -> Path:
    """Rename a file or directory that is damaged, so that its place is free; the new path.

    Raises:
        StoreError: it cannot be renamed.
    """
    number = 1
    while os.path.lexists(aside := path.parent / f"{CORRUPT}{path.name}-{number}"):
        number += 1
    with writing(path):
        path.rename(aside)
        _flush(path.parent)
    return aside


def remove(path: Path) -> None:
    """Remove a file, or a directory with all it contains; what cannot be removed stays."""
    with suppress(OSError):
        if stat.S_ISDIR(path.lstat().st_mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def remove_leftovers(parent: Path, name: str = "", *, directories: bool = True) -> None:
    """Remove temporary files and directories that killed processes left in a directory.

    Args:
        parent: the directory.
        name: the beginning of the target's name; empty: of any target.
        directories: whether directories are removed too. Only the owner of the run may do so, since
            nothing tells whether another process is still writing them. A file that another process
            is writing is locked by it, and stays.
    """
    with suppress(OSError):
        for path in list(parent.iterdir()):
            if not path.name.startswith(f"{_TEMPORARY}{name}"):
                continue
            if stat.S_ISREG(path.lstat().st_mode):
                with suppress(OSError), file_lock(path, waiting=False):
                    path.unlink()
            elif directories:
                remove(path)


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
    source = directory / MANIFEST
    trouble = why_no_directory(directory)
    if trouble:
        raise StoreError(trouble)
    manifest = read_json(source)
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict):
        raise StoreError(f"{source} is not a manifest: expected a table 'files'")
    for name, entry in files.items():
        if Path(name).name != name or name in ("", ".", "..") or not name.isprintable():
            raise StoreError(f"{source} names {name!r}, not a plain file name")
        wrong = schema_problems(entry, _ENTRY) if isinstance(entry, dict) else ["expected a table"]
        if wrong:
            raise StoreError(f"{source} is not a manifest: {name}: {'; '.join(wrong)}")
    said = manifest.get("about", {})
    wrong = (
        schema_problems(said, _ABOUT, optional=_ABOUT)
        if isinstance(said, dict)
        else ["expected a table"]
    )
    if wrong:
        raise StoreError(f"{source} is not a manifest: about: {'; '.join(wrong)}")
    return files


_ENTRY = {"bytes": whole(), "sha256": TEXT}
_ABOUT = {
    "identity": TEXT,
    "computed": TABLE,
    "made_from": TABLE,
    "ticket_seconds": number(0, 1e12),
}


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
