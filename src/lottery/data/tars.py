"""Tar files, read member by member, in order, and never unpacked to disk.

A tar file is untrusted input. Only plain files that were asked for by name are read, each no
larger than it may be; no link is followed, and a hard link is but another name of a file before it;
the headers of one member are `MAX_HEADERS` bytes at most; and a packed file that would become very
much larger by its headers is not unpacked.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import stat
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, cast

from lottery.data.idx import MOST_TIMES, FileError, unpacked_limit
from lottery.data.names import shown, some

MAX_HEADERS: Final = 2**17
"""Bytes of one member's headers, at most: its name, and attributes of 64 KiB as Linux allows."""
MAX_MEMBERS: Final = 2**24
"""Members of one file, at most."""
_MAX_GLOBAL: Final = 64
"""Values that hold for all members, at most."""
_MANY_DIGITS: Final = re.compile(rb"\d{300}")
_REST: Final = 2**26
"""Bytes that may follow an archive's end; tools fill up a block of some thousands."""
_END: Final = bytes(512)

_DAMAGE: Final = (
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    # What tarfile raises where a header is cut off, or very many belong to one another.
    IndexError,
    RecursionError,
    OverflowError,
)
_COMPRESSIONS: Final[dict[re.Pattern[bytes], Callable[[Any], Any]]] = {
    re.compile(rb"\x1f\x8b"): gzip.open,
    # Not less: a name in a tar file that is not packed may begin with BZ.
    re.compile(rb"BZh[1-9]1AY&SY"): bz2.open,
    re.compile(rb"\xfd7"): lzma.open,
}
_OTHERS: Final = {b"PK\x03\x04": "a zip file", b"\x28\xb5\x2f\xfd": "packed with zstd"}
_REPACK: Final = "Pack it anew as .tar or .tar.gz, or unpack it into a folder and use 'folder:'."


class Listing(NamedTuple):
    """The names in a tar file.

    Args:
        sizes: of every plain file, in bytes.
        copies: hard link -> the plain file before it that it is another name of.
        unread: every other link, and what is stored with holes -> what it is, for messages.
    """

    sizes: dict[str, int]
    copies: dict[str, str]
    unread: dict[str, str]


def list_tar(path: Path) -> Listing:
    """What is in a tar file, which may be packed by gzip, bzip2 or xz.

    A name that does not decode as UTF-8 is as Python has it of a folder (``surrogateescape``).

    Raises:
        FileError: the file cannot be read, is no tar file, is damaged or cut off, or holds two
            files of one name.
    """
    found = Listing({}, {}, {})
    for member, _ in _members(path):
        if _is_plain(member):
            if member.name in found.sizes:
                raise FileError(path, f"it holds two files of the name {shown(member.name)}")
            found.sizes[member.name] = member.size
        elif member.islnk() and member.linkname in found.sizes:
            found.copies[member.name] = member.linkname
        elif member.islnk() or member.issym():
            found.unread[member.name] = (
                f"a link to {shown(member.linkname)}; pack what it leads to (tar -h)"
            )
        elif member.isreg():
            found.unread[member.name] = "stored with holes; pack it without (no tar -S)"
    for name in found.sizes:
        found.copies.pop(name, None)
        found.unread.pop(name, None)
    for name in found.copies:
        found.unread.pop(name, None)
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
    for member, stream in _members(path):
        size = left.pop(member.name, None) if _is_plain(member) else None
        if size is None:
            continue
        if member.size != size:
            reason = f"expected {size:,} bytes in {shown(member.name)}, got {member.size:,}"
            raise FileError(path, reason)
        stream.seek(member.offset_data)
        contents = stream.read(size)
        if len(contents) != size:
            raise FileError(path, f"it is cut off in {shown(member.name)}")
        yield member.name, contents
    if left:
        raise FileError(path, f"expected {len(left)} more in it: {some(sorted(left))}")


def _is_plain(member: tarfile.TarInfo) -> bool:
    return member.isreg() and not member.issparse()


