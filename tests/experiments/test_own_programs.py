"""Complete programs with a loop of one's own, as somebody would write them: they run, in few lines.

They have no ``if __name__ == "__main__":``, since their trainings run in their own process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

PROGRAMS: Final = Path(__file__).parents[1] / "programs"


def lines(name: str) -> int:
    """The lines of a program, without blank ones."""
    text = (PROGRAMS / f"{name}.py").read_text(encoding="utf-8")
    return sum(bool(line.strip()) for line in text.splitlines())


@pytest.mark.parametrize(
    ("name", "most", "says"),
    [("own_loop", 25, "accuracy"), ("language_model", 30, "perplexity")],
)
def test_a_program_gives_a_verdict(name: str, most: int, says: str, tmp_path: Path) -> None:
    assert lines(name) <= most
    command = [sys.executable, str(PROGRAMS / f"{name}.py")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    outputs = []
    for _ in range(2):  # the second finds everything done
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]
    assert says in outputs[0]
    assert (tmp_path / "mine.html").exists() == (name == "own_loop")
