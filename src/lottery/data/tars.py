"""Tar files, read with tarfile member by member, in order, and never unpacked to disk.

Only regular files that were asked for by name are read, no link is followed, and a packed file that
would become very much larger, according to its headers, is not unpacked.
"""

from __future__ import annotations

import lzma
import os
import sys
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from lottery.data.plain_files import (
    MAX_EXPANSION,
    FileError,
    first_names,
    is_image,
    one_line,
    open_plain,
    unpacked_limit,
)

# ValueError, IndexError and OverflowError are what tarfile makes of some headers.
_DAMAGE: Final = (
    *(tarfile.TarError, zlib.error, lzma.LZMAError, EOFError),
    *(ValueError, IndexError, OverflowError, RecursionError, MemoryError),
)
_REST: Final = 2**10
"""Blocks of 64 KiB that may follow an archive's end; tools fill up some thousand bytes."""
_REPACK: Final = "Pack it again as .tar or .tar.gz, or unpack it into a folder and use 'folder:'."


def list_tar(path: Path) -> dict[str, int]:
    """Name -> size in bytes of every regular file in a tar file, packed by gzip, bzip2, xz or not.

    A name that is not UTF-8 is decoded as Python decodes names in a folder (``surrogateescape``).

    Raises:
        FileError: the file cannot be read, is no tar file, is damaged or cut off, or holds two
            files of one name or an image that is a link.
    """
    found: dict[str, int] = {}
    for _, member in _members(path):
        if member.isreg() and not member.issparse():
            if member.name in found:
                raise FileError(path, f"it holds two files of the name {one_line(member.name)}")
            found[member.name] = member.size
        elif not member.isdir() and is_image(member.name):
            reason = f"expected a plain file, but {one_line(member.name)} is a link or has holes"
            raise FileError(path, reason, "Pack what links lead to (tar -h --hard-dereference).")
    return found


def read_tar(path: Path, sizes: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    """The contents of some files in a tar file, in the order in which they lie there.

    Args:
        path: the tar file.
        sizes: name -> size of each file that is wanted; each is read into memory as a whole.

    Raises:
        FileError: as for `list_tar`; or a file is missing, or of another size.
    """
    left = dict(sizes)
    for tar, member in _members(path):
        if member.name in left and member.isreg():
            file = tar.extractfile(member)
            contents = file.read(left[member.name] + 1) if file else b""
            if len(contents) != left.pop(member.name):
                raise FileError(path, f"{one_line(member.name)} has another size than expected")
            yield member.name, contents
    if left:
        raise FileError(path, f"expected {len(left)} more in it: {first_names(sorted(left))}")


def _members(path: Path) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    with (
        open_plain(path, "a tar file", _DAMAGE) as file,
        tarfile.open(fileobj=file, encoding="utf-8", errors="surrogateescape") as tar,
    ):
        size, place = os.fstat(file.fileno()).st_size, -1
        limit = sys.maxsize if tar.fileobj is file else unpacked_limit(size)
        while (member := tar.next()) is not None:
            # tarfile is to forget it, since headers of a million are a gigabyte.
            tar.members = []  # type: ignore[attr-defined]
            # A negative size would lead back to where we have been.
            if member.size < 0 or member.offset <= place:
                raise FileError(path, f"the size of {one_line(member.name)} leads back")
            # Before a byte of the member is unpacked.
            if tar.offset > limit:
                reason = f"unpacked it is more than {MAX_EXPANSION} times as large by its headers"
                raise FileError(path, reason, _REPACK)
            place = member.offset
            yield tar, member
        if tar.fileobj is file and size < tar.offset + tarfile.BLOCKSIZE:
            raise FileError(path, "it is cut off: its end is missing")
        # A packed file's checksum is checked at its very end.
        packed = tar.fileobj if tar.fileobj is not file else None
        for _ in range(_REST):
            if packed is None or not packed.read(2**16):
                break
