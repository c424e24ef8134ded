"""The file of decoded images: mapped into memory, whole or not at all, and made once."""

from __future__ import annotations

import json
import math
import os
import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from time import sleep

import pytest
import torch
from pictures import Pixels, fill, load, pictures
from safetensors.torch import load_file

from lottery.data import Dataset, Split
from lottery.data.cache_lock import cache_folder
from lottery.data.image_cache import CachedImages, cache_path, cached_images, read_cache
from lottery.data.partial_files import remove_abandoned
from lottery.data.sources import Encoded, folder_source
from lottery.errors import DataError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def made(tmp_path: Path) -> tuple[Path, Path, str]:
    place = fill(tmp_path / "pets", pictures())
    found = load(place).fingerprint()
    return place, cache_path(folder_source(place), 0), found


def test_a_changed_source_is_decoded_anew(tmp_path: Path) -> None:
    place, _, before = made(tmp_path)
    name = "train/cat/0.png"
    fill(place, {name: pictures(1)[name]})
    os.utime(place / name, ns=(1, 1))  # the clock of files may be coarse

    assert load(place).fingerprint() != before
    assert len(list((cache_folder() / "images").iterdir())) == 2


@pytest.mark.parametrize("length", [0, 5, 100, -1, -20])
def test_one_that_is_cut_off_is_made_anew(tmp_path: Path, length: int) -> None:
    place, path, before = made(tmp_path)
    path.write_bytes(path.read_bytes()[:length])

    assert read_cache(path) is None
    assert load(place).fingerprint() == before


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ('"U8"', '"I8"'),
        ("[26, 3, 6, 7]", "[27, 3, 6, 7]"),
        ("[26, 3, 6, 7]", "[-2, 3, 6, 7]"),
        ('"targets"', '"torgets"'),
        ('"lottery"', '"lattery"'),
        ("train", "trian"),
        ("classes", "clashes"),
        ('cat\\"', 'cat\\" '),
        ("{", "["),
    ],
)
def test_a_header_that_is_not_credible(tmp_path: Path, text: str, other: str) -> None:
    place, path, before = made(tmp_path)
    whole = path.read_bytes()
    assert text.encode() in whole[:1000]
    path.write_bytes(whole.replace(text.encode(), other.encode(), 1))

    assert read_cache(path) is None
    assert load(place).fingerprint() == before


def test_classes_out_of_range(tmp_path: Path) -> None:
    _, path, _ = made(tmp_path)
    whole = bytearray(path.read_bytes())
    whole[-26 * 3 * 6 * 7 - 8] = 2
    path.write_bytes(whole)

    assert read_cache(path) is None


def test_another_library_reads_it(tmp_path: Path) -> None:
    place, path, _ = made(tmp_path)
    data, found = load(place), load_file(path)

    assert torch.equal(found["images"][18:], data.test.inputs)
    assert torch.equal(found["targets"][5:18], data.train.targets)
    assert found["histogram"].sum() == 18 * 3 * 6 * 7


def test_changes_in_memory_do_not_reach_the_file(tmp_path: Path) -> None:
    place, path, before = made(tmp_path)
    stored = path.read_bytes()

    data = load(place)
    data.train.inputs.zero_()

    assert path.read_bytes() == stored
    assert load(place).fingerprint() == before


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(contents: bytes, size: int) -> Pixels:
        raise KeyboardInterrupt

    place = fill(tmp_path / "pets", pictures())
    with monkeypatch.context() as patched:
        patched.setattr("lottery.data.images.decode", stopped)
        with pytest.raises(KeyboardInterrupt):
            load(place)

    assert list((cache_folder() / "images").iterdir()) == []
    assert len(load(place).test) == 8


def test_what_killed_processes_left_goes(tmp_path: Path) -> None:
    place = fill(tmp_path / "pets", pictures())
    folder = cache_folder() / "images"
    folder.mkdir(parents=True)
    for size in (0, 32):
        path = cache_path(folder_source(place), size)
        path.with_name(f".{path.name}.01234567.part").write_bytes(b"half of it")

    load(place)

    assert [path.suffix for path in folder.iterdir()] == [".safetensors"]


def test_another_process_leaves_alone_what_is_about_to_get_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = os.replace

    def meanwhile(part: Path, path: Path) -> None:
        remove_abandoned(part.parent)
        renamed(part, path)

    monkeypatch.setattr(os, "replace", meanwhile)

    assert len(load(fill(tmp_path / "pets", pictures())).test) == 8


def test_two_at_once_decode_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = folder_source(fill(tmp_path / "pets", pictures()))
    whole, reading, found = source.open(), Event(), list[CachedImages]()
    begun = []

    def read() -> Iterator[Encoded]:
        begun.append(1)
        reading.set()
        for image in whole.read():
            while len(begun) == 1 and "waiting for it" not in seen():
                sleep(0.01)
            yield image

    text = ""

    def seen() -> str:
        nonlocal text
        text += capsys.readouterr().err
        return text

    slow = replace(source, open=lambda: replace(whole, read=read))
    threads = [
        Thread(target=lambda shown=shown: found.append(cached_images(slow, 0, progress=shown)))
        for shown in (False, True)
    ]
    threads[0].start()
    assert reading.wait(60)
    threads[1].start()
    for thread in threads:
        thread.join(60)

    assert begun == [1]
    assert f"{tmp_path}/pets: another process is decoding these images" in text
    assert torch.equal(found[0].images, found[1].images)


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    with pytest.raises(DataError, match=r"cannot be (written|read) "):
        load(fill(tmp_path / "pets", pictures()))


def test_a_full_disk(tmp_path: Path) -> None:
    """As the operating system says it, by way of a limit on the size of files."""
    place = fill(tmp_path / "pets", pictures(shape=(64, 64)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(DataError, match=r"cannot be written \(File too large\)"):
            load(place)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert list((cache_folder() / "images").iterdir()) == []


def resident_bytes() -> int:
    """What this process holds in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="memory is read from Linux's /proc"
)
def test_data_larger_than_memory_take_little_of_it(tmp_path: Path) -> None:
    """A cache file of holes, twice as large as this machine's memory; batches are read."""
    side, memory = 1_024, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    # Not every disk takes a file of any size, holes or not: 64 GiB at most.
    count = min(2 * memory, 1 << 36) // (3 * side * side)
    path = cache_folder() / "images" / "large.safetensors"
    path.parent.mkdir(parents=True)
    about = json.dumps({"train": count - 5, "classes": ["cat", "dog"], "notes": []})
    sizes = {"histogram": (3, 256), "targets": (count,), "images": (count, 3, side, side)}
    header: dict[str, object] = {"__metadata__": {"lottery": about}}
    end = 0
    for name, shape in sizes.items():
        first, end = end, end + math.prod(shape) * (1 if name == "images" else 8)
        kind = "U8" if name == "images" else "I64"
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [first, end]}
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    before = resident_bytes()

    found = read_cache(path)
    assert found is not None
    split = Split(found.images, found.targets, mapped=True)
    data = Dataset(name="large", train=split, validation=split, test=split, classes=2).to("cpu")
    for first in range(0, count, count // 5):
        inputs, _ = data.batch("train", torch.tensor([first]))
        assert not inputs.any()

    assert len(split) == count
    assert resident_bytes() - before < 300_000_000
