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

from lottery.data import plain_files
from lottery.data.idx import Bytes, encode_idx, read_idx, sha256_of
from lottery.data.plain_files import FileError
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

        found = read_idx(path, "inputs")

        np.testing.assert_array_equal(found, values, strict=True)
        np.testing.assert_array_equal(found, naive(contents), strict=True)
        assert sha256_of(found) == hashlib.sha256(contents).hexdigest()

    def test_header_is_that_of_the_format(self) -> None:
        labels = np.arange(3, dtype=np.uint8)

        assert encode_idx(labels) == bytes.fromhex("00000801 00000003 000102")

    def test_first_bytes_and_not_the_name_tell_gzip(self, tmp_path: Path) -> None:
        labels = np.arange(7, dtype=np.uint8)
        plain = write(tmp_path, encode_idx(labels), "plain.gz")
        packed = write(tmp_path, gzip.compress(encode_idx(labels)), "packed")

        np.testing.assert_array_equal(read_idx(plain, "labels"), read_idx(packed, "labels"))

    def test_hash_does_not_depend_on_the_layout_in_memory(self) -> None:
        values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)

        assert sha256_of(np.asfortranarray(values)) == sha256_of(values)

    @pytest.mark.parametrize(
        ("code", "kind", "shape"),
        [
            (0x0D, ">f4", (3, 5)),
            (0x0D, ">f4", (2, 4, 3)),
            (0x0E, ">f8", (2, 3, 4, 5)),
            (0x08, "u1", (2, 3, 4, 5)),
        ],
    )
    def test_inputs_of_other_types(
        self, tmp_path: Path, code: int, kind: str, shape: tuple[int, ...]
    ) -> None:
        values = (100 * np.random.default_rng(0).random(shape)).astype(kind)
        header = struct.pack(f">HBB{len(shape)}I", 0, code, len(shape), *shape)

        found = read_idx(write(tmp_path, header + values.tobytes()), "inputs")

        np.testing.assert_array_equal(found, values)
        assert found.dtype.isnative

    @pytest.mark.parametrize(("code", "kind"), [(0x09, "i1"), (0x0B, ">i2"), (0x0C, ">i4")])
    def test_labels_of_other_types(self, tmp_path: Path, code: int, kind: str) -> None:
        values = np.array([0, 100, 3], kind)
        header = struct.pack(">HBBI", 0, code, 1, 3)

        found = read_idx(write(tmp_path, header + values.tobytes()), "labels")

        assert found.tolist() == [0, 100, 3]


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
            read_idx(write(tmp_path, contents[:length]), "inputs")

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
            read_idx(write(tmp_path, bytes(contents)), "inputs")

    @reuse_folder
    @given(values=images, data=st.data())
    def test_a_changed_gzip_byte_is_an_error_or_changes_nothing(
        self, tmp_path: Path, values: Bytes, data: st.DataObject
    ) -> None:
        contents = bytearray(gzip.compress(encode_idx(values), mtime=0))
        position = data.draw(st.integers(0, len(contents) - 1))
        contents[position] = data.draw(st.integers(0, 255))

        try:
            found = read_idx(write(tmp_path, bytes(contents)), "inputs")
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
            found = read_idx(path, "labels")
        except DataError:
            return
        if found.dtype == np.uint8:
            assert encode_idx(found) == contents


