"""The IDX reader: round trips, and one clear error for whatever is wrong with a file."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lottery.data import idx
from lottery.data.idx import Bytes, FileError, encode_idx, read_idx, read_shape, sha256_of
from lottery.errors import DataError

images = arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, max_side=5))
reuse_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
# Without the time: every process of the tests must give the test cases made of it the same names.
PACKED = gzip.compress(bytes.fromhex("00000801 00000001 00"), mtime=0)


def write(folder: Path, contents: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(contents)
    return path


def naive(contents: bytes) -> Bytes:
    """A second parser, of whole, sound files alone."""
    dimensions = contents[3]
    shape = struct.unpack_from(f">{dimensions}I", contents, 4)
    return np.frombuffer(contents[4 + 4 * dimensions :], dtype=np.uint8).reshape(shape)


class TestSoundFiles:
    @reuse_folder
    @given(values=images, packed=st.booleans())
    def test_reads_back_what_was_written(self, tmp_path: Path, values: Bytes, packed: bool) -> None:
        contents = encode_idx(values)
        path = write(tmp_path, gzip.compress(contents) if packed else contents)

        found = read_idx(path, 3)

        np.testing.assert_array_equal(found, values, strict=True)
        np.testing.assert_array_equal(found, naive(contents), strict=True)
        assert read_shape(path, 3) == values.shape
        assert sha256_of(found) == hashlib.sha256(contents).hexdigest()

    def test_header_is_that_of_the_format(self) -> None:
        labels = np.arange(3, dtype=np.uint8)

        assert encode_idx(labels) == bytes.fromhex("00000801 00000003 000102")

    def test_first_bytes_and_not_the_name_tell_gzip(self, tmp_path: Path) -> None:
        labels = np.arange(7, dtype=np.uint8)
        plain = write(tmp_path, encode_idx(labels), "plain.gz")
        packed = write(tmp_path, gzip.compress(encode_idx(labels)), "packed")

        np.testing.assert_array_equal(read_idx(plain, 1), read_idx(packed, 1))

    def test_hash_does_not_depend_on_the_layout_in_memory(self) -> None:
        values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)

        assert sha256_of(np.asfortranarray(values)) == sha256_of(values)


class TestFuzz:
    @reuse_folder
    @given(values=images, packed=st.booleans(), data=st.data())
    def test_any_truncation_is_an_error(
        self, tmp_path: Path, values: Bytes, packed: bool, data: st.DataObject
    ) -> None:
        contents = encode_idx(values)
        contents = gzip.compress(contents) if packed else contents
        length = data.draw(st.integers(0, len(contents) - 1))

        with pytest.raises(DataError, match="file"):
            read_idx(write(tmp_path, contents[:length]), 3)

    @reuse_folder
    @given(values=images, data=st.data())
    def test_any_changed_header_byte_is_an_error(
        self, tmp_path: Path, values: Bytes, data: st.DataObject
    ) -> None:
        contents = bytearray(encode_idx(values))
        position = data.draw(st.integers(0, 15))
        contents[position] = data.draw(
            st.integers(0, 255).filter(lambda byte: byte != contents[position])
        )

        with pytest.raises(DataError, match="file"):
            read_idx(write(tmp_path, bytes(contents)), 3)

    @reuse_folder
    @given(values=images, data=st.data())
    def test_a_changed_gzip_byte_is_an_error_or_changes_nothing(
        self, tmp_path: Path, values: Bytes, data: st.DataObject
    ) -> None:
        contents = bytearray(gzip.compress(encode_idx(values), mtime=0))
        position = data.draw(st.integers(0, len(contents) - 1))
        contents[position] = data.draw(st.integers(0, 255))

        try:
            found = read_idx(write(tmp_path, bytes(contents)), 3)
        except DataError:
            return
        np.testing.assert_array_equal(found, values)

    @reuse_folder
    @given(contents=st.binary(max_size=64), packed=st.booleans())
    def test_arbitrary_bytes_are_values_or_an_error(
        self, tmp_path: Path, contents: bytes, packed: bool
    ) -> None:
        path = write(tmp_path, gzip.compress(contents) if packed else contents)

        try:
            found = read_idx(path, 1)
        except DataError:
            return
        assert encode_idx(found) == contents


class TestWhatIsWrong:
    @pytest.mark.parametrize(
        ("contents", "reason"),
        [
            (b"", "labels .* but it is empty"),
            (b"<!DOCTYPE html>", "begins with 00 00 08 01, got 3c 21 44 4f"),
            (bytes.fromhex("00000801"), "header of 8 bytes, got 4"),
            (bytes.fromhex("00000803 00000001 00000001 00000001 00"), r"got images \(3 dim"),
            (bytes.fromhex("00000f01 00000001 00000000"), "begins with .* got 00 00 0f 01"),
            (bytes.fromhex("00000d00"), "begins with .* got 00 00 0d 00"),
            (bytes.fromhex("00000801 00000000"), "promises 0 values; expected 1 to"),
            (bytes.fromhex("00000801 ffffffff 00"), "promises 4294967295 values; expected 1 to"),
            (bytes.fromhex("00000801 01000001 00"), "at most 16,777,216 examples"),
            (bytes.fromhex("00000801 00000005 00010203"), "5 values, but only 4 follow"),
            (bytes.fromhex("00000801 00000005 000102030405"), "5 values, but more follow"),
            (bytes.fromhex("1f8b"), "expected a gzip file, but it is damaged"),
            (PACKED[:-4], "expected a gzip file"),
            (PACKED + b"more", "expected a gzip file"),
        ],
    )
    def test_the_error_names_file_reason_and_fix(
        self, tmp_path: Path, contents: bytes, reason: str
    ) -> None:
        path = write(tmp_path, contents)

        with pytest.raises(FileError, match=reason) as caught:
            read_idx(path, 1)

        assert str(caught.value) == (
            f"{path}: {caught.value.reason}. Replace the file with a good copy, or delete it."
        )

    @pytest.mark.parametrize(
        ("header", "found"),
        [
            ("00000802", "got 2 dimensions"),
            ("00000901", "got signed bytes (type 0x09), labels (1 dimension)"),
            ("00000b01", "got 16-bit integers (type 0x0b), labels (1 dimension)"),
            ("00000c02", "got 32-bit integers (type 0x0c), 2 dimensions"),
            ("00000d03", "got 32-bit floats (type 0x0d), images (3 dimensions)"),
            ("00000e04", "got 64-bit floats (type 0x0e), 4 dimensions"),
        ],
    )
    @pytest.mark.parametrize("pack", [bytes, gzip.compress])
    def test_valid_files_of_other_kinds_are_not_called_damaged(
        self, tmp_path: Path, header: str, found: str, pack: Callable[[bytes], bytes]
    ) -> None:
        path = write(tmp_path, pack(bytes.fromhex(header) + bytes.fromhex("00000001") * 5))

        for read in (read_idx, read_shape):
            with pytest.raises(FileError) as caught:
                read(path, 1)

            said = str(caught.value)
            assert found in said
            assert "It is a valid kind of IDX file, but only unsigned bytes are read" in said
            assert "Replace" not in said

    def test_sizes_whose_product_overflows_64_bits(self, tmp_path: Path) -> None:
        path = write(tmp_path, bytes.fromhex("00000803 80000000 80000000 00000004"))

        with pytest.raises(DataError, match="2147483648 x 2147483648 x 4 values"):
            read_idx(path, 3)

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"No such file or directory.*Check that it is there"):
            read_idx(tmp_path / "nothing", 1)

    def test_directory(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="expected an IDX file, but this is a directory"):
            read_idx(tmp_path, 1)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
    def test_a_pipe_does_not_block(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")

        with pytest.raises(DataError, match="not a plain file"):
            read_idx(tmp_path / "pipe", 1)

    def test_unreadable_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # Taking the permission away would not stop a test that runs as root.
        def refuse(*args: object) -> None:
            raise PermissionError(13, "Permission denied")

        path = write(tmp_path, b"")
        monkeypatch.setattr(idx, "open", refuse, raising=False)

        with pytest.raises(DataError, match=r"cannot be read \(Permission denied\)"):
            read_idx(path, 1)


class TestBombs:
    def test_a_packed_file_is_refused_if_it_promises_very_much_more(self, tmp_path: Path) -> None:
        path = write(tmp_path, gzip.compress(bytes.fromhex("00000803 00001001 00000100 00000100")))

        for read in (read_idx, read_shape):
            with pytest.raises(FileError, match="268,500,992 values, more than 200 times the pack"):
                read(path, 3)

    def test_decompresses_no_further_than_promised(self, tmp_path: Path) -> None:
        bomb = gzip.compress(bytes.fromhex("00000801 00000005") + bytes(50_000_000), 6)
        path = write(tmp_path, bomb)
        tracemalloc.start()

        with pytest.raises(DataError, match="5 values, but more follow"):
            read_idx(path, 1)

        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2_000_000

    def test_a_lying_header_allocates_nothing(self, tmp_path: Path) -> None:
        path = write(tmp_path, bytes.fromhex("00000803 00100000 00000010 00000010 00"))
        tracemalloc.start()

        with pytest.raises(DataError, match="268,435,456 values, but only 1 follow"):
            read_idx(path, 3)

        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4_000_000