class _Bounded:
    """A stream for tarfile that ends headers without end, and remembers what it read last.

    tarfile reads as much as a header says for long names and the maps of sparse files, however
    much that is, and takes as many headers for one member as come.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.last = stream, b""
        self.begin()

    def begin(self) -> None:
        """Another member begins."""
        self._left = MAX_HEADERS

    def read(self, size: int = -1) -> bytes:
        self._left -= size
        if size < 0 or self._left < 0:
            raise tarfile.ReadError(f"the headers of one file take more than {MAX_HEADERS:,} bytes")
        self.last = self._stream.read(size)
        # Early releases of Python 3.11 and 3.12 search them in the square of their number; no part
        # of a path has more than 255.
        if size > len(_END) and _MANY_DIGITS.search(self.last):
            raise tarfile.ReadError("a header holds a number of very many digits")
        return self.last

    def seek(self, place: int) -> int:
        return self._stream.seek(place)

    def tell(self) -> int:
        return self._stream.tell()


def _members(path: Path) -> Iterator[tuple[tarfile.TarInfo, BinaryIO]]:
    """Everything in a tar file, with the stream that its contents are in."""
    with _contents(path) as (contents, limit):
        stream = _Bounded(contents)
        with tarfile.TarFile(
            fileobj=cast(BinaryIO, stream), mode="r", encoding="utf-8", errors="surrogateescape"
        ) as tar:
            count, place = 0, -1
            while (member := _next(tar, stream)) is not None:
                count += 1
                # A negative size would lead back to where we have been; sparse files have two.
                if member.size < 0:
                    raise FileError(path, f"{shown(member.name)} has a size of {member.size}")
                if member.offset <= place:
                    raise FileError(
                        path, f"what comes before {shown(member.name)} leads back to it"
                    )
                if count > MAX_MEMBERS:
                    raise FileError(path, f"it holds more than {MAX_MEMBERS:,} files")
                if len(tar.pax_headers) > _MAX_GLOBAL:
                    raise FileError(path, f"more than {_MAX_GLOBAL} headers for all files")
                # Before a byte of the member is unpacked.
                if tar.offset > limit:
                    raise FileError(
                        path,
                        f"by its headers it is more than {MOST_TIMES} times as large unpacked as "
                        f"packed, at {shown(member.name)} of {member.size:,} bytes",
                        _REPACK,
                    )
                place = member.offset
                yield member, contents
            if stream.last != _END:
                raise FileError(path, "it is damaged or cut off: its end is missing")
        _read_to_the_end(path, contents)


def _next(tar: tarfile.TarFile, stream: _Bounded) -> tarfile.TarInfo | None:
    """The next member; tarfile forgets it, since headers of a million are a gigabyte."""
    stream.begin()
    member = tar.next()
    tar.members = []  # type: ignore[attr-defined]
    return member


def _read_to_the_end(path: Path, contents: BinaryIO) -> None:
    """A compressed file's checksum is checked at its very end."""
    rest = 0
    while chunk := contents.read(2**16):
        rest += len(chunk)
        if rest > _REST:
            raise FileError(path, f"more than {_REST:,} bytes follow the tar file's end")


@contextmanager
def _contents(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """The file's uncompressed bytes, and how many there may be.

    Whatever fails while they are read is a ``FileError``.
    """
    try:
        # Opening a pipe would wait for ever, so what is no plain file is never opened.
        state = os.stat(path)
        if not stat.S_ISREG(state.st_mode):
            kind = "a directory" if stat.S_ISDIR(state.st_mode) else "not a plain file"
            raise FileError(path, f"expected a tar file, but this is {kind}")
        with ExitStack() as stack:
            file = stack.enter_context(open(path, "rb"))
            begin = file.read(10)
            file.seek(0)
            for start, what in _OTHERS.items():
                if begin.startswith(start):
                    raise FileError(path, f"expected a tar file, but this is {what}", _REPACK)
            found = (open_ for begins, open_ in _COMPRESSIONS.items() if begins.match(begin))
            unpack = next(found, None)
            if unpack is None:
                yield file, sys.maxsize
            else:
                yield stack.enter_context(unpack(file)), unpacked_limit(state.st_size)
    except _DAMAGE as error:
        raise FileError(path, f"expected a tar file, but it is damaged ({error})") from error
    except ValueError as error:  # a number in a header that is none
        raise FileError(path, f"expected a tar file, but a header is wrong ({error})") from error
    except OSError as error:
        fix = "Check that it is there and that you may read it."
        raise FileError(path, f"cannot be read ({error.strerror or error})", fix) from error
