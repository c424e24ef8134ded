"""IDX files, the format of MNIST and its kin: a header of sizes, then one unsigned byte a value.

The format: two zero bytes, a byte for the type of the values (0x08: unsigned bytes), a byte for
the number of dimensions, each dimension's size as a big-endian 32-bit integer, and the values. A
file is untrusted input: nothing is allocated or decompressed because its header says so, and
whatever is wrong with it is one ``DataError``.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, cast

import numpy as np
import numpy.typing as npt

from lottery.errors import DataError

Bytes = npt.NDArray[np.uint8]
Dimensions = Literal[1, 3]

MAX_BYTES = 2**30
"""Values in one file, at most: a guard against gzip bombs, twice EMNIST's largest file."""
MAX_EXAMPLES = 2**24
"""Examples in one file, at most: each costs 8 bytes as a target, however small its image."""

MOST_TIMES = 200
"""How many times larger than itself a packed file may become, at most; see `unpacked_limit`."""
_ALWAYS = 2**28
_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 2**20
_REPLACE = "Replace the file with a good copy, or delete it."
_TYPES = {
    0x08: "unsigned bytes",
    0x09: "signed bytes",
    0x0B: "16-bit integers",
    0x0C: "32-bit integers",
    0x0D: "32-bit floats",
    0x0E: "64-bit floats",
}
_CONVERT = (
    "It is a valid kind of IDX file, but only unsigned bytes are read: images of N x height x "
    "width values from 0 to 255, and N labels from 0 on. Convert it, or make a "
    "lottery.data.Dataset of its values in Python."
)


class FileError(DataError):
    """One file cannot be read, is damaged, or is not the file it should be.

    Args:
        path: the file.
        reason: what was expected of it and what was found, without a full stop.
        fix: a sentence on what to do.
    """

    def __init__(self, path: Path, reason: str, fix: str = _REPLACE) -> None:
        self.reason = reason
        super().__init__(f"{path}: {reason}. {fix}")


def header_of(shape: tuple[int, ...]) -> bytes:
    """The header of an IDX file of unsigned bytes with this shape.

    >>> header_of((60_000, 28, 28)).hex(" ", 4)
    '00000803 0000ea60 0000001c 0000001c'
    """
    sizes = b"".join(size.to_bytes(4, "big") for size in shape)
    return bytes((0, 0, 8, len(shape))) + sizes


def encode_idx(values: Bytes) -> bytes:
    """An uncompressed IDX file that holds ``values``."""
    return header_of(values.shape) + values.tobytes()


def sha256_of(values: Bytes) -> str:
    """SHA-256 (hex) of the uncompressed IDX file that holds ``values``."""
    digest = hashlib.sha256(header_of(values.shape))
    digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def unpacked_limit(packed: int) -> int:
    """Bytes that a packed file may become: a guard against a few bytes that unpack for minutes.

    256 MiB are always allowed. Images that are packed already become little larger, and bytes of
    gzip could become a thousand times as many.

    Args:
        packed: its size in bytes.
    """
    return max(_ALWAYS, MOST_TIMES * packed)


def read_shape(path: Path, dimensions: Dimensions) -> tuple[int, ...]:
    """The shape that a file's header promises; its values are neither read nor counted.

    Args:
        path: the file, gzipped or not.
        dimensions: 1 for labels, 3 for images.

    Raises:
        FileError: the file cannot be read, or its header is not that of such a file.
    """
    with _contents(path) as (stream, limit):
        return _checked_shape(stream, path, dimensions, limit)


