"""One process owns a run at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lottery.errors import StoreError
from lottery.store import lock_holder, lock_run

HOLD = """
import sys, time
from pathlib import Path
from lottery.store import lock_run
with lock_run(Path(sys.argv[1])):
    print("owned", flush=True)
    time.sleep(3600)
"""


def test_a_second_owner_is_told_who_holds_it_and_a_kill_frees_it(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "owned\n"
        with (
            pytest.raises(StoreError, match=f"process {holder.pid} on "),
            lock_run(tmp_path / "run"),
        ):
            pytest.fail("two processes own one run")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with lock_run(tmp_path / "run"):
        pass


def test_a_block_that_raises_frees_the_run(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), lock_run(tmp_path):
        raise RuntimeError
    with lock_run(tmp_path):
        pass


def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write"), lock_run(tmp_path / "file" / "run"):
        pytest.fail("owned a directory inside a file")


def test_the_next_owner_removes_what_killed_ones_were_writing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for inside in ("replicate-0/random-mask-1", ".corrupt-level-00-1", "replicate-0/level-00"):
        (run / inside).mkdir(parents=True)
        (run / inside / ".tmp-a").touch()
    (run / ".tmp-experiment.json-1a").write_bytes(b"half")
    (run / "replicate-0" / ".tmp-level-01-x").mkdir()
    (run / "replicate-0" / ".tmp-level-01-x" / "result.json").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / ".tmp-b").touch()
    (run / "replicate-1").symlink_to(tmp_path / "elsewhere")
    (run / ".tmp-link").symlink_to(tmp_path / "elsewhere")
    with lock_run(run):
        left = [path.relative_to(run).as_posix() for path in run.rglob(".tmp-*")]
    # Of whole jobs and of what was set aside nothing is taken away.
    assert sorted(left) == [".corrupt-level-00-1/.tmp-a", "replicate-0/level-00/.tmp-a"]
    assert (tmp_path / "elsewhere" / ".tmp-b").exists()


@pytest.mark.parametrize("what", ["link", "pipe", "directory"])
def test_a_lock_that_is_no_plain_file_is_refused(tmp_path: Path, what: str) -> None:
    lock, elsewhere = tmp_path / ".lock", tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    match what:
        case "link":
            lock.symlink_to(elsewhere)
        case "pipe":
            os.mkfifo(lock)
        case _:
            lock.mkdir()
    assert lock_holder(tmp_path) is None
    with pytest.raises(StoreError, match=r"\.lock is a .*Remove it"), lock_run(tmp_path):
        pytest.fail("owned a run without its lock")
    assert elsewhere.read_text() == "precious"


@pytest.mark.parametrize("what", ["link", "pipe", "directory"])
def test_an_owners_note_that_is_no_plain_file_is_in_nobodys_way(tmp_path: Path, what: str) -> None:
    note, elsewhere = tmp_path / ".owner.json", tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    match what:
        case "link":
            note.symlink_to(elsewhere)
        case "pipe":
            os.mkfifo(note)
        case _:
            note.mkdir()
    refused = pytest.raises(StoreError, match="being worked on by process")
    with lock_run(tmp_path), refused, lock_run(tmp_path):
        pytest.fail("two processes own one run")
    assert elsewhere.read_text() == "precious"


def test_whoever_looks_sees_the_owner_and_takes_nothing(tmp_path: Path) -> None:
    assert lock_holder(tmp_path / "nothing") is None
    with lock_run(tmp_path / "run"):
        assert f"process {os.getpid()} on " in str(lock_holder(tmp_path / "run"))
    assert lock_holder(tmp_path / "run") is None
    with lock_run(tmp_path / "run"):
        pass
