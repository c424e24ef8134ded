"""What one process makes is not made by another at the same time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from threading import Event, Thread

import pytest

from lottery.data.cache_lock import cache_folder, cache_lock


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_one_after_another(tmp_path: Path) -> None:
    waiting, order = Event(), list[str]()

    def second() -> None:
        with cache_lock(tmp_path / "file", waiting.set):
            order.append("second")

    with cache_lock(tmp_path / "file", waiting.set):
        assert not waiting.is_set()
        thread = Thread(target=second)
        thread.start()
        assert waiting.wait(60)
        order.append("first")
    thread.join(60)

    assert order == ["first", "second"]


def test_two_files_at_once(tmp_path: Path) -> None:
    with cache_lock(tmp_path / "one", pytest.fail), cache_lock(tmp_path / "two", pytest.fail):
        pass


def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    code = (
        "import os, pathlib\nfrom lottery.data.cache_lock import cache_lock\n"
        f"with cache_lock(pathlib.Path({str(tmp_path / 'file')!r}), print): os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9

    with cache_lock(tmp_path / "file", pytest.fail):
        pass


def test_an_error_passes_and_lets_go(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="its own"), cache_lock(tmp_path / "file", pytest.fail):
        raise OSError("its own")
    with cache_lock(tmp_path / "file", pytest.fail):
        pass


def test_where_there_can_be_no_lock_nobody_waits(tmp_path: Path) -> None:
    cache_folder().mkdir(parents=True)
    (cache_folder() / "locks").touch()

    with cache_lock(tmp_path / "file", pytest.fail), cache_lock(tmp_path / "file", pytest.fail):
        pass
