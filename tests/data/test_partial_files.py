"""What is being written is left alone; what nobody writes any more goes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lottery.data.partial_files import new_partial_file, remove_abandoned

WRITE = """
import sys, time
from pathlib import Path
from lottery.data.partial_files import new_partial_file
part = Path(sys.argv[1])
with new_partial_file(part):
    part.write_bytes(b"half")
    print("written", flush=True)
    time.sleep(3600)
"""


def test_a_living_process_keeps_its_part_and_a_killed_one_does_not(tmp_path: Path) -> None:
    part = tmp_path / ".any.0123.part"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(part)], stdout=subprocess.PIPE, text=True
    )
    with writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "written\n"
        remove_abandoned(tmp_path)
        assert part.read_bytes() == b"half"
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    remove_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_only_parts_are_removed(tmp_path: Path) -> None:
    names = {"any.part", ".any", "any.images", ".any.part.images"}
    for name in names:
        (tmp_path / name).write_bytes(b"mine")
    # What another process is about to hold.
    (tmp_path / ".new.part").touch()
    remove_abandoned(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*names, ".new.part"}


def test_no_folder_and_no_permission_are_no_trouble(tmp_path: Path) -> None:
    remove_abandoned(tmp_path / "none")
    (tmp_path / ".folder.part").mkdir()
    remove_abandoned(tmp_path)


def test_a_part_that_is_there_is_not_taken(tmp_path: Path) -> None:
    part = tmp_path / ".any.part"
    part.write_bytes(b"mine")
    with pytest.raises(FileExistsError), new_partial_file(part):
        pytest.fail("took a file of another process")
    assert part.read_bytes() == b"mine"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other locks")
def test_without_locks_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr("fcntl.flock", refused)
    part = tmp_path / ".any.part"
    with new_partial_file(part):
        part.write_bytes(b"half")
    remove_abandoned(tmp_path)
    assert part.read_bytes() == b"half"
