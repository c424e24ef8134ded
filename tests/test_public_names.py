"""The library's front door."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lottery


def test_every_public_name_is_there_and_documented() -> None:
    for name in lottery.__all__:
        found = getattr(lottery, name)
        assert name == "RECIPES" or found.__doc__
    assert len(lottery.__all__) == len(set(lottery.__all__))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lottery.nothing


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import lottery, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "package", sorted(module.name for module in pkgutil.iter_modules(lottery.__path__))
)
def test_every_subpackage_lists_names_that_exist(package: str) -> None:
    if package == "__main__":  # importing it runs the command
        return
    module = importlib.import_module(f"lottery.{package}")
    for name in getattr(module, "__all__", ()):
        assert hasattr(module, name), name


def test_no_reading_of_pickles_anywhere() -> None:
    """But by a child process from the pipe of the one that started it: no file is one."""
    source = Path(lottery.__file__).parent
    for path in source.rglob("*.py"):
        if path.relative_to(source).as_posix() == "tasks/sendable.py":
            assert "sys.stdin.buffer" in path.read_text(encoding="utf-8")
            continue
        found = re.search(
            r"\btorch\.load\(|\bpickle\b\.|allow_pickle=True|import pickle",
            path.read_text(encoding="utf-8"),
        )
        assert found is None, f"{path.name}: {found}"
