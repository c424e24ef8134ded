"""IDX files, the format of MNIST and its kin: a header of sizes, then the values.

The format: two zero bytes, a byte for the type of the values (0x08: unsigned bytes), a byte for
the number of dimensions, each dimension's size as a big-endian 32-bit integer, and the values,
big-endian as well. A file is untrusted input: nothing is allocated or decompressed only because its
header says so, and everything that can be wrong with it is a ``DataError``.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, cast

import numpy as np
import numpy.typing as npt

from lottery.data.plain_files import MAX_EXPANSION, FileError, open_plain, unpacked_limit

Bytes = npt.NDArray[np.uint8]
Role = Literal["inputs", "labels"]

MAX_BYTES = 2**30
"""Bytes of values in one file, at most: a guard against gzip bombs, twice EMNIST's largest file."""
MAX_EXAMPLES = 2**24
"""Examples in one file, at most: each costs 8 bytes as a target, however small its image."""

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 2**20
_TYPES: Final = {
    0x08: ("unsigned bytes", "u1"),
    0x09: ("signed bytes", "i1"),
    0x0B: ("16-bit integers", ">i2"),
    0x0C: ("32-bit integers", ">i4"),
    0x0D: ("32-bit floats", ">f4"),
    0x0E: ("64-bit floats", ">f8"),
}
_DIMENSIONS: Final[dict[Role, dict[int, tuple[int, ...]]]] = {
    "inputs": {0x08: (3, 4), 0x0D: (2, 3, 4), 0x0E: (2, 3, 4)},
    "labels": dict.fromkeys((0x08, 0x09, 0x0B, 0x0C), (1,)),
}
"""What is read: type of values -> numbers of dimensions."""
_WANTED: Final[dict[Role, str]] = {
    "inputs": "inputs: unsigned bytes of N x [channels x] height x width, or floats of 2 to 4 "
    "dimensions",
    "labels": "labels: integers of 1 dimension",
}
_CONVERT = (
    "Convert it, or name a function of yours that returns its values: data.name = "
    "'package.module:function'."
)


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


def read_idx(path: Path, role: Role) -> npt.NDArray[Any]:
    """The values of one file: ``[N]`` labels or ``[N, ...]`` inputs, in this machine's byte order.

    Whether the file is gzipped is seen from its first bytes, not from its name.

    Args:
        path: the file, gzipped or not.
        role: ``labels`` are integers of 1 dimension; ``inputs`` are unsigned bytes of 3 or 4
            dimensions, or floats of 2 to 4.

    Raises:
        FileError: the file cannot be read, is not such a file, or holds fewer or more values than
            its header promises.
    """
    with open_plain(path, "an IDX file", (zlib.error, EOFError)) as file:
        packed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        file.seek(0)
        stream: BinaryIO = file
        limit = MAX_BYTES
        if packed:
            stream = cast(BinaryIO, gzip.GzipFile(fileobj=file))
            limit = unpacked_limit(os.fstat(file.fileno()).st_size)
        kind, shape = _header(stream, path, role, limit)
        size = math.prod(shape) * kind.itemsize
        # One byte more than promised tells a file that goes on from one that ends here, and makes
        # gzip check its checksum, which it does at the end of the stream.
        values = _read_at_most(stream, size + 1)
    if len(values) != size:
        promised = f"{' x '.join(map(str, shape))} = {math.prod(shape):,} values"
        found = f"only {len(values) // kind.itemsize:,}" if len(values) < size else "more"
        raise FileError(path, f"its header promises {promised}, but {found} follow")
    return np.frombuffer(values, kind).reshape(shape).astype(kind.newbyteorder("="), copy=False)


def _read_at_most(stream: BinaryIO, limit: int) -> bytearray:
    """Up to ``limit`` bytes, held in no more memory than there are bytes."""
    found = bytearray()
    while len(found) < limit and (chunk := stream.read(min(_CHUNK, limit - len(found)))):
        found += chunk
    return found


def _header(
    stream: BinaryIO, path: Path, role: Role, limit: int
) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Type and shape in the header at the start of ``stream``, with every size credible."""
    begin = bytes(_read_at_most(stream, 4))
    if len(begin) < 4 or begin[3] not in _DIMENSIONS[role].get(begin[2], ()) or any(begin[:2]):
        raise _wrong_kind(path, begin, role)
    sizes = bytes(_read_at_most(stream, 4 * begin[3]))
    if len(sizes) < 4 * begin[3]:
        raise FileError(path, f"expected {4 * begin[3]} bytes of sizes, got {len(sizes)}")
    kind = np.dtype(_TYPES[begin[2]][1])
    shape = tuple(int.from_bytes(sizes[at : at + 4], "big") for at in range(0, len(sizes), 4))
    size = math.prod(shape)
    if size == 0 or size * kind.itemsize > MAX_BYTES or shape[0] > MAX_EXAMPLES:
        raise FileError(
            path,
            f"its header promises {' x '.join(map(str, shape))} values; expected 1 to "
            f"{MAX_BYTES // kind.itemsize:,} of them, in at most {MAX_EXAMPLES:,} examples",
        )
    if size * kind.itemsize > limit:
        raise FileError(
            path,
            f"its header promises {size:,} values, more than {MAX_EXPANSION} times the packed file",
        )
    return kind, shape


def _wrong_kind(path: Path, begin: bytes, role: Role) -> FileError:
    """What is wrong where a file's first four bytes are not those of ``role``."""
    if not begin:
        return FileError(path, "expected an IDX file, but it is empty")
    if len(begin) == 4 and not any(begin[:2]) and begin[2] in _TYPES and begin[3]:
        found = f"{_TYPES[begin[2]][0]} (type 0x{begin[2]:02x}) of {begin[3]} dimensions"
        return FileError(path, f"expected {_WANTED[role]}; got {found}", _CONVERT)
    reason = f"expected an IDX file, which begins with two zeros and a type, got {begin.hex(' ')}"
    return FileError(path, reason)
