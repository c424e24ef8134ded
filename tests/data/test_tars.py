"""Tar files: what is asked for comes back, and whatever is wrong is one error."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lottery.data import plain_files
from lottery.data.tars import list_tar, read_tar
from lottery.errors import DataError

CONTENTS = {"a/one": b"1" * 1000, "two": b"", "a/three": bytes(range(256)) * 5}


def packed(contents: dict[str, bytes], *extra: tarfile.TarInfo) -> bytes:
    """An uncompressed tar file."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for member in extra:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
        for name, values in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(values)
            tar.addfile(member, io.BytesIO(values))
    return file.getvalue()


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_names_sizes_and_contents(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "any.tar"
    path.write_bytes(pack(packed(CONTENTS)))

    assert list_tar(path) == {name: len(values) for name, values in CONTENTS.items()}
    assert list(read_tar(path, {"a/three": 1280, "a/one": 1000})) == [
        ("a/one", CONTENTS["a/one"]),
        ("a/three", CONTENTS["a/three"]),
    ]


def test_many_members_in_order(tmp_path: Path) -> None:
    contents = {f"{number:04}": bytes([number % 256]) * number for number in range(1_500)}
    path = tmp_path / "any.tar.gz"
    path.write_bytes(gzip.compress(packed(contents), 1))

    assert dict(read_tar(path, list_tar(path))) == contents


def test_links_devices_and_folders_are_never_read(tmp_path: Path) -> None:
    path = tmp_path / "any.tar"
    strange = [
        special("link", tarfile.SYMTYPE, "/etc/passwd"),
        special("hard", tarfile.LNKTYPE, "/etc/passwd"),
        special("pipe", tarfile.FIFOTYPE),
        special("device", tarfile.CHRTYPE),
        special("folder", tarfile.DIRTYPE),
        special("two", tarfile.SYMTYPE, "a/one"),
    ]
    path.write_bytes(packed(CONTENTS, *strange))

    assert set(list_tar(path)) == set(CONTENTS)
    with pytest.raises(DataError, match="expected 1 more in it: link"):
        list(read_tar(path, {"link": 0}))
    assert dict(read_tar(path, {"two": 0})) == {"two": b""}


def test_names_that_are_not_utf_8_stay_apart(tmp_path: Path) -> None:
    path = tmp_path / "any.tar"
    names = [os.fsdecode(name) for name in (b"caf\xe9", b"caf\xe8", "caf\u00e9".encode())]
    with tarfile.open(path, "w", errors="surrogateescape", format=tarfile.GNU_FORMAT) as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name))

    assert list(list_tar(path)) == names
    with pytest.raises(DataError) as caught:
        list(read_tar(path, {names[0]: 1}))
    assert str(caught.value).isprintable()


def test_names_that_lead_elsewhere_write_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "in" / "any.tar"
    path.parent.mkdir()
    absolute = str(tmp_path / "elsewhere")
    path.write_bytes(packed({"../outside": b"x", absolute: b"y"}))

    assert dict(read_tar(path, list_tar(path))) == {"../outside": b"x", absolute: b"y"}
    assert os.listdir(tmp_path) == ["in"]


def test_two_files_of_one_name(tmp_path: Path) -> None:
    path = tmp_path / "any.tar"
    member = tarfile.TarInfo("two")
    path.write_bytes(packed(CONTENTS, member))

    with pytest.raises(DataError, match="two files of the name two"):
        list_tar(path)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_member_that_would_unpack_for_minutes_is_refused_by_its_header(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "any.tar.gz"
    member = tarfile.TarInfo("a/\x1b[2Jlarge.png")
    member.size = 8 * 2**30
    # None of its bytes are there, so that whoever looks for them says that the file is cut off.
    path.write_bytes(pack(packed(CONTENTS)[:2048] + member.tobuf(tarfile.GNU_FORMAT)))

    for read in (lambda: list_tar(path), lambda: list(read_tar(path, {"two": 0}))):
        with pytest.raises(DataError, match="more than 200 times as large by its headers"):
            read()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_members_that_are_many_times_the_packed_file_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "any.tar.gz"
    path.write_bytes(pack(packed({f"{number}.png": bytes(1000) for number in range(2_000)})))
    assert len(list_tar(path)) == 2_000

    monkeypatch.setattr(plain_files, "_ALWAYS", 2**10)
    monkeypatch.setattr(plain_files, "MAX_EXPANSION", 10)

    with pytest.raises(DataError, match="times as large by its headers"):
        list_tar(path)


def test_a_large_file_that_is_not_packed_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "any.tar"
    large = tarfile.TarInfo("film.mp4")
    large.size = 8 * 2**30
    with open(path, "wb") as file:
        file.write(large.tobuf(tarfile.GNU_FORMAT))
        file.seek(large.size, os.SEEK_CUR)  # a hole, which takes no room on the disk
        file.write(packed(CONTENTS))

    assert dict(read_tar(path, {"two": 0})) == {"two": b""}


def test_another_size_than_expected(tmp_path: Path) -> None:
    path = tmp_path / "any.tar"
    path.write_bytes(packed(CONTENTS))

    with pytest.raises(DataError, match="a/one has another size than expected"):
        list(read_tar(path, {"a/one": 999}))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_cut_off_anywhere(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "any.tar"
    contents = {str(number): random.Random(number).randbytes(700) for number in range(9)}
    # The first block of zeros is the end; what may be missing without harm comes after it.
    sound = pack(packed(contents)[: 9 * 1536 + 512])
    for length in (*range(1, len(sound), 311), len(sound) - 1):
        path.write_bytes(sound[:length])
        with pytest.raises(DataError):
            list(read_tar(path, list_tar(path)))


def test_every_changed_byte_is_an_error_or_changes_what_is_read(tmp_path: Path) -> None:
    """A packed file has a checksum, so a change is never passed over."""
    path = tmp_path / "any.tar.gz"
    sound = gzip.compress(packed(CONTENTS), mtime=0)
    for place in range(12, len(sound), 7):
        broken = bytearray(sound)
        broken[place] ^= 0x55
        path.write_bytes(broken)
        with pytest.raises(DataError):
            dict(read_tar(path, list_tar(path)))


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (b"", "damaged .*ReadError"),
        (b"no tar file at all" * 100, "expected a tar file"),
        (gzip.compress(b"neither" * 200, mtime=0), "expected a tar file"),
        (b"\x1f\x8bnonsense", "expected a tar file"),
        (b"\xfd7nonsense", "expected a tar file"),
    ],
)
def test_what_is_no_tar_file(tmp_path: Path, contents: bytes, reason: str) -> None:
    path = tmp_path / "any.tar"
    path.write_bytes(contents)

    with pytest.raises(DataError, match=reason):
        list_tar(path)


