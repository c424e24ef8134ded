"""Complete programs, as somebody would write them: they run, stay sparse, and are short."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest
import refused_processes
import run_program
import torch
from safetensors.torch import load_file
from torch import Tensor

PROGRAMS: Final = Path(__file__).parents[1] / "programs"


def lines(name: str) -> int:
    """The lines of a program, without blank ones."""
    text = (PROGRAMS / f"{name}.py").read_text(encoding="utf-8")
    return sum(bool(line.strip()) for line in text.splitlines())


def shares_of_zeros(tensors: Mapping[str, Tensor]) -> dict[str, float]:
    """In all matrices of one kind: weights, their average, each state of the optimizer."""
    found = {}
    for kind in sorted({name.partition("/")[0] for name in tensors}):
        matrices = [t for n, t in tensors.items() if n.startswith(f"{kind}/") and t.dim() > 1]
        zeros = sum(int((matrix == 0).sum()) for matrix in matrices)
        found[kind] = zeros / sum(matrix.numel() for matrix in matrices)
    return found


def test_mixed_precision_accumulation_average_schedule_and_compiling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Without code generation, which takes a minute and is not what a mask is held by.
    compiling = functools.partial(torch.compile, backend="aot_eager")
    monkeypatch.setattr(torch, "compile", compiling)
    dense = run_program.run(PROGRAMS / "mixed_precision.py")
    sparse = run_program.run(PROGRAMS / "mixed_precision_held.py")
    assert max(shares_of_zeros(dense).values()) < 0.01
    found = shares_of_zeros(sparse)
    assert found["weight"] == found["average"] == pytest.approx(0.8, abs=0.001)
    # Kept weights of units that lead nowhere have no gradient either.
    assert min(found["exp_avg"], found["exp_avg_sq"]) >= found["weight"]
    assert lines("mixed_precision_held") <= lines("mixed_precision") + 10


def in_two_processes(script: ModuleType, *arguments: str | Path) -> None:
    """Run a module as a script, in two processes that talk to each other."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    found = subprocess.run(
        [*command, str(script.__file__), *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert found.returncode == 0, found.stderr


def test_distributed_data_parallel(tmp_path: Path) -> None:
    """Two processes with batches of their own hold one mask, and end with the same weights."""
    in_two_processes(run_program, PROGRAMS / "distributed.py", tmp_path)
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in (0, 1))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    share = pytest.approx(0.8, abs=0.001)
    assert shares_of_zeros(first) == {"exp_avg": share, "exp_avg_sq": share, "weight": share}
    assert lines("distributed") <= 12


def test_other_masks_in_other_processes_and_sharded_weights_are_refused(tmp_path: Path) -> None:
    in_two_processes(refused_processes, tmp_path)
    for rank in (0, 1):
        other = (tmp_path / f"other_masks-{rank}").read_text(encoding="utf-8")
        assert other.startswith("MaskError: other processes gave gradients to pruned weights of")
        assert "with torch.distributed.broadcast" in other
        sharded = (tmp_path / f"sharded-{rank}").read_text(encoding="utf-8")
        assert sharded.startswith("UsageError: 'weight' is sharded over processes (a DTensor")
        assert sharded.endswith("use DistributedDataParallel")
