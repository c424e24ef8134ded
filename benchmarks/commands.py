"""Whole commands, and the memory of a whole process."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.timing import seconds


def protocol(*, engine: str, data_dir: Path | None, quick: bool) -> Figure:
    """Seconds of the paper's LeNet experiment: two replicates, 12 levels, no controls.

    Args:
        engine: an engine's name.
        data_dir: where MNIST lies.
        quick: the same command with ``--smoke``.
    """
    arguments = ["run", "lenet-300-100/mnist", "--levels", "12", "--replicates", "2"]
    arguments += ["--set", "controls.reinit=0", "--engine", engine]
    if data_dir is not None:
        arguments += ["--data-dir", str(data_dir.resolve())]
    return _command(arguments + (["--smoke"] if quick else []))


def demo(*, engine: str, first: bool, quick: bool) -> Figure:
    """Seconds of ``lottery demo`` in an empty directory.

    Args:
        engine: an engine's name.
        first: as after installing: nothing of the engine is compiled yet.
        quick: the recipe with ``--smoke`` instead.
    """
    arguments = ["run", "demo", "--smoke"] if quick else ["demo"]
    return _command([*arguments, "--engine", engine], first=first)


def memory(*, engine: str, data_dir: Path | None, quick: bool) -> Figure:
    """The most memory that this process has held, after one dense job on the whole of MNIST.

    Args:
        engine: an engine's name.
        data_dir: where MNIST lies.
        quick: hardly any steps.
    """
    import torch

    from benchmarks.workload import dense_start, training_jobs
    from lottery.data import DataConfig, load_dataset
    from lottery.training import NullMonitor, make_engine

    data = load_dataset(DataConfig(name="mnist", validation=5_000), data_dir=data_dir)
    jobs = training_jobs([dense_start()], data)(10 if quick else 2_000)
    make_engine(engine, torch.device("cpu")).train(jobs, [NullMonitor()])
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in units of 1024 bytes, macOS in bytes.
    return Figure(value=most * (1 if sys.platform == "darwin" else 1024) / 1e6, unit="MB")


def _command(arguments: list[str], *, first: bool = False) -> Figure:
    """Seconds of ``lottery ARGUMENTS`` in a directory of its own; its output goes to stderr."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "work").mkdir()
        caches = {"NUMBA_CACHE_DIR": str(folder / "compiled")} if first else {}

        def run() -> None:
            subprocess.run(
                [sys.executable, "-m", "lottery", *arguments],
                cwd=folder / "work",
                env=os.environ | caches,
                stdout=sys.stderr,
                check=True,
            )

        return Figure(value=seconds(run), unit="s", details={"command": arguments})