@pytest.mark.parametrize("name", ["PKs/1", "BZh/1", "BZ"])
def test_a_first_name_that_begins_as_packed_files_do(tmp_path: Path, name: str) -> None:
    path = tmp_path / "any.tar"
    path.write_bytes(packed({name: b"here"}))

    assert list_tar(path) == {name: 4}


def test_places_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (("pipe", "not a plain"), (".", "a directory"), ("no", "cannot be read")):
        with pytest.raises(DataError, match=reason):
            list_tar(tmp_path / name)


def header(name: str, size: int, kind: bytes = b"0") -> bytes:
    member = special(name, kind)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_header_that_asks_for_much_memory(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "any.tar"
    path.write_bytes(packed(CONTENTS)[:2048] + header("long", 2**40, kind))

    with pytest.raises(DataError, match=r"expected a tar file|cut off"):
        list_tar(path)


def test_a_size_below_zero_does_not_lead_back(tmp_path: Path) -> None:
    path = tmp_path / "any.tar"
    path.write_bytes(header("first", 0) + header("second", -1024) + bytes(4096))

    with pytest.raises(DataError):
        list_tar(path)


def test_a_huge_member_is_known_by_its_size_and_not_read(tmp_path: Path) -> None:
    path = tmp_path / "any.tar"
    path.write_bytes(header("huge", 2**40) + bytes(4096))

    with pytest.raises(DataError, match="damaged"):
        list_tar(path)


def sparse(size: int, *, real_size: int, extended: bool) -> bytes:
    """The header of an old GNU sparse file with an empty map."""
    block = bytearray(header("sparse", size, tarfile.GNUTYPE_SPARSE))
    block[482] = extended
    block[483:495] = b"%011o\0" % real_size
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 8 * 32 + sum(block[156:]))
    return bytes(block)


def chain(kind: bytes, length: int) -> bytes:
    """Headers that each belong to the next, as no tool writes them."""
    text = {tarfile.GNUTYPE_LONGNAME: b"name\0", tarfile.XHDTYPE: b"12 path=any\n"}[kind]
    return (header("next", len(text), kind) + text.ljust(512, b"\0")) * length


@pytest.mark.parametrize(
    "contents",
    [
        sparse(0, real_size=0, extended=True),
        chain(tarfile.GNUTYPE_LONGNAME, 1_500) + packed(CONTENTS),
        chain(tarfile.XHDTYPE, 1_500) + packed(CONTENTS),
    ],
    ids=["a sparse map that is missing", "long names", "pax headers"],
)
def test_headers_that_confuse_are_damage(tmp_path: Path, contents: bytes) -> None:
    path = tmp_path / "any.tar"
    path.write_bytes(contents)

    with pytest.raises(DataError, match="expected a tar file, but it is damaged"):
        list_tar(path)


def test_headers_of_many_members_may_be_many(tmp_path: Path) -> None:
    contents = {f"{'deep/' * 800}{number}": b"" for number in range(40)}
    path = tmp_path / "any.tar"
    path.write_bytes(packed(contents))

    assert set(list_tar(path)) == set(contents)


def test_a_name_of_many_digits_is_a_name(tmp_path: Path) -> None:
    name = f"{'1' * 255}/{'2' * 255}"
    path = tmp_path / "any.tar"
    path.write_bytes(packed({name: b"here"}))

    assert dict(read_tar(path, {name: 4})) == {name: b"here"}
