"""A loop of one's own that keeps checkpoints is killed, and ends with the same bytes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import killed_loop
import pytest
from tiny import contents


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are killed in forks")
def test_killed_at_twenty_random_points_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    # Level 0 twice (as it is, and from the rewind point), two levels and their controls: 6 of 8
    # steps each.
    points = random.Random(20).sample(range(1, 48), 20)
    # Five of them in each of four runs.
    runs = [",".join(map(str, sorted(points[first::4]))) for first in range(4)]
    script = str(Path(killed_loop.__file__))
    done = subprocess.run(
        [sys.executable, script, str(tmp_path), *runs],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    whole = contents(tmp_path / "whole")
    assert len([name for name in whole if name.endswith("manifest.json")]) >= 6
    for run in runs:
        assert contents(tmp_path / run) == whole, f"killed after {run} checkpoints"
