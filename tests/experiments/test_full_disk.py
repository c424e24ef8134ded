"""A disk that fills up: a clear error, and the last good state intact."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny import contents, tiny

from lottery.experiments import RunOptions, run_experiment, to_plain
from lottery.experiments.toml import to_toml

# One finished job of this experiment takes about 1 MB.
CONFIG = tiny(name="full", replicates=1, model="mlp-100", levels=3)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a small disk can only be made by root on Linux (mount -t tmpfs)")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_full_disk_is_a_clear_error_and_space_lets_it_go_on(
    small_disk: Path, tmp_path: Path, jobs: str
) -> None:
    config = tmp_path / "full.toml"
    config.write_text(to_toml(to_plain(CONFIG)))
    command = [sys.executable, "-m", "lottery", "run", str(config), "--out", str(small_disk)]
    command += ["--device", "cpu", "--jobs", jobs]

    full = subprocess.run(command, capture_output=True, text=True, check=False)
    assert full.returncode == 1, full.stderr
    assert "cannot write" in full.stderr
    assert str(small_disk) in full.stderr
    assert "free some space and run the same command again" in full.stderr
    assert "Traceback" not in full.stderr

    def verify() -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "lottery", "verify", "full", "--out", str(small_disk)]
        return subprocess.run(line, capture_output=True, text=True, check=False)

    assert verify().returncode == 0
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert verify().returncode == 0

    options = RunOptions(out=tmp_path / "elsewhere", jobs=1, device="cpu")
    elsewhere = run_experiment(CONFIG, options)
    (run,) = small_disk.glob("full-*")
    assert contents(run) == contents(elsewhere.run)
