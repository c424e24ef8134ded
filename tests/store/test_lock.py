"""One process owns a run at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lottery.errors import StoreError
from lottery.store import holder, own

HOLD = """
import sys, time
from pathlib import Path
from lottery.store import own
with own(Path(sys.argv[1])):
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
        with pytest.raises(StoreError, match=f"process {holder.pid} on "), own(tmp_path / "run"):
            pytest.fail("two processes own one run")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with own(tmp_path / "run"):
        pass


def test_a_block_that_raises_frees_the_run(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), own(tmp_path):
        raise RuntimeError
    with own(tmp_path):
        pass


def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write"), own(tmp_path / "file" / "run"):
        pytest.fail("owned a directory inside a file")


def test_whoever_looks_sees_the_owner_and_takes_nothing(tmp_path: Path) -> None:
    assert holder(tmp_path / "nothing") is None
    with own(tmp_path / "run"):
        assert f"process {os.getpid()} on " in str(holder(tmp_path / "run"))
    assert holder(tmp_path / "run") is None
    with own(tmp_path / "run"):
        pass