def read_idx(path: Path, dimensions: Dimensions) -> Bytes:
    """The values of one file, ``[N]`` labels or ``[N, H, W]`` images.

    Whether the file is gzipped is seen from its first bytes, not from its name.

    Args:
        path: the file, gzipped or not.
        dimensions: 1 for labels, 3 for images.

    Raises:
        FileError: the file cannot be read, is not such a file, or holds fewer or more values than
            its header promises.
    """
    with _contents(path) as (stream, limit):
        shape = _checked_shape(stream, path, dimensions, limit)
        size = math.prod(shape)
        # One byte more than promised tells a file that goes on from one that ends here, and makes
        # gzip check its checksum, which it does at the end of the stream.
        values = _read_at_most(stream, size + 1)
    if len(values) != size:
        promised = f"{' x '.join(map(str, shape))} = {size:,} values"
        found = f"only {len(values):,}" if len(values) < size else "more"
        raise FileError(path, f"its header promises {promised}, but {found} follow")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)


@contextmanager
def _contents(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """The file's uncompressed bytes, and how many there may be.

    Whatever fails while they are read is a ``DataError``.
    """
    try:
        # Opening a pipe would wait for ever, so what is no plain file is never opened.
        state = os.stat(path)
        if not stat.S_ISREG(state.st_mode):
            kind = "a directory" if stat.S_ISDIR(state.st_mode) else "not a plain file"
            raise FileError(path, f"expected an IDX file, but this is {kind}")
        with open(path, "rb") as file:
            packed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            file.seek(0)
            if packed:
                with gzip.GzipFile(fileobj=file) as unpacked:
                    yield cast(BinaryIO, unpacked), unpacked_limit(state.st_size)
            else:
                yield file, MAX_BYTES
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise FileError(path, f"expected a gzip file, but it is damaged ({error})") from error
    except OSError as error:
        fix = "Check that it is there and that you may read it."
        raise FileError(path, f"cannot be read ({error.strerror or error})", fix) from error


def _read_at_most(stream: BinaryIO, limit: int) -> bytearray:
    """Up to ``limit`` bytes, held in no more memory than there are bytes."""
    found = bytearray()
    while len(found) < limit and (chunk := stream.read(min(_CHUNK, limit - len(found)))):
        found += chunk
    return found


def _checked_shape(
    stream: BinaryIO, path: Path, dimensions: Dimensions, limit: int
) -> tuple[int, ...]:
    """The shape in the header at the start of ``stream``, with every size credible."""
    length = 4 + 4 * dimensions
    header = bytes(_read_at_most(stream, length))
    magic = bytes((0, 0, 8, dimensions))
    if header[:4] != magic:
        raise _wrong_magic(path, header[:4], magic)
    if len(header) < length:
        raise FileError(path, f"expected a header of {length} bytes, got {len(header)}")
    shape = tuple(int.from_bytes(header[at : at + 4], "big") for at in range(4, length, 4))
    size = math.prod(shape)
    if size == 0 or size > MAX_BYTES or shape[0] > MAX_EXAMPLES:
        raise FileError(
            path,
            f"its header promises {' x '.join(map(str, shape))} values; expected 1 to "
            f"{MAX_BYTES:,} of them, in at most {MAX_EXAMPLES:,} examples",
        )
    if size > limit:
        raise FileError(
            path,
            f"its header promises {size:,} values, more than {MOST_TIMES} times the packed file",
        )
    return shape


def _wrong_magic(path: Path, got: bytes, expected: bytes) -> FileError:
    """What is wrong where a file's first four bytes are not the expected ones."""
    kinds = {1: "labels (1 dimension)", 3: "images (3 dimensions)"}
    wanted = f"an IDX file of {kinds[expected[3]]}"
    if not got:
        return FileError(path, f"expected {wanted}, but it is empty")
    if len(got) == 4 and got[:2] == b"\0\0" and got[2] in _TYPES and got[3]:
        found = kinds.get(got[3], f"{got[3]} dimensions")
        if got[2] == 8:
            fix = _REPLACE if got[3] in kinds else _CONVERT
            return FileError(path, f"expected {wanted}, got {found}", fix)
        values = f"{_TYPES[got[2]]} (type 0x{got[2]:02x}), {found}"
        return FileError(path, f"expected unsigned bytes (type 0x08), got {values}", _CONVERT)
    reason = f"expected {wanted}, which begins with {expected.hex(' ')}, got {got.hex(' ')}"
    return FileError(path, reason)