class TestWhatIsWrong:
    @pytest.mark.parametrize(
        ("contents", "reason"),
        [
            (b"", "an IDX file, but it is empty"),
            (b"<!DOCTYPE html>", "begins with two zeros and a type, got 3c 21 44 4f"),
            (bytes.fromhex("00000801"), "expected 4 bytes of sizes, got 0"),
            (bytes.fromhex("00000f01 00000001 00000000"), "begins with .* got 00 00 0f 01"),
            (bytes.fromhex("00000d00"), "begins with .* got 00 00 0d 00"),
            (bytes.fromhex("00000801 00000000"), "promises 0 values; expected 1 to"),
            (bytes.fromhex("00000801 ffffffff 00"), "promises 4294967295 values; expected 1 to"),
            (bytes.fromhex("00000801 01000001 00"), "at most 16,777,216 examples"),
            (bytes.fromhex("00000801 00000005 00010203"), "5 values, but only 4 follow"),
            (bytes.fromhex("00000801 00000005 000102030405"), "5 values, but more follow"),
            (bytes.fromhex("1f8b"), "expected an IDX file, but it is damaged"),
            (PACKED[:-4], "expected an IDX file, but it is damaged"),
            (PACKED + b"more", "expected an IDX file, but it is damaged"),
        ],
    )
    def test_the_error_names_file_reason_and_fix(
        self, tmp_path: Path, contents: bytes, reason: str
    ) -> None:
        path = write(tmp_path, contents)

        with pytest.raises(FileError, match=reason) as caught:
            read_idx(path, "labels")

        assert str(caught.value) == (
            f"{path}: {caught.value.reason}. Replace the file with a good copy, or delete it."
        )

    @pytest.mark.parametrize(
        ("header", "found"),
        [
            ("00000802", r"unsigned bytes (type 0x08) of 2 dimensions"),
            ("00000803", r"unsigned bytes (type 0x08) of 3 dimensions"),
            ("00000c02", r"32-bit integers (type 0x0c) of 2 dimensions"),
            ("00000d01", r"32-bit floats (type 0x0d) of 1 dimensions"),
        ],
    )
    @pytest.mark.parametrize("pack", [bytes, gzip.compress])
    def test_valid_files_of_other_kinds_are_not_called_damaged(
        self, tmp_path: Path, header: str, found: str, pack: Callable[[bytes], bytes]
    ) -> None:
        path = write(tmp_path, pack(bytes.fromhex(header) + bytes.fromhex("00000001") * 5))

        with pytest.raises(FileError) as caught:
            read_idx(path, "labels")

        assert f"expected labels: integers of 1 dimension; got {found}. Convert" in str(
            caught.value
        )

    def test_sizes_whose_product_overflows_64_bits(self, tmp_path: Path) -> None:
        path = write(tmp_path, bytes.fromhex("00000803 80000000 80000000 00000004"))

        with pytest.raises(DataError, match="2147483648 x 2147483648 x 4 values"):
            read_idx(path, "inputs")

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"No such file or directory.*Check that it is there"):
            read_idx(tmp_path / "nothing", "labels")

    def test_directory(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="expected an IDX file, but this is a directory"):
            read_idx(tmp_path, "labels")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
    def test_a_pipe_does_not_block(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")

        with pytest.raises(DataError, match="not a plain file"):
            read_idx(tmp_path / "pipe", "labels")

    def test_unreadable_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # Taking the permission away would not stop a test that runs as root.
        def refuse(*args: object) -> None:
            raise PermissionError(13, "Permission denied")

        path = write(tmp_path, b"")
        monkeypatch.setattr(plain_files, "open", refuse, raising=False)

        with pytest.raises(DataError, match=r"cannot be read \(Permission denied\)"):
            read_idx(path, "labels")


class TestBombs:
    def test_a_packed_file_is_refused_if_it_promises_very_much_more(self, tmp_path: Path) -> None:
        path = write(tmp_path, gzip.compress(bytes.fromhex("00000803 00001001 00000100 00000100")))

        with pytest.raises(FileError, match="268,500,992 values, more than 200 times the pack"):
            read_idx(path, "inputs")

    def test_decompresses_no_further_than_promised(self, tmp_path: Path) -> None:
        bomb = gzip.compress(bytes.fromhex("00000801 00000005") + bytes(50_000_000), 6)
        path = write(tmp_path, bomb)
        tracemalloc.start()

        with pytest.raises(DataError, match="5 values, but more follow"):
            read_idx(path, "labels")

        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2_000_000

    def test_a_lying_header_allocates_nothing(self, tmp_path: Path) -> None:
        path = write(tmp_path, bytes.fromhex("00000803 00100000 00000010 00000010 00"))
        tracemalloc.start()

        with pytest.raises(DataError, match="268,435,456 values, but only 1 follow"):
            read_idx(path, "inputs")

        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4_000_000
