"""Where compiled code is kept, and that training does without."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import pytest

from lottery.training.engines.sparse_cpu import compiled as module
from lottery.training.engines.sparse_cpu.compiled import compiled

SOURCES = Path(module.__file__).parent


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path | None]:
    """The directory as a process finds it that has just started, for a copy of the sources."""
    copy = shutil.copytree(SOURCES, tmp_path / "sources")
    monkeypatch.setattr(module, "__file__", str(copy / "compiled.py"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "caches"))
    return module.cache_directory.__wrapped__


def test_code_of_other_sources_lies_elsewhere(
    tmp_path: Path, directory: Callable[[], Path | None]
) -> None:
    before = directory()
    assert before == directory()
    assert before is not None
    assert before.is_dir()
    # numba looks at the file of the outermost function alone; here it is any file of the engine.
    for name in ("vectors.py", "loop.py", "ragged.py"):
        source = tmp_path / "sources" / name
        source.write_text(source.read_text() + "\n")
        after = directory()
        assert after != before
        before = after
    (tmp_path / "sources" / "another.py").write_text("1\n")
    assert directory() != before


def test_code_of_another_numba_lies_elsewhere(
    directory: Callable[[], Path | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = directory()
    monkeypatch.setattr(numba, "__version__", "0.0.1")
    assert directory() != before


def test_what_the_user_has_set_is_where_it_lies(
    tmp_path: Path, directory: Callable[[], Path | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = directory()
    assert found is not None
    assert found.parent == tmp_path / "caches" / "lottery"


@pytest.mark.skipif(
    sys.platform in ("darwin", "win32"), reason="macOS and Windows keep caches in other places"
)
def test_without_that_it_lies_with_the_users_caches(
    tmp_path: Path, directory: Callable[[], Path | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    found = directory()
    assert found is not None
    assert found.parent == tmp_path / "xdg" / "lottery"

    # Code is never loaded from a folder that depends on where the program was started.
    for elsewhere in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", elsewhere)
        found = directory()
        assert found is not None
        assert found.parent == tmp_path / "home" / ".cache" / "lottery"


def test_where_nothing_can_be_written_there_is_none(
    tmp_path: Path, directory: Callable[[], Path | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "a file"))
    assert directory() is None


def test_a_user_without_a_home_has_none(
    directory: Callable[[], Path | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that runs under a number nobody has given a name."""

    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    assert directory() is None


def test_numbas_own_setting_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    # numba sets its settings when it is imported, where mypy does not see them.
    settings: Any = numba.config
    monkeypatch.setattr(settings, "CACHE_DIR", "somewhere")

    compiled(lambda: None)

    assert settings.CACHE_DIR == "somewhere"


def add(a: float, b: float) -> float:
    return a / b + 1


@pytest.mark.parametrize("cached", [True, False])
def test_compiled_functions_do_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: bool
) -> None:
    monkeypatch.setattr(module, "cache_directory", lambda: tmp_path if cached else None)

    function = compiled(add)

    assert function(6.0, 3.0) == 3.0
    # Where Python would raise ZeroDivisionError.
    assert function(1.0, 0.0) == float("inf")
    assert any(tmp_path.rglob("*.nbc")) == cached


PROGRAM = """
import numpy as np
from lottery.training.engines.sparse_cpu.compiled import cache_directory
from lottery.training.engines.sparse_cpu.kernels import fill_rows
out = np.zeros((2, 64))
fill_rows(np.arange(2.0), out)
assert out.sum() == 64
print(cache_directory())
"""


def test_a_home_that_cannot_be_written_to_is_no_trouble(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.touch()
    left_out = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        env={**environment, "HOME": str(home), "USERPROFILE": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "None\n"), done.stderr
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr
