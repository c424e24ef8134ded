"""What is published: a wheel and a source archive with all that the package needs."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import lottery

VERSION = version("lottery")
SOURCE = Path(lottery.__file__).parent
ROOT = SOURCE.parents[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return folder


def files_of_the_package() -> set[str]:
    return {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    inside = {name.removeprefix("lottery/") for name in names if name.startswith("lottery/")}
    assert inside == files_of_the_package()
    others = {name.split("/")[0] for name in names if not name.startswith("lottery/")}
    assert others == {f"lottery-{VERSION}.dist-info"}


def test_the_wheel_says_what_it_is(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    text = zipfile.ZipFile(wheel).read(f"lottery-{VERSION}.dist-info/METADATA").decode()
    head = text.partition("\n\n")[0]
    assert "Requires-Python: >=3.11" in head
    for python in ("3.11", "3.12", "3.13"):
        assert f"Classifier: Programming Language :: Python :: {python}" in head
    assert "Requires-Dist: torch<3,>=2.10" in head
    assert "# lottery" in text


def test_the_source_archive_can_be_built_and_tested_from(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    for needed in ("pyproject.toml", "constraints.txt", "Makefile", "tests/conftest.py", "LICENSE"):
        assert needed in names
    assert {f"src/lottery/{name}" for name in files_of_the_package()} <= names
